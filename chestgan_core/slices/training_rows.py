"""slices.parquet of a training set: a row per used slice, with the UID of its source.

In: the used slices. Out: rows as plain data, Parquet bytes, and from these the chosen slices of each shard.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, overload

import pyarrow as pa

from chestgan_core.local.parquet import read_parquet, write_parts
from chestgan_core.slices.selection import UsedSlice

_BOX = pa.struct(
    [(name, pa.float64()) for name in ("left", "top", "right", "bottom", "width_mm", "height_mm")]
)
_COLUMNS: dict[str, pa.DataType] = {
    "shard": pa.string(),
    "index": pa.int32(),
    "patient": pa.string(),
    "histology": pa.string(),
    "side": pa.string(),
    "series_uid": pa.string(),
    "sop_uid": pa.string(),
    "stack": pa.string(),
    "position_mm": pa.float64(),
    "position": pa.float64(),
    "pixel_mm": pa.float64(),
    "lung_fraction": pa.float64(),
    "kernel": pa.string(),
    "thickness_mm": pa.float64(),
    "annotated": pa.bool_(),
    "boxes": pa.list_(_BOX),
}
SCHEMA = pa.schema(_COLUMNS)
WHERE, REMEDY = "the rows of a training set", "materialize training_set again"
_PART = 50_000  # rows that are Python objects at once
_OF_SLICE = [name for name in _COLUMNS if name not in ("shard", "index", "side", "annotated", "boxes")]
MEANINGS = {
    "index": "of the slice in its shard",
    "histology": "class of the patient",
    "position_mm": "along the body, larger towards the head",
    "position": "in the lungs, from 0 at their base to 1 at their apex; -1: not known",
    "pixel_mm": "edge of a pixel",
    "lung_fraction": "area of lung over that of the body",
    "manufacturer": "family of the scanner's",
    "sex": "of the patient, as the header says it; in nothing that is published",
    "age_band": "of the patient; in nothing that is published",
    "annotated": "whether an empty list of boxes means that there is no tumour; false: nobody knows",
    "boxes": "of tumours, in pixels of the slice, half-open, origin top left; and their size in mm",
}
"""Of the columns of `SCHEMA`, and of the rows of a shard, that need words."""


class TrainingRows(Sequence[Mapping[str, Any]]):
    """A row per used slice, in their order. Each is made when it is asked for: a million at once would take a gigabyte.

    shard: its name in the manifest. index: of the slice in it. boxes: tumours, in pixels of the normalized slice
    (half-open, origin top left) and mm. annotated: whether a slice without boxes surely shows no tumour
    (annotated_slices.py). The other columns are those of the shard.
    """

    def __init__(self, used: Sequence[UsedSlice]) -> None:
        self._used = used

    def __len__(self) -> int:
        return len(self._used)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> "TrainingRows": ...
    def __getitem__(self, place: int | slice) -> "Mapping[str, Any] | TrainingRows":
        if isinstance(place, slice):
            return TrainingRows(self._used[place])
        use = self._used[place]
        return {
            "shard": use.candidate.shard,
            "index": use.candidate.index,
            "side": use.side,
            **{name: getattr(use.candidate.row, name) for name in _OF_SLICE},
            "annotated": use.candidate.annotated,
            "boxes": [asdict(box) for box in use.candidate.boxes],
        }


def rows_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows as Parquet; equal rows give equal bytes."""
    parts = (
        pa.Table.from_pylist(list(rows[at : at + _PART]), schema=SCHEMA) for at in range(0, len(rows), _PART)
    )
    return write_parts(parts, SCHEMA, compression="zstd")


def chosen_indices(data: bytes) -> Mapping[tuple[str, str], Sequence[int]]:
    """(name of a shard, side) -> indices of its slices, ascending as in the rows. data: Parquet bytes, verified."""
    table = read_parquet(data, WHERE, REMEDY, columns=["shard", "side", "index"])
    chosen: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for shard, side, index in zip(*(column.to_pylist() for column in table.columns), strict=True):
        chosen[shard, side].append(index)
    return chosen


def patients_of(data: bytes, side: str) -> set[str]:
    """The patients of one side. data: Parquet bytes, verified."""
    table = read_parquet(data, WHERE, REMEDY, columns=["patient", "side"])
    sides = zip(table.column("patient").to_pylist(), table.column("side").to_pylist(), strict=True)
    return {str(patient) for patient, found in sides if found == side}
