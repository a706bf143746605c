"""How the files of one series come: out of a folder, from the Imaging Data Commons, or from NBIA.

In: a catalog row. Out: a zip with the files byte for byte under numbers, whose bytes depend on nothing but theirs.
"""

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from chestgan_core.config.dataset import Dataset
from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.sources.download.download_progress import Receiving

if TYPE_CHECKING:
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.sources.catalog.series_rows import SeriesRow
    from chestgan_core.sources.folder.folder_series import FolderFiles

EARLIEST = (1980, 1, 1, 0, 0, 0)  # the zip epoch: a clock would make the bytes differ
_BLOCK = 1 << 20
_SERIES_UID = 0x0020000E
# Far enough for the headers of most scanners; a longer one is read whole.
_HEAD_BYTES = 8192


@dataclass(frozen=True)
class Packed:
    """A zip of one series. files: images in it."""

    path: Path
    files: int


class _Unreadable(Exception):
    """A file of the source cannot be read, or not to its end."""


def is_remote(dataset: Dataset) -> bool:
    """Whether its files are downloaded, and need a spool."""
    return dataset.source.kind in ("idc", "nbia")


def pack_series(
    dataset: Dataset,
    row: "SeriesRow",
    target: Path,
    spool: Path,
    local: "FolderFiles | None",
    watcher: Receiving,
) -> Packed:
    """The zip of one series at `target`, complete and verified as far as its source lets us.

    spool: for downloaded files, kept until the caller removes them. local: the files of a dataset that has a folder.
    Raises SourceUnreachable, SourceRefused, BadInput (a file of the folder has gone, no room on the disk).
    """
    with ExitStack() as opened:
        match dataset.source.kind:
            case "idc":
                contents = _from_idc(row, dataset.source.endpoint, spool, watcher)
            case "nbia":
                contents = _from_nbia(row, dataset.source.endpoint, spool, watcher, opened)
            case _:
                contents = _from_folder(row, local, watcher, opened)
        files = 0
        try:
            with zipfile.ZipFile(target, "w") as archive:
                for name, stream in contents:
                    _add(archive, name, stream)
                    files += name.endswith(".dcm")
        except _Unreadable as error:
            raise BadInput(
                f"series {row.key} of {row.patient}",
                f"file {files + 1} of {row.images} cannot be read any more",
                "materialize series_catalog again",
            ) from error
        except OSError as error:
            cause = f"cannot be written ({error.strerror})"
            raise BadInput(
                target.parent, cause, "check the space on the disk, or set CHESTGAN_HOME"
            ) from error
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


def _from_idc(
    row: "SeriesRow", endpoint: str, spool: Path, watcher: Receiving
) -> Iterator[tuple[str, IO[bytes]]]:
    from chestgan_core.sources.idc.download import incoming_files

    for number, path in enumerate(incoming_files(row, spool, endpoint, watcher)):
        with path.open("rb") as stream:
            yield f"{number:05d}.dcm", stream


def _from_nbia(
    row: "SeriesRow", endpoint: str, spool: Path, watcher: Receiving, opened: ExitStack
) -> Iterator[tuple[str, IO[bytes]]]:
    from chestgan_core.sources.nbia.client import LICENCE, NbiaClient, dicom_names

    # It gets this name only when it is complete and verified: a zip that is there needs no second download.
    delivery = spool / "delivery.zip"
    if delivery.exists() and not _is_whole(delivery, row.images):
        delivery.unlink()  # power went before its bytes were on the disk
    if not delivery.exists():
        for part in spool.iterdir():
            part.unlink()
        NbiaClient(endpoint).fetch(row.location, delivery, row.images, watcher.received)
    archive = opened.enter_context(zipfile.ZipFile(delivery))
    for number, name in enumerate(dicom_names(archive)):
        with archive.open(name) as stream:
            yield f"{number:05d}.dcm", stream
        watcher.finished()
    if LICENCE in archive.namelist():
        with archive.open(LICENCE) as stream:
            yield LICENCE, stream


def _is_whole(delivery: Path, images: int) -> bool:
    from chestgan_core.sources.download.retry import Damaged
    from chestgan_core.sources.nbia.client import verify

    try:
        verify(delivery, images)
    except Damaged:
        return False
    return True


def _from_folder(
    row: "SeriesRow", local: "FolderFiles | None", watcher: Receiving, opened: ExitStack
) -> Iterator[tuple[str, IO[bytes]]]:
    """Smallest position first, as the catalog lists them."""
    from chestgan_core.dicom.file_walk import READ_ERRORS, Archives

    assert local is not None  # noqa: S101 (for the type checker: only remote datasets have none)
    archives = opened.enter_context(Archives())
    for number, file in enumerate(row.files):
        try:
            stream = archives.open(local.located(file))
        except READ_ERRORS as error:
            raise _Unreadable from error
        with stream:
            yield f"{number:05d}.dcm", stream
        watcher.finished()


def _add(archive: zipfile.ZipFile, name: str, stream: IO[bytes]) -> None:
    # Stored, not deflated: the bytes must not depend on the version of zlib, and reading is three times as fast.
    with archive.open(zipfile.ZipInfo(name, date_time=EARLIEST), "w") as out:
        while block := _read(stream):
            out.write(block)


def _read(stream: IO[bytes]) -> bytes:
    from chestgan_core.dicom.file_walk import READ_ERRORS

    try:
        return stream.read(_BLOCK)
    except READ_ERRORS as error:
        raise _Unreadable from error


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
