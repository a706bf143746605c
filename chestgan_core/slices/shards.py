"""Shards: normalized slices in one file, with a row per slice in another beside it.

FILE.safetensors has the tensor `slices`, int16 HU, (N, size, size); FILE.parquet has N rows in the same order. Equal
shards give equal bytes. The tensor file is written last and names the sha256 of its rows, so that a killed write leaves
the old pair, the new pair, or a pair that `read_shard` refuses.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from chestgan_core.errors import BadInput
from chestgan_core.local.files import open_regular, replacing
from chestgan_core.local.parquet import column_names, read_parquet, write_parquet
from chestgan_core.slices.mapped_tensors import map_tensor

REMEDY = "make the shard again"
MAX_ROWS_BYTES = 2**28  # of a shard of half a million slices
MAX_TEXT = 1024  # characters; DICOM allows 64 for the longest text of a row
GENERATED = "generated"
"""Field of the metadata of FILE.safetensors whose slices a generator made; says which, as JSON."""
UNKNOWN_POSITION = -1.0
"""`position` of a slice whose place in the lungs is not known: pictures, scans of a part of the lungs, slices that show
no lung.
"""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """What is known about one slice. A field with a default may be unknown, and then has the default.

    patient, series_uid, sop_uid: pseudonyms where the source is private; patient and sop_uid together name one slice.
    stack: which scan or reconstruction of its series (dicom/stacks.py), empty where it has one. position_mm: along the
    normal, larger towards the head. lung_fraction: lung area / body area. pixel_mm: the edge of a pixel of the
    normalized slice. kernel, thickness_mm: of the reconstruction, from the header of the slice itself; of a private
    source the family of the kernel. phash: perceptual hash (imaging/perceptual_hash.py) of the normalized slice as it
    is displayed. stored_rows, stored_columns: the size of the stored image. upright: how it was turned (letters of
    `TURNS`, in that order).
    crop_top to crop_columns: the part of the upright image that became the normalized slice, in its pixels; it may
    reach beyond the image, so that crop_top and crop_left may be negative. position: in the lungs, from 0 at their base
    to 1 at their apex (lung_position.py); UNKNOWN_POSITION where it is not known. manufacturer: family of the scanner's
    (manufacturers.py). sex, age_band: of the patient, as far as the header says them (patient_facts.py); they are here
    only, so that an evaluation can tell groups apart, and in nothing that is published.
    """

    patient: str
    histology: str
    series_uid: str
    sop_uid: str
    position_mm: float
    lung_fraction: float
    pixel_mm: float
    kernel: str = ""
    thickness_mm: float = 0.0
    phash: str = ""
    stored_rows: int = 0
    stored_columns: int = 0
    upright: str = ""
    crop_top: int = 0
    crop_left: int = 0
    crop_rows: int = 0
    crop_columns: int = 0
    stack: str = ""
    position: float = UNKNOWN_POSITION
    manufacturer: str = ""
    sex: str = ""
    age_band: str = ""

    @property
    def has_position(self) -> bool:
        """Whether its place in the lungs is known."""
        return self.position != UNKNOWN_POSITION


TURNS = "TRC"
"""Transposed, then rows flipped, then columns flipped, as dicom.geometry.Geometry.upright does it."""

_TYPES: dict[object, pa.DataType] = {str: pa.string(), float: pa.float64(), int: pa.int32()}
SCHEMA = pa.schema([(field.name, _TYPES[field.type]) for field in fields(SliceRow)])


@dataclass(frozen=True)
class Shard:
    """slices: (N, size, size) int16, HU in [-1024, 3071] or grey levels 0 to 255; rows: N of them, in this order."""

    slices: np.ndarray
    rows: tuple[SliceRow, ...]

    def __post_init__(self) -> None:
        """Raises ValueError: another dtype or shape, or not as many rows as slices."""
        if self.slices.dtype != np.int16 or self.slices.ndim != 3 or len(self.slices) != len(self.rows):
            raise ValueError(f"slices {self.slices.dtype} {self.slices.shape} for {len(self.rows)} rows")


def rows_path(path: Path) -> Path:
    """Where the rows of the shard at `path` are."""
    return path.with_suffix(".parquet")


def write_shard(shard: Shard, path: Path) -> None:
    """Write a shard as FILE.safetensors and FILE.parquet, each under a temporary name first.

    Args:
        shard: Slices in HU, and their rows.
        path: FILE.safetensors; its folder is made where it is missing.

    Raises:
        BadInput: The name has another ending, or the file cannot be written.
        OSError: The folder cannot be written.

    Examples:
        >>> import tempfile
        >>> row = SliceRow("P1", "A", "1.2", "1.2.1", position_mm=0.0, lung_fraction=0.3, pixel_mm=5.0)
        >>> shard = Shard(np.full((1, 64, 64), -1024, np.int16), (row,))  # air, in HU
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_shard(shard, Path(folder) / "air.safetensors")
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['air.parquet', 'air.safetensors']
    """
    if path.suffix != ".safetensors":
        raise BadInput(path, "does not end in .safetensors", "give the shard that ending")
    columns = {name: [getattr(row, name) for row in shard.rows] for name in SCHEMA.names}
    rows = write_parquet(pa.table(columns, schema=SCHEMA))
    # One entry of metadata only: safetensors writes several in a random order.
    metadata = {"rows_sha256": hashlib.sha256(rows).hexdigest()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(rows_path(path)) as temporary:
        temporary.write_bytes(rows)
    try:
        with replacing(path) as temporary:
            # Straight from the array to the disk, as a shard may take most of the memory.
            save_file({"slices": np.ascontiguousarray(shard.slices)}, temporary, metadata)
            # safetensors lets nobody else read its files; who may read the rows may read the slices.
            temporary.chmod(rows_path(path).stat().st_mode)
    except SafetensorError as error:
        raise BadInput(path, "cannot be written", "check its permissions and its disk") from error


def require_replaceable(path: Path) -> None:
    """Refuse to replace what is not ours: FILE.safetensors without `slices`, or FILE.parquet without rows of slices.

    Raises BadInput.
    """
    remedy = "give another name"
    if path.is_dir() or rows_path(path).is_dir():
        raise BadInput(path, "is a folder", remedy)
    if path.exists() and not _has_slices(path):
        raise BadInput(path, "is there, and holds no slices", remedy)
    if rows_path(path).exists() and not {"patient", "sop_uid"} <= set(_columns_of(rows_path(path))):
        raise BadInput(rows_path(path), "is there, and holds no rows of slices", remedy)


def _has_slices(path: Path) -> bool:
    try:
        with open_regular(path) as file, safe_open(path, framework="np") as tensors:
            return bool(file) and "slices" in tensors.keys()  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError):
        return False


def _columns_of(path: Path) -> list[str]:
    try:
        with open_regular(path):
            return column_names(path)
    except (pa.ArrowException, OSError):
        return []


def read_shard(
    path: Path, chosen: Sequence[int] | None = None, *, synthetic: bool = False, mapped: bool = False
) -> Shard:
    """Read a shard, or some of its slices.

    Args:
        path: FILE.safetensors, with FILE.parquet beside it.
        chosen: Indices of the slices to read, in this order; by default all. Only these are read into memory.
        synthetic: Read slices that a generator made, too: no generator is trained on, or judged by, what one made.
        mapped: Leave all slices in the file: an array that cannot be written, and reads what is taken from it.

    Returns:
        (N, size, size) int16 in HU, and N rows.

    Raises:
        BadInput: A file is missing or damaged, the slices are not square int16 ones or a generator made them, the two
            do not belong together, or an index is out of range.

    Examples:
        >>> import tempfile
        >>> row = SliceRow("P1", "A", "1.2", "1.2.1", position_mm=0.0, lung_fraction=0.3, pixel_mm=5.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "lung.safetensors"
        ...     write_shard(Shard(np.full((2, 64, 64), -850, np.int16), (row, row)), path)
        ...     shard = read_shard(path, chosen=[1])
        >>> shard.slices.shape, int(shard.slices.max()), shard.rows[0].pixel_mm  # HU, mm
        ((1, 64, 64), -850, 5.0)
    """
    _require_files(path, rows_path(path))
    try:
        with safe_open(path, framework="np") as file:
            require_slices(file, path)
            metadata = file.metadata() or {}
            if GENERATED in metadata and not synthetic:
                raise BadInput(path, "holds slices that a generator made", "give slices of scans")
            if mapped:
                slices = map_tensor(path, "slices")
            else:
                slices = file.get_tensor("slices") if chosen is None else _read_chosen(file, chosen)
        data = rows_path(path).read_bytes()
    except FileNotFoundError as error:
        raise BadInput(error.filename or path, "is not there", "check the path") from error
    except (SafetensorError, OSError) as error:
        raise BadInput(path, "is not a safetensors file with `slices`, or is cut short", REMEDY) from error
    if hashlib.sha256(data).hexdigest() != metadata.get("rows_sha256"):
        raise BadInput(rows_path(path), f"the rows do not belong to {path.name}", REMEDY)
    rows = parse_rows(data, rows_path(path))
    try:
        return Shard(slices, rows if chosen is None else tuple(rows[index] for index in chosen))
    except (ValueError, IndexError) as error:
        raise BadInput(path, "slices and rows do not match", REMEDY) from error


def parse_rows(data: bytes, where: object) -> tuple[SliceRow, ...]:
    """The rows in the bytes of FILE.parquet. where: what an error names. Raises BadInput."""
    table = read_parquet(
        data, where, REMEDY, schema=SCHEMA, exact=True, max_bytes=MAX_ROWS_BYTES, error=BadInput
    )
    columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    for name, values in zip(SCHEMA.names, columns, strict=True):
        if any(
            len(value) > MAX_TEXT if isinstance(value, str) else not math.isfinite(value or 0)
            for value in values
        ):
            raise BadInput(where, f"has a value out of range in the column {name}", REMEDY)
    # Most texts and integers are the same on all slices of a shard; each is there once, as a training set has a million
    # rows. Not numbers with a fraction: 0.0 equals -0.0, and has other bytes.
    for values, kind in zip(columns, SCHEMA.types, strict=True):
        if kind != pa.float64():
            once: dict[object, object] = {}
            values[:] = [once.setdefault(value, value) for value in values]
    rows = tuple(SliceRow(*values) for values in zip(*columns, strict=True))
    if any(row.has_position and not 0 <= row.position <= 1 for row in rows):
        raise BadInput(where, "has a value out of range in the column position", REMEDY)
    return rows


def read_rows(path: Path) -> tuple[SliceRow, ...]:
    """The rows of the shard at `path` without its slices. Raises BadInput."""
    _require_files(rows_path(path))
    try:
        return parse_rows(rows_path(path).read_bytes(), rows_path(path))
    except OSError as error:
        raise BadInput(rows_path(path), "cannot be read", "check the path") from error


def require_slices(file: Any, path: Path) -> None:
    """Refuse a tensor `slices` that is not (N, S, S) int16, from the header alone. file: of safe_open.

    Raises BadInput, SafetensorError (there is no such tensor).
    """
    stored = file.get_slice("slices")
    shape, kind = stored.get_shape(), stored.get_dtype()
    if kind != "I16" or len(shape) != 3:
        sides = " x ".join(map(str, shape)) or "no"
        raise BadInput(path, f"has {sides} values of type {kind} as `slices`, not (N, S, S) int16", REMEDY)
    if shape[1] != shape[2] or not shape[1]:
        raise BadInput(path, f"has slices of {shape[2]} x {shape[1]} pixels, not square ones", REMEDY)


def _require_files(*paths: Path) -> None:
    for path in paths:
        if path.exists() and not path.is_file():
            raise BadInput(path, "is not a file", "check the path")


def _read_chosen(file: Any, chosen: Sequence[int]) -> np.ndarray:
    stored = file.get_slice("slices")
    count, *shape = stored.get_shape()
    if any(not 0 <= index < count for index in chosen):
        raise SafetensorError(f"has {count} slices")
    slices = np.empty((len(chosen), *shape), np.int16)
    for place, index in enumerate(chosen):
        slices[place] = stored[index : index + 1][0]
    return slices
