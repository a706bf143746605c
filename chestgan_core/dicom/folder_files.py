"""The files below a folder that a stranger delivered: every one once, in an order that depends on names only.

In: a path. Out: file names, or `Refused` for what is not opened. No link is followed out of the delivery, no pipe,
socket or device is opened, and no folder is entered twice, so the walk has an end.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.dicom.left_out import LeftOut


@dataclass(frozen=True, slots=True)
class Refused:
    """A file or a whole archive that cannot or must not be opened."""

    name: str
    reason: LeftOut
    cause: str


def files_of(path: Path, delivered: tuple[Path, ...]) -> Iterator[str | Refused]:
    """The file itself, or every file below a folder; those of a folder before those of the folders in it.

    A link to a file within the delivery is read, and a link to a folder in it is followed unless that folder was
    entered already. delivered: what the person named, resolved.
    """
    if not path.is_dir():
        yield str(path) if path.is_file() else _special(str(path))
        return
    entered: set[tuple[int, int]] = set()
    waiting = [str(path)]
    while waiting:
        folder = waiting.pop()
        try:
            status = Path(folder).stat()
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            cause = "no permission to read it" if isinstance(error, PermissionError) else "it cannot be read"
            yield Refused(folder, LeftOut.UNREADABLE, cause)
            continue
        if (status.st_dev, status.st_ino) in entered:
            yield Refused(folder, LeftOut.DUPLICATE, "the same folder was read already, under another name")
            continue
        entered.add((status.st_dev, status.st_ino))
        folders: list[str] = []
        for entry in entries:
            if entry.is_symlink() and (refused := _leads_out(entry.path, delivered)) is not None:
                yield refused
            elif _is_folder(entry):
                folders.append(entry.path)
            elif _is_regular(entry):
                yield entry.path
            else:
                yield _special(entry.path)
        waiting.extend(reversed(folders))


def _leads_out(link: str, delivered: tuple[Path, ...]) -> Refused | None:
    try:
        target = Path(os.path.realpath(link, strict=True))
    except OSError:  # also a loop of links
        return Refused(link, LeftOut.SPECIAL_FILE, "a link that leads nowhere")
    if not any(target.is_relative_to(root) for root in delivered):
        return Refused(
            link, LeftOut.SPECIAL_FILE, "a link that leads out of the delivery, which is not followed"
        )
    return None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_regular(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _special(path: str) -> Refused:
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return Refused(path, LeftOut.UNREADABLE, "it cannot be read")
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a device"))
    kind = next((name for check, name in kinds if check(mode)), "a device")
    return Refused(path, LeftOut.SPECIAL_FILE, f"{kind}, which is not opened")
