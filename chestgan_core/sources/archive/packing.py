"""The files of one series as one zip.

In: a source and a row of a catalog. Out: a zip with the unchanged files under numbers. Its bytes depend on nothing but
the files.
"""

import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.local.files import ZIP_EPOCH, file_error
from chestgan_core.sources.download.download_progress import DownloadProgress
from chestgan_core.sources.source import Source, UnreadableFile

if TYPE_CHECKING:
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.sources.series_rows import SeriesRow

_BLOCK = 1 << 20
# Enough for the headers of most scanners; of files with a longer one everything is read.
_HEAD_BYTES = 8192


@dataclass(frozen=True)
class Packed:
    """A zip of one series. files: number of images in it."""

    path: Path
    files: int


def pack_series(
    source: Source, row: "SeriesRow", target: Path, spool: Path, progress: DownloadProgress
) -> Packed:
    """Write the zip of one series to `target`, complete, and verified as far as its source allows.

    spool: for downloaded files, which stay until the caller removes them. Raises SourceUnreachable, SourceRefused,
    BadInput (a file of the folder is gone, the zip cannot be written), DiskFull.
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
            f"file {files + 1} of {row.images} can no longer be read",
            "materialize series_catalog again",
        ) from error
    except OSError as error:
        raise file_error(target.parent, error, "check its permissions, or set CHESTGAN_HOME") from error
    return Packed(target, files)


def check_series(packed: Packed, row: "SeriesRow", pseudonyms: "Pseudonyms", remote: bool) -> None:
    """Raises SourceRefused (BadInput if not remote): files are missing, or belong to another series than the row's."""
    error = SourceRefused if remote else BadInput
    strangers = sum(not belongs for belongs in _of_series(packed.path, row.series, pseudonyms))
    if strangers:
        raise error(
            f"series {row.key}",
            f"{strangers} of its {packed.files} files are not DICOM, or of another series",
            "materialize series_catalog again, or leave it out (exclude_series of the dataset)",
        )
    if not packed.files or row.images not in (0, packed.files):  # 0: unknown
        raise error(
            f"series {row.key}",
            f"the source delivered {packed.files} files, the catalog lists {row.images}",
            "materialize series_catalog again",
        )


def _add(archive: zipfile.ZipFile, name: str, stream: IO[bytes]) -> None:
    # Stored, not compressed: the bytes must not depend on the version of zlib, and reading is three times as fast.
    with archive.open(zipfile.ZipInfo(name, date_time=ZIP_EPOCH), "w") as out:
        while block := _read(stream):
            out.write(block)


def _read(stream: IO[bytes]) -> bytes:
    from chestgan_core.dicom.file_walk import READ_ERRORS

    try:
        return stream.read(_BLOCK)
    except READ_ERRORS as error:
        raise UnreadableFile from error


def _of_series(path: Path, key: str, pseudonyms: "Pseudonyms") -> Iterator[bool]:
    """For each image in a zip, whether it belongs to the series."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".dcm"):
                with archive.open(entry) as stream:
                    found = _key(pseudonyms, _series_uid(stream.read(_HEAD_BYTES)))
                if found != key and entry.file_size > _HEAD_BYTES:
                    # The first bytes may end before the UID, or within it.
                    found = _key(pseudonyms, _series_uid(archive.read(entry)))
                yield found == key


def _key(pseudonyms: "Pseudonyms", uid: str) -> str:
    try:
        return pseudonyms.series(uid) if uid else ""
    except BadInput:  # not a UID
        return ""


def _series_uid(head: bytes) -> str:
    """SeriesInstanceUID of a file, "" if the bytes end before it or are not DICOM."""
    from chestgan_core.dicom.attributes import tags_of
    from chestgan_core.dicom.dicom_file import inflated, is_dicom, parse
    from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES
    from chestgan_core.dicom.identity import uid_of

    try:
        if not is_dicom(head):
            return ""
        header = parse(inflated(head, MAX_SLICE_BYTES), tags_of("SeriesInstanceUID")).header
        return uid_of(header, "SeriesInstanceUID")
    except Exception:
        # Bytes that end within a sequence, or are not DICOM at all: pydicom raises errors of any class.
        return ""
