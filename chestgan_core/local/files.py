"""Files that appear whole or not at all, files with secrets, and room on the disk.

In: the path of a file that is to be written. Out: the file, complete; nothing half-written has its name.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chestgan_core.errors import BadInput


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which replaces `path` when the block ends without an error.

    Its name is new each time: of two writers at once neither writes into the file of the other. What a killed
    process leaves is hidden (`.NAME.*.part`). The bytes are on the disk before the name is, so that a power cut
    leaves no empty file either. The folder must exist.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def create_secret(path: Path, text: str) -> None:
    """Write `text` to `path`, mode 0600, unless there is a file already: then that one stays.

    A process that is killed meanwhile leaves a hidden temporary file, never an empty `path`. The folder must exist.
    Raises OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # somebody was quicker
            os.link(part, path)  # unlike a rename this replaces nothing
    finally:
        part.unlink(missing_ok=True)


HEADROOM_SHARE, HEADROOM_BYTES = 0.1, 64 * 2**20


def require_space(needs: Iterable[tuple[Path, int, str]]) -> None:
    """needs: folder (it may not exist yet), bytes, and what sets where it lies. Needs on one disk are added up.

    Raises BadInput.
    """
    disks: dict[int, tuple[Path, int, str]] = {}
    for folder, needed, remedy in needs:
        there = _existing(folder)
        device = there.stat().st_dev
        first, sum_so_far, told = disks.get(device, (there, 0, remedy))
        disks[device] = first, sum_so_far + needed, told
    for folder, needed, remedy in disks.values():
        wanted = int(needed * (1 + HEADROOM_SHARE)) + HEADROOM_BYTES
        free = shutil.disk_usage(folder).free
        if free < wanted:
            raise BadInput(
                folder,
                f"the disk has {free / 1e9:.2f} GB free, {wanted / 1e9:.2f} GB are needed",
                f"free some space, or {remedy}",
            )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
