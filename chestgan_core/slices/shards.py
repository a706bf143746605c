"""Shards: the normalized slices of some series in one file, with one row per slice beside it.

FILE.safetensors has the tensor `slices`, int16 HU, (N, size, size); FILE.parquet has N rows in the same
order. Equal shards give equal bytes. The tensor file is written last and names the sha256 of its rows, so
that a killed write leaves either the old pair, the new pair, or a pair that `read_shard` refuses.
"""

import hashlib
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from chestgan_core.atomic import replacing
from chestgan_core.errors import BadInput

REMEDY = "make the shard again"


@dataclass(frozen=True)
class SliceRow:
    """What is known about one slice. patient, series_uid and sop_uid are pseudonyms where the source is
    private.

    position_mm: along the normal, larger towards the head. lung_share: lung area / body area. pixel_mm: the
    edge of a pixel of the normalized slice.
    """

    patient: str
    histology: str
    series_uid: str
    sop_uid: str
    position_mm: float
    lung_share: float
    pixel_mm: float


SCHEMA = pa.schema([(f.name, pa.float64() if f.type is float else pa.string()) for f in fields(SliceRow)])


@dataclass(frozen=True)
class Shard:
    """slices: (N, size, size) int16, HU in [-1024, 3071]; rows: N of them, in the same order."""

    slices: np.ndarray
    rows: tuple[SliceRow, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where slices and rows do not belong together."""
        if self.slices.dtype != np.int16 or self.slices.ndim != 3 or len(self.slices) != len(self.rows):
            raise ValueError(f"slices {self.slices.dtype} {self.slices.shape} for {len(self.rows)} rows")


def rows_path(path: Path) -> Path:
    """Where the rows of the shard at `path` are."""
    return path.with_suffix(".parquet")


def write_shard(shard: Shard, path: Path) -> None:
    """Writes `path` (FILE.safetensors) and FILE.parquet, each under a temporary name first.

    Raises BadInput: another ending, or the disk is full; OSError.
    """
    if path.suffix != ".safetensors":
        raise BadInput(path, "a shard's name ends in .safetensors", "give it that ending")
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in shard.rows], schema=SCHEMA), stream)
    rows = stream.getvalue()
    # One entry of metadata only: safetensors writes several in a random order.
    metadata = {"rows_sha256": hashlib.sha256(rows).hexdigest()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(rows_path(path)) as temporary:
        temporary.write_bytes(rows)
    with replacing(path) as temporary:
        try:
            # Straight from the array to the disk, as a shard may take most of the memory.
            save_file({"slices": np.ascontiguousarray(shard.slices)}, temporary, metadata)
        except SafetensorError as error:
            cause = "cannot be written"
            raise BadInput(path, cause, "check its permissions and the space on the disk") from error
        # safetensors lets nobody else read its files; who may read the rows may read the slices.
        temporary.chmod(rows_path(path).stat().st_mode)


def read_shard(path: Path) -> Shard:
    """The shard at `path`. Raises BadInput if a file is missing or damaged, or the two do not belong
    together.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            slices = file.get_tensor("slices")
        rows = rows_path(path).read_bytes()
    except FileNotFoundError as error:
        raise BadInput(error.filename or path, "there is no such file", "check the path") from error
    except (SafetensorError, OSError) as error:
        raise BadInput(path, "is not a safetensors file with `slices`, or is cut short", REMEDY) from error
    if hashlib.sha256(rows).hexdigest() != metadata.get("rows_sha256"):
        raise BadInput(rows_path(path), f"the rows do not belong to {path.name}", REMEDY)
    try:
        table = pq.read_table(io.BytesIO(rows), schema=SCHEMA)
        return Shard(slices, tuple(SliceRow(**row) for row in table.to_pylist()))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise BadInput(path, "slices and rows do not fit each other", REMEDY) from error
