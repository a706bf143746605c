"""The DICOM files of a folder that may be sent to an archive: nothing that could be a patient's by accident.

In: a folder. Out: `Outgoing` files with their UIDs, and how many others there are. Only headers are read. Hidden files
do not count, no link is followed, and what is neither DICOM nor named so (the form.json of an export) is left out.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_error, is_regular, open_regular
from chestgan_core.local.progress import Progress

Others: TypeAlias = Literal["refuse", "skip", "send"]
"""What is done with a folder in which a DICOM file does not say that it is synthetic, or is damaged or a link: it is
refused, these files are left out, or those that an archive can file are sent all the same."""
OTHERS: tuple[Others, ...] = ("refuse", "skip", "send")
_UIDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
)  # no archive files one without them


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file to send. name: below the folder. uid: its SOP instance UID. bytes, changed (ns): when it was checked."""

    path: Path
    name: str
    uid: str
    bytes: int
    changed: int


def outgoing_files(folder: Path, others: Others = "refuse") -> tuple[list[Outgoing], int]:
    """What to send, by name, and how many files are left out.

    Raises BadInput: no such folder, nothing in it to send, a DICOM file that does not say that it is synthetic (unless
    `others` says what to do with it), or one SOP instance UID in two files.
    """
    if not folder.is_dir():
        raise BadInput(folder, "is not a folder", "give the folder with the DICOM files")
    found: list[Outgoing] = []
    left_out = 0
    strange: list[tuple[str, str]] = []
    by_uid: dict[str, str] = {}
    with Progress(f"check  {folder.name}", None, "files") as progress:
        for path in _files(folder):
            name = path.relative_to(folder).as_posix()
            file, problem = _checked(path, name, others)
            if file is None and not problem:
                left_out += 1
            elif file is None:
                strange.append((name, problem))
            elif file.uid in by_uid:
                cause = f"has the SOP instance UID of {by_uid[file.uid]}"
                raise BadInput(path, cause, "remove one of them: an archive keeps one file for each UID")
            else:
                by_uid[file.uid] = name
                found.append(file)
            progress.step()
    if strange and others == "refuse":
        raise _refused(folder, strange)
    if not found:
        raise BadInput(
            folder, "holds no DICOM file to send", "give a folder that chestgan wrote as --format dicom"
        )
    return found, left_out + len(strange)


def _refused(folder: Path, strange: list[tuple[str, str]]) -> BadInput:
    name, problem = strange[0]
    more = f", and {len(strange) - 1} more files cannot be sent either" if len(strange) > 1 else ""
    return BadInput(
        folder,
        f"nothing was sent, because {name} {problem}{more}",
        "give a folder of synthetic DICOM files only, or say what to do with the others (--others skip or send)",
    )


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        # A link to a folder is not followed; it counts as a file that is left out.
        yield from (link for name in folders if (link := Path(parent, name)).is_symlink())


def _raise(error: OSError) -> None:
    raise file_error(Path(error.filename or ""), error)


def _checked(path: Path, name: str, others: Others) -> tuple[Outgoing | None, str]:
    """The file, or why it cannot be sent; neither: it is no DICOM file, and does not pretend to be one."""
    import pydicom

    from chestgan_core.dicom import dicom_file  # noqa: F401 (sets how pydicom reads: without warnings that quote values)
    from chestgan_core.dicom.identity import uid_of
    from chestgan_core.dicom.synthetic import says_synthetic

    if not is_regular(path):
        return None, "is a link or no regular file"
    try:
        with open_regular(path) as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[*_UIDS, "SyntheticData"])
            status = os.fstat(file.fileno())
    except OSError as error:
        raise file_error(path, error) from error
    except Exception:  # of pydicom: any, on bytes that are not DICOM or damaged
        return None, "is not a DICOM file, or a damaged one" if path.suffix.lower() == ".dcm" else ""
    if not all(uid_of(header, keyword) for keyword in _UIDS):
        return None, "lacks a UID that an archive files it by"
    if others != "send" and not says_synthetic(header):
        return None, "does not say that it is synthetic (SyntheticData is not YES)"
    return Outgoing(path, name, uid_of(header, "SOPInstanceUID"), status.st_size, status.st_mtime_ns), ""
