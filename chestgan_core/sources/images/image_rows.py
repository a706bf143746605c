"""What is known about each file of a collection of pictures, and what became of it.

In: nothing. Out: the row, the closed list of statuses, and rows as Parquet and back. Pictures are never opened here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from io import BytesIO

from chestgan_core.reasons import Reason
from chestgan_core.store.artefacts import canonical_json


class ImageStatus(Reason):
    """Whether a file is used, or why not. The value is what reports print; `.meaning` is one line that explains it."""

    SELECTED = "selected", "used"
    HIDDEN = "hidden", "a hidden file, or one that macOS or Windows keeps beside the pictures"
    NOT_AN_IMAGE = "not-an-image", "another kind of file: text, table, DICOM"
    UNSAFE_NAME = "unsafe-name", "a zip entry whose name is absolute or climbs out with .."
    UNREADABLE = "unreadable", "damaged, cut short, encrypted, or of a number type without a range of grey"
    TOO_LARGE = "too-large", "more pixels or bytes than a chest image has: maybe made to fill the memory"
    SEVERAL_FRAMES = "several-frames", "an animation or a stack of pages"
    NO_CLASS = "no-class", "not in a class folder, or in one whose name holds no letter or digit"
    NO_SPLIT = "no-split", "in none of the split folders that the others are in"
    TWO_CLASSES = "two-classes", "the same picture, or nearly the same, lies in the folders of two classes"
    DUPLICATE = "duplicate", "the same pixels as a picture that is used"
    NEAR_DUPLICATE = (
        "near-duplicate",
        "nearly the same as a picture that is used on the other side, or of another patient",
    )


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One file. path: below the folder or zip, entries of a zip below the zip's name.

    split: name of its split folder, "" where there is none. patient: token of the name, else the name of its group.
    sha256: of the file's bytes. pixels_sha256: of its size and grey levels. width, height: pixels, upright. mode: as
    Pillow calls it. phash: near_duplicates.py. group: the number of the group of near-duplicates, -1 for a picture
    that is like no other. twin: path of the picture that is used in its place. What has a default is unknown for
    files that are no pictures.
    """

    path: str
    split: str
    class_name: str
    patient: str = ""
    bytes: int = 0
    sha256: str = ""
    pixels_sha256: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    phash: str = ""
    group: int = -1
    twin: str = ""
    status: str = ImageStatus.SELECTED

    @property
    def is_picture(self) -> bool:
        """Whether it could be decoded, so that its bytes are kept."""
        return bool(self.pixels_sha256)

    @property
    def is_selected(self) -> bool:
        """Whether it is used."""
        return self.status == ImageStatus.SELECTED


def rows_digest(rows: Iterable[ImageRow]) -> str:
    """sha256 hex over all rows: equal collections with equal statuses have equal digests."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(asdict(row)) + b"\n")
    return digest.hexdigest()


def rows_to_parquet(rows: Iterable[ImageRow]) -> bytes:
    """The rows as one Parquet file, in the order given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[object, pa.DataType] = {str: pa.string(), int: pa.int64()}
    schema = pa.schema([(field.name, types[field.type]) for field in fields(ImageRow)])
    stream = BytesIO()
    pq.write_table(
        pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), stream, compression="zstd"
    )
    return stream.getvalue()


def rows_from_parquet(data: bytes) -> tuple[ImageRow, ...]:
    """The inverse of rows_to_parquet; data is verified by its sha256 already."""
    import pyarrow.parquet as pq

    return tuple(ImageRow(**row) for row in pq.read_table(BytesIO(data)).to_pylist())
