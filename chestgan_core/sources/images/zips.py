"""The unchanged bytes of images, written into zips and read from them.

In: rows, and where their files lie. Out: images-000.zip, images-001.zip, ...: each content once, named by its sha256;
equal collections give equal bytes.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from chestgan_core.errors import BadInput
from chestgan_core.local.files import ZIP_EPOCH
from chestgan_core.sources.images.image_rows import ImageRow

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import FileLocation

# Not larger, as an interrupted upload starts over with the whole zip.
ZIP_BYTES = 512 * 1024**2


def entry_name(row: ImageRow) -> str:
    """The name of an image in the zips."""
    return row.sha256 + PurePosixPath(row.path).suffix.lower()


def write_zips(
    rows: Sequence[ImageRow], locations: "Sequence[FileLocation | None]", folder: Path
) -> dict[str, Path]:
    """Write all images into zips in the folder; name -> zip. Raises BadInput: a file has changed since."""
    from chestgan_core.dicom.file_walk import READ_ERRORS, Archives

    written: set[str] = set()
    zips: dict[str, Path] = {}
    archive: zipfile.ZipFile | None = None
    room = 0
    with Archives() as archives:
        for row, location in zip(rows, locations, strict=True):
            if not row.is_image or location is None or row.sha256 in written:
                continue
            written.add(row.sha256)
            try:
                data = archives.read(location, row.bytes + 1)
            except READ_ERRORS:
                data = b""
            if hashlib.sha256(data).hexdigest() != row.sha256:
                raise BadInput(
                    row.path, "changed while the collection was read", "run again when nothing writes to it"
                )
            if archive is None or room < len(data):
                if archive is not None:
                    archive.close()
                name = f"images-{len(zips):03d}.zip"
                zips[name] = folder / name
                archive, room = zipfile.ZipFile(zips[name], "w"), ZIP_BYTES
            # Stored: images are compressed already, and the bytes must not depend on the version of zlib.
            archive.writestr(zipfile.ZipInfo(entry_name(row), date_time=ZIP_EPOCH), data)
            room -= len(data)
    if archive is not None:
        archive.close()
    return zips


def read_zips(zips: Iterable[Path], rows: Iterable[ImageRow]) -> Iterator[tuple[ImageRow, bytes]]:
    """The bytes of images, verified, in the order of the rows.

    Raises BadInput: an image is not in the zips, or its bytes are not those of its row.
    """
    from chestgan_core.dicom.zip_archive import open_zip

    opened: list[zipfile.ZipFile] = []
    try:
        opened += map(open_zip, zips)
        # By content: a copy of an image may have another suffix (.jpg, .jpeg) than the one that was kept.
        by_sha256 = {
            name.partition(".")[0]: (archive, name) for archive in opened for name in archive.namelist()
        }
        for row in rows:
            archive, name = by_sha256.get(row.sha256, (None, ""))
            data = _content(archive, name) if archive is not None else b""
            if hashlib.sha256(data).hexdigest() != row.sha256:
                raise BadInput(
                    entry_name(row),
                    "is missing from the stored images, or damaged",
                    "materialize raw_images again",
                )
            yield row, data
    finally:
        for archive in opened:
            archive.close()


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of an image, b"" where the entry is damaged."""
    from chestgan_core.dicom.file_walk import READ_ERRORS

    try:
        return archive.read(name)
    except READ_ERRORS:
        return b""
