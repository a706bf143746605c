"""The bytes of pictures as they came, in zips, and read from them again.

In: rows, and where their files lie. Out: images-000.zip, images-001.zip, ...: every content once, named by its
sha256; equal collections give equal bytes.
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
    from chestgan_core.dicom.file_walk import Source

# A zip that is lost on the way is sent again as a whole.
ZIP_BYTES = 512 * 1024**2


def entry_name(row: ImageRow) -> str:
    """The name of a picture in the zips."""
    return row.sha256 + PurePosixPath(row.path).suffix.lower()


def write_archives(
    rows: Sequence[ImageRow], sources: "Sequence[Source | None]", folder: Path
) -> dict[str, Path]:
    """Write every picture into zips in the folder; name -> zip. Raises BadInput: a file that changed meanwhile."""
    from chestgan_core.dicom.file_walk import READ_ERRORS, Archives

    written: set[str] = set()
    zips: dict[str, Path] = {}
    archive: zipfile.ZipFile | None = None
    room = 0
    with Archives() as archives:
        for row, source in zip(rows, sources, strict=True):
            if not row.is_picture or source is None or row.sha256 in written:
                continue
            written.add(row.sha256)
            try:
                data = archives.read(source, row.bytes + 1)
            except READ_ERRORS:
                data = b""
            if hashlib.sha256(data).hexdigest() != row.sha256:
                raise BadInput(
                    row.path, "changed while the collection was read", "run again when nobody writes to it"
                )
            if archive is None or room < len(data):
                if archive is not None:
                    archive.close()
                name = f"images-{len(zips):03d}.zip"
                zips[name] = folder / name
                archive, room = zipfile.ZipFile(zips[name], "w"), ZIP_BYTES
            # Stored: pictures are compressed already, and the bytes must not depend on the version of zlib.
            archive.writestr(zipfile.ZipInfo(entry_name(row), date_time=ZIP_EPOCH), data)
            room -= len(data)
    if archive is not None:
        archive.close()
    return zips


def read_archives(zips: Iterable[Path], rows: Iterable[ImageRow]) -> Iterator[tuple[ImageRow, bytes]]:
    """The bytes of pictures, verified, in the order of the rows.

    Raises BadInput: a picture is not in the zips, or has other bytes than its row says.
    """
    opened = [zipfile.ZipFile(path) for path in zips]
    try:
        # By content: a copy of a picture may have come with another ending (.jpg, .jpeg) than the one that was kept.
        holders = {
            name.partition(".")[0]: (archive, name) for archive in opened for name in archive.namelist()
        }
        for row in rows:
            archive, name = holders.get(row.sha256, (None, ""))
            data = archive.read(name) if archive is not None else b""
            if hashlib.sha256(data).hexdigest() != row.sha256:
                raise BadInput(
                    entry_name(row),
                    "is not in the stored pictures as its row says",
                    "materialize raw_images again",
                )
            yield row, data
    finally:
        for archive in opened:
            archive.close()
