"""A server of `make dev` ends with whoever wanted it, and takes along what it started."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from chestgan_assets.local import supervisor

# A server, a run worker of it, and a process that the worker started.
FAMILY = "sh -c 'sleep 600 & echo $! >> {pids}; sleep 600' & echo $! >> {pids}; echo $$ >> {pids}; wait"


@contextmanager
def supervised(*command: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A supervisor with its command, and the end of the pipe that keeps it."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-IS", supervisor.__file__, str(read_end), *command],
        pass_fds=[read_end],
        start_new_session=True,
    )
    os.close(read_end)
    try:
        yield process, write_end
    finally:
        with suppress(OSError):
            os.close(write_end)
        process.wait(30)


def family(tmp_path: Path, process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    pids = tmp_path / "pids"
    while not pids.exists() or len(pids.read_text().split()) < 3:
        assert process.poll() is None
    return [psutil.Process(int(pid)) for pid in pids.read_text().split()]


def test_everything_ends_when_the_pipe_closes(tmp_path: Path) -> None:
    with supervised("sh", "-c", FAMILY.format(pids=tmp_path / "pids")) as (process, write_end):
        members = family(tmp_path, process)
        os.close(write_end)
        process.wait(30)
        _, alive = psutil.wait_procs(members, timeout=10)
    assert not alive


def test_the_rest_ends_when_the_server_ends_and_its_status_is_passed_on(tmp_path: Path) -> None:
    ends = f"(trap '' HUP; sleep 600) & echo $! > {tmp_path / 'pid'}; exit 7"
    with supervised("sh", "-c", ends) as (process, _):
        assert process.wait(30) == 7
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("number", ["INT", "HUP", "TERM"])
def test_a_signal_to_the_terminal_is_for_make_dev_alone(number: str, tmp_path: Path) -> None:
    with supervised("sh", "-c", FAMILY.format(pids=tmp_path / "pids")) as (process, _):
        members = family(tmp_path, process)
        os.kill(process.pid, getattr(supervisor.signal, f"SIG{number}"))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert all(member.is_running() for member in members)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a child die with its parent")
def test_the_server_ends_with_a_killed_supervisor(tmp_path: Path) -> None:
    with supervised("sleep", "600") as (process, _):
        (server,) = _children(process)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs([server], timeout=10)
    assert not alive


def _children(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    while not (found := psutil.Process(process.pid).children()):
        assert process.poll() is None
    return found
