"""A file appears whole or not at all, whoever writes it and whatever stops them; locks end with their process."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput, DiskFull
from chestgan_core.local.files import create_secret, file_error, file_lock, replacing, require_space

HOLD = """
import sys
from pathlib import Path
from chestgan_core.local.files import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


def test_the_new_content_is_there_at_the_end_and_the_old_one_until_then(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as temporary:
        temporary.write_text("half\ud800", encoding="utf-8")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_writers_at_once_one_wins_whole(tmp_path: Path) -> None:
    path, together = tmp_path / "file", threading.Barrier(2)
    contents = {letter * 100_000 for letter in "ab"}

    def write(content: str) -> None:
        with replacing(path) as temporary:
            temporary.write_text(content[:50_000])
            together.wait()
            temporary.write_text(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in contents
    assert list(tmp_path.iterdir()) == [path]


def _can_lock(path: Path) -> bool:
    try:
        with file_lock(path, wait=False):
            return True
    except BlockingIOError:
        return False


def test_a_secret_is_for_its_owner_only_and_the_first_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_secret(path, "first")
    create_secret(path, "second")
    assert path.read_text() == "first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_free_again_when_the_process_that_held_it_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not _can_lock(lock)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _can_lock(lock)


def test_a_shared_lock_is_held_by_several_and_keeps_out_whoever_wants_it_alone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with file_lock(lock, shared=True), file_lock(lock, shared=True):
        assert not _can_lock(lock)
    assert _can_lock(lock)


def test_a_lock_that_is_removed_is_still_held_by_one_at_a_time(tmp_path: Path) -> None:
    lock, inside, most = tmp_path / "lock", 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with file_lock(lock, remove=True):
                with counting:
                    inside += 1
                    most = max(most, inside)
                with counting:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not lock.exists()


def test_needs_on_one_disk_are_added_up_before_a_full_disk_is_foretold(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    require_space([(tmp_path / "new" / "folder", 1, "set TMPDIR")])
    with pytest.raises(DiskFull, match=r"GB free, .* GB are needed; free some space, or set TMPDIR"):
        require_space(
            [(tmp_path, int(free * 0.6), "set TMPDIR"), (tmp_path / "new", int(free * 0.6), "other")]
        )


def test_a_full_disk_is_not_bad_input(tmp_path: Path) -> None:
    full = file_error(tmp_path, OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(full, DiskFull)
    assert (
        str(full) == f"{tmp_path}: cannot be written (No space left on device); free some space on its disk"
    )
    refused = file_error(tmp_path, PermissionError(errno.EACCES, "Permission denied"))
    assert isinstance(refused, BadInput)
    assert not isinstance(full, BadInput)
