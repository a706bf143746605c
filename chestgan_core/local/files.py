"""Files that appear whole or not at all, files with secrets, locks, and room on the disk.

In: the path of a file that is to be written or locked. Out: the file, complete (nothing half-written has its name), or
the lock, which ends with the process at the latest.
"""

import errno
import fcntl
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
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
    process leaves is hidden (`.NAME.*.part`), and removed by the next process that writes into the folder. durable: the
    bytes are on the disk before the name is, so that a power cut leaves no empty file either; False for what is
    verified before it is used again. The folder must exist. Raises DiskFull, whatever the library that writes makes of
    a full disk or of a limit on the size of files.
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
    if path.parent not in _swept:
        _swept.add(path.parent)
        sweep(path.parent)
    part = path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
    except ChestganError:
        raise
    except Exception as error:
        if full := _space_error(error, part):
            raise file_error(path, full) from error
        raise
    finally:
        part.unlink(missing_ok=True)


_swept: set[Path] = set()  # by this process
_PART = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.part.*")
_ABANDONED_SECONDS = 86_400
"""A file of another machine, or of a process whose number was given to another one: nothing is written for a day."""


def sweep(folder: Path) -> None:
    """Remove what `replacing` left in a folder when its process was killed; never what a process still writes."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = _PART.fullmatch(entry.name)
            if found is None or not entry.is_file(follow_symlinks=False):
                continue
            ours = found["machine"] == _machine()
            old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_SECONDS
            if old or (ours and not _is_running(int(found["pid"]))):
                Path(entry.path).unlink(missing_ok=True)


@cache
def _machine() -> str:
    """8 hex digits of what process numbers belong to: the machine since it was started, and the container."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text() + str(
            Path("/proc/self/ns/pid").stat().st_ino
        )
    except OSError:
        text = platform.node()
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _space_error(error: BaseException, part: Path) -> OSError | None:
    """The full disk behind an error: libraries (torch.save, safetensors, PIL) raise one of their own, without a number.

    Then a further write to the file shows it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause if no_space(cause) else None
        if found := re.search(r"\(os error (\d+)\)", str(cause)):  # of libraries in Rust
            return _space_of(int(found[1]))
        cause = cause.__cause__ or cause.__context__
    try:
        with part.open("ab") as file:
            file.write(bytes(2**16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as full:
        return full if no_space(full) else None
    return None


def _space_of(number: int) -> OSError | None:
    error = OSError(number, os.strerror(number))
    return error if no_space(error) else None


def no_space(error: OSError) -> bool:
    """Whether it says that a disk is full, a quota is used up, or a file is larger than the process may write."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
    if no_space(error):
        remedy = "raise ulimit -f" if error.errno == errno.EFBIG else "free some space on its disk"
        return DiskFull(path, f"cannot be written ({error.strerror})", remedy)
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


def text_or_empty(path: Path) -> str:
    """A small file that the system may not have, such as those below /proc; "" where it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
