"""The embedded S3 server: this machine only, with keys, and gone with whoever started it."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from chestgan_core.errors import StoreError
from chestgan_core.store import seaweedfs
from chestgan_core.store.embedded import EmbeddedStore, open_store
from chestgan_core.store.store import Store

START = """
import sys, time
from pathlib import Path
from chestgan_core.store.embedded import EmbeddedStore
embedded = EmbeddedStore(Path(sys.argv[1]))
embedded.start()
print(embedded.pid, flush=True)
time.sleep(600)
"""


def test_only_this_machine_reaches_the_server(embedded: EmbeddedStore) -> None:
    listening = [c for c in psutil.Process(embedded.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 8
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


def test_the_server_sends_no_telemetry(embedded: EmbeddedStore) -> None:
    assert "-master.telemetry=false" in psutil.Process(embedded.pid).cmdline()


def test_keys_are_readable_by_their_owner_only_and_in_no_command_line(embedded: EmbeddedStore) -> None:
    assert stat.S_IMODE((embedded.folder / "identities.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(embedded.folder.stat().st_mode) == 0o700
    assert embedded.access is not None
    visible = " ".join(psutil.Process(embedded.pid).cmdline()) + embedded.log.read_text()
    assert embedded.access.secret not in visible


def test_nobody_reads_past_the_keys(embedded: EmbeddedStore, store: Store) -> None:
    store.put_bytes(b"secret", "object")
    connections = psutil.Process(embedded.pid).net_connections()
    opened = []
    for port in {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}:
        for path in (
            f"/buckets/{store.bucket}/{store.prefix}/object",
            f"/{store.bucket}/{store.prefix}/object",
        ):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                    opened.append(answer.read())
            except (urllib.error.URLError, OSError, ValueError):
                continue
    assert not [answer for answer in opened if b"secret" in answer]


def test_an_empty_store_takes_little_space(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as started:
        used = sum(path.lstat().st_blocks * 512 for path in started.folder.rglob("*"))
    assert used < 5_000_000


def test_data_survive_a_restart_and_a_killed_server(tmp_path: Path) -> None:
    first = EmbeddedStore(tmp_path)
    before = first.start()
    try:
        store = first.store()
        for k in range(30):
            store.put_bytes(b"%d" % k, f"{k}")
        os.kill(first.pid, signal.SIGKILL)
        with EmbeddedStore(tmp_path) as second:
            assert second.environment == before  # keys and addresses that people noted stay right
            assert second.pid != first.pid
            assert [store.get_bytes(f"{k}") for k in range(30)] == [b"%d" % k for k in range(30)]
            store.put_bytes(b"more", "more")
    finally:
        first.stop()
    taken = socket.create_server(("127.0.0.1", int(before["AWS_ENDPOINT_URL"].rpartition(":")[2])))
    with taken, EmbeddedStore(tmp_path) as third:
        assert third.environment["AWS_ENDPOINT_URL"] != before["AWS_ENDPOINT_URL"]
        assert third.store().get_bytes("more") == b"more"
        assert third.store().get_bytes("29") == b"29"


def test_a_second_one_uses_the_server_that_runs_and_leaves_it_running(embedded: EmbeddedStore) -> None:
    with EmbeddedStore(embedded.folder.parent) as second:
        assert (second.pid, second.environment) == (embedded.pid, embedded.environment)
    with open_store(embedded.folder.parent) as store:
        store.check()
    embedded.store().check()


USES_THE_STORE = """
import sys
from pathlib import Path
from chestgan_core.store.embedded import open_store
with open_store(Path(sys.argv[1])) as store:
    print("open", flush=True)
    sys.stdin.readline()
    store.put_bytes(b"still here", sys.argv[2])
    print("written", flush=True)
"""


def test_the_command_that_started_the_store_ends_it_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHESTGAN_STORE", raising=False)

    def using(name: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", USES_THE_STORE, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        return process

    first, second = using("first"), using("second")
    first.stdin.write("\n")  # type: ignore[union-attr]
    first.stdin.flush()  # type: ignore[union-attr]
    assert first.stdout.readline() == "written\n"  # type: ignore[union-attr]
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(1)
    assert second.communicate("\n", timeout=60)[0] == "written\n"
    assert first.wait(60) == second.returncode == 0
    with open_store(tmp_path) as store:
        assert {"first", "second"} <= {item.key for item in store.list()}
        with open_store(tmp_path):  # a second block of one process: neither waits for the other
            assert store.get_bytes("first") == b"still here"


def test_two_first_starts_at_once_end_in_one_server(tmp_path: Path) -> None:
    both = [EmbeddedStore(tmp_path), EmbeddedStore(tmp_path)]
    threads = [threading.Thread(target=one.start) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The threads that started it are gone, the server is not.
    assert both[0].pid == both[1].pid
    both[0].store().check()
    for one in both:
        one.stop()
    _gone(both[0].pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a child die with its parent")
def test_a_killed_parent_leaves_no_server(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", START, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _gone(pid)
    with EmbeddedStore(tmp_path) as next_one:
        next_one.store().check()


def test_without_that_of_linux_a_killed_parent_leaves_no_server_either(tmp_path: Path) -> None:
    """What other systems do, with another program in place of the server."""
    elsewhere = "import sys\nsys.platform = 'darwin'\n" + seaweedfs._DIES_WITH_PARENT
    parent = (
        "import os, subprocess, sys, time\n"
        "command = [sys.executable, '-ISc', sys.argv[1], str(os.getpid()), '/usr/bin/env', 'sh', '-c', sys.argv[2]]\n"
        "subprocess.Popen(command)\n"
        "time.sleep(600)"
    )
    note = tmp_path / "pid"
    started = subprocess.Popen([sys.executable, "-c", parent, elsewhere, f"echo $$ > {note}; exec sleep 600"])
    deadline = time.monotonic() + 20
    while not note.exists() or not note.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int(note.read_text())
    assert psutil.pid_exists(pid)
    started.kill()
    started.wait()
    _gone(pid)


def test_the_configured_store_is_used_where_there_is_one(
    embedded: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    with open_store(tmp_path) as store:
        store.check()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_hold_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot be written .*; set CHESTGAN_HOME"):
        EmbeddedStore(tmp_path / "home").start()
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "identities.json").write_text("{}")
    with pytest.raises(StoreError, match=r"identities\.json: is not a list of keys; delete this file"):
        EmbeddedStore(tmp_path).start()


def _gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"server {pid} still runs"
        time.sleep(0.05)


def test_ports_that_are_recorded_twice_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    names = [f"{name}{end}" for name in ("master", "volume", "filer", "s3") for end in ("", ".grpc")]
    ports = tmp_path / "s3" / "ports.json"
    ports.write_text(json.dumps(dict.fromkeys(names, 23_456)))
    with EmbeddedStore(tmp_path) as embedded:
        embedded.store().check()
    assert len(set(json.loads(ports.read_text()).values())) == 8
