"""Files that appear whole or not at all, files with secrets, locks, and room on the disk.

In: the path of a file that is to be written or locked. Out: the file, complete (nothing half-written has its name), or
the lock, which ends with the process at the latest.
"""

import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from chestgan_core.errors import BadInput, ChestganError, DiskFull

# The time of every entry of a zip: a clock would make equal content unequal bytes.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)

HEADROOM_FRACTION, HEADROOM_BYTES = 0.1, 64 * 2**20


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A path beside `path` to write to, which replaces `path` when the block ends without an error.

    Its name is new each time: of two writers at once neither writes into the file of the other. What a killed
    process leaves is hidden (`.NAME.*.part`). durable: the bytes are on the disk before the name is, so that a power
    cut leaves no empty file either; False for what is verified before it is used again. The folder must exist.
    """
    with _part_of(path) as part:
        yield part
        if durable:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        part.replace(path)


def create_secret(path: Path, text: str) -> None:
    """Write `text` to `path`, mode 0600, unless there is a file already: then that one stays.

    A process that is killed meanwhile leaves a hidden temporary file, never an empty `path`. The folder must exist.
    Raises OSError.
    """
    with _part_of(path) as part:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # somebody was quicker
            os.link(part, path)  # unlike a rename this replaces nothing


@contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def file_lock(path: Path, *, shared: bool = False, wait: bool = True, remove: bool = False) -> Iterator[int]:
    """Hold the lock of a file while the block runs; the file is made where it is missing.

    Yields the file descriptor: a child process that inherits it keeps the lock. The system releases a lock when the
    last process that has it ends, however it ends. shared: any number may hold it, while nobody holds it alone.
    remove: no lock file is left behind. The folder must exist. Raises BlockingIOError: somebody holds it, and wait is
    False; OSError.
    """
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        with path.open("a") as file:
            fcntl.flock(file, kind)
            if not _is_still(path, file.fileno()):
                continue  # whoever had it before has removed it: it locks nothing any more
            try:
                yield file.fileno()
            finally:
                if remove:
                    path.unlink(missing_ok=True)
            return


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_regular(path: Path) -> bool:
    """Whether this is a file itself: no link (which may lead anywhere), no pipe, no device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """A file of somebody else's folder, open for reading: never through a link, never waiting for a pipe.

    Raises OSError: there is none, or it is a link, a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        yield file


def file_error(path: Path, error: OSError, remedy: str = "check its permissions") -> ChestganError:
    """An error of the file system as one line that names the file: DiskFull where no space is left, else BadInput."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(path, f"cannot be written ({error.strerror})", "free some space on its disk")
    return BadInput(path, f"cannot be read or written ({error.strerror})", remedy)


def require_space(needs: Iterable[tuple[Path, int, str]]) -> None:
    """Refuse before work starts what would fill a disk.

    needs: folder (it may not exist yet), bytes, and a remedy that says how to choose another folder. Needs on one disk
    are added up, with a tenth and 64 MiB to spare. Raises DiskFull.
    """
    disks: dict[int, tuple[Path, int, str]] = {}
    for folder, size, remedy in needs:
        existing = _existing(folder)
        device = existing.stat().st_dev
        first, total, first_remedy = disks.get(device, (existing, 0, remedy))
        disks[device] = first, total + size, first_remedy
    for folder, size, remedy in disks.values():
        required = int(size * (1 + HEADROOM_FRACTION)) + HEADROOM_BYTES
        free = shutil.disk_usage(folder).free
        if free < required:
            raise DiskFull(
                folder,
                f"the disk has {free / 1e9:.2f} GB free, {required / 1e9:.2f} GB are needed",
                f"free some space, or {remedy}",
            )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
