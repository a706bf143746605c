"""The files of one series as one zip.

In: a source and a catalog row. Out: a zip with the files byte for byte under numbers, whose bytes depend on nothing
but theirs.
"""

import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.local.files import ZIP_EPOCH
from chestgan_core.sources.download.download_progress import DownloadProgress
from chestgan_core.sources.source import Source, UnreadableFile

if TYPE_CHECKING:
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.sources.series_rows import SeriesRow

_BLOCK = 1 << 20
_SERIES_UID = 0x0020000E
# Far enough for the headers of most scanners; a longer one is read whole.
_HEAD_BYTES = 8192


@dataclass(frozen=True)
class Packed:
    """A zip of one series. files: images in it."""

    path: Path
    files: int


def pack_series(
    source: Source, row: "SeriesRow", target: Path, spool: Path, progress: DownloadProgress
) -> Packed:
    """The zip of one series at `target`, complete and verified as far as its source lets us.

    spool: for downloaded files, kept until the caller removes them. Raises SourceUnreachable, SourceRefused, BadInput
    (a file of the folder has gone, no room on the disk).
    """
    files = 0
    try:
        with (
            closing(source.series_files(row, spool, progress)) as contents,
            zipfile.ZipFile(target, "w") as archive,
        ):
            for name, stream in contents:
                _add(archive, name, stream)
                files += name.endswith(".dcm")
    except UnreadableFile as error:
        raise BadInput(
            f"series {row.key} of {row.patient}",
            f"file {files + 1} of {row.images} cannot be read any more",
            "materialize series_catalog again",
        ) from error
    except OSError as error:
        cause = f"cannot be written ({error.strerror})"
        raise BadInput(target.parent, cause, "check the space on the disk, or set CHESTGAN_HOME") from error
    return Packed(target, files)


def check_series(packed: Packed, row: "SeriesRow", names: "Pseudonyms", remote: bool) -> None:
    """Raises SourceRefused, of a local folder BadInput: files are missing, or are of another series than the row's."""
    kind = SourceRefused if remote else BadInput
    strangers = sum(not found for found in _of_series(packed.path, row.key, names))
    if strangers:
        raise kind(
            f"series {row.key}",
            f"{strangers} of its {packed.files} files are of another series or no DICOM",
            "materialize series_catalog again, or leave it out (exclude_series of the dataset)",
        )
    if packed.files != row.images:
        raise kind(
            f"series {row.key}",
            f"{packed.files} files came, the catalog says {row.images}",
            "materialize series_catalog again",
        )


def _add(archive: zipfile.ZipFile, name: str, stream: IO[bytes]) -> None:
    # Stored, not deflated: the bytes must not depend on the version of zlib, and reading is three times as fast.
    with archive.open(zipfile.ZipInfo(name, date_time=ZIP_EPOCH), "w") as out:
        while block := _read(stream):
            out.write(block)


def _read(stream: IO[bytes]) -> bytes:
    from chestgan_core.dicom.file_walk import READ_ERRORS

    try:
        return stream.read(_BLOCK)
    except READ_ERRORS as error:
        raise UnreadableFile from error


def _of_series(path: Path, key: str, names: "Pseudonyms") -> Iterator[bool]:
    """For each image of a zip whether it is of the series."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".dcm"):
                with archive.open(entry) as stream:
                    found = _name(names, _series_uid(stream.read(_HEAD_BYTES)))
                if found != key and entry.file_size > _HEAD_BYTES:
                    # The head may end before the UID, or in the middle of it.
                    found = _name(names, _series_uid(archive.read(entry)))
                yield found == key


def _name(names: "Pseudonyms", uid: str) -> str:
    try:
        return names.series(uid) if uid else ""
    except BadInput:  # not even a UID
        return ""


def _series_uid(head: bytes) -> str:
    """SeriesInstanceUID of a file, "" where the bytes end before it or are no DICOM."""
    import io

    import pydicom
    from pydicom.filereader import read_partial

    try:
        header = read_partial(
            io.BytesIO(head),
            stop_when=lambda tag, vr, length: tag > _SERIES_UID,
            specific_tags=[pydicom.tag.Tag(_SERIES_UID)],
        )
        return str(header.get("SeriesInstanceUID", ""))
    except Exception:
        # A head that ends within a sequence, or a file that is none, on which pydicom raises whatever comes.
        return ""
