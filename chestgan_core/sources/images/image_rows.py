"""The files of a collection of images: one row each, with its status.

In: nothing. Out: the row, the closed list of statuses, and rows as Parquet and back. No image is opened here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from chestgan_core.reasons import Reason
from chestgan_core.store.artefacts import canonical_json


class ImageStatus(Reason):
    """Whether a file is used, or why not. The value is printed in reports; `.meaning` explains it."""

    SELECTED = "selected", "used"
    HIDDEN = "hidden", "a hidden file, or one that macOS or Windows adds"
    NOT_INCLUDED = "not-included", "its path matches none of include_paths of the dataset; not opened"
    NOT_AN_IMAGE = "not-an-image", "another kind of file: text, table, DICOM"
    UNSAFE_NAME = "unsafe-name", "a zip entry whose name is absolute or leads out of the folder with .."
    SPECIAL_FILE = (
        "special-file",
        "a link out of the folder or within an archive, a pipe, a socket or a device: never opened",
    )
    ARCHIVE = "archive", "an archive that is not read (.7z, .rar, ...) or holds no files: unpack it first"
    UNREADABLE = "unreadable", "damaged, truncated or encrypted"
    OTHER_FORMAT = "other-format", "a kind of picture that is not read: convert it to PNG or JPEG"
    RAW_VALUES = (
        "raw-values",
        "values without a known black and white: floating point, signed, or 16-bit ones in a small part of their "
        "range, as a scanner stores them; save it as it is displayed",
    )
    TRANSPARENT = "transparent", "wholly transparent, or with parts that look different on every background"
    NO_CONTRAST = "no-contrast", "empty, saturated, a mask, or of so few grey levels that nothing can be seen"
    TOO_LARGE = "too-large", "more pixels or bytes than a chest image has: possibly a decompression bomb"
    SEVERAL_FRAMES = "several-frames", "an animation or a stack of pages"
    SYNTHETIC = (
        "synthetic",
        "made by a generator: a folder around it says that it holds a synthetic set, or a label beside it has a seed",
    )
    NO_CLASS = "no-class", "not in a class folder, or in one whose name has no letter or digit"
    NO_SPLIT = "no-split", "in none of the split folders, while other images are"
    TWO_CLASSES = "two-classes", "the same or nearly the same image lies in the folders of two classes"
    DUPLICATE = "duplicate", "the same pixels as an image that is used"
    NEAR_DUPLICATE = (
        "near-duplicate",
        "nearly the same as an image that is used on the other side of the split, or of another patient",
    )


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One file. path: below the folder or zip; entries of a zip below the name of the zip.

    split: name of its split folder, "" without one. patient: from the file name, else the name of its group. bytes:
    size of the file. sha256: of its bytes. pixels_sha256: of its size and grey levels. width, height: pixels, rotated
    as EXIF says. mode: Pillow's. phash: imaging/perceptual_hash.py. group: number of its group of near-duplicates, -1
    for an image without any. twin: path of the image that is used in its place. status: an ImageStatus. Fields with a
    default are unknown for files that are not images.
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
    def is_image(self) -> bool:
        """Whether it could be decoded; then its bytes are kept."""
        return bool(self.pixels_sha256)

    @property
    def is_selected(self) -> bool:
        """Whether it is used."""
        return self.status == ImageStatus.SELECTED


def rows_digest(rows: Iterable[ImageRow]) -> str:
    """sha256 (hex) over all rows, which changes with any file and any status."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(asdict(row)) + b"\n")
    return digest.hexdigest()


def rows_to_parquet(rows: Iterable[ImageRow]) -> bytes:
    """The rows as one Parquet file, in the order given."""
    import pyarrow as pa

    from chestgan_core.local.parquet import write_parquet

    types: dict[object, pa.DataType] = {str: pa.string(), int: pa.int64()}
    schema = pa.schema([(field.name, types[field.type]) for field in fields(ImageRow)])
    return write_parquet(
        pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), compression="zstd"
    )


def rows_from_parquet(data: bytes) -> tuple[ImageRow, ...]:
    """The inverse of rows_to_parquet."""
    from chestgan_core.local.parquet import read_parquet

    names = [field.name for field in fields(ImageRow)]
    table = read_parquet(data, "the rows of raw images", "materialize raw_images again", columns=names)
    return tuple(ImageRow(**row) for row in table.to_pylist())
