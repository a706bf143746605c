"""What is known of the tumours on the slices of a training set: where they are, that there is none, or nothing.

In: slices.parquet of a training set. Out: `SliceMarks`, by which trainings find the boxes of the slices that they load.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from chestgan_core.errors import BadInput, ChestganError, DamagedObject
from chestgan_core.local.parquet import read_parquet
from chestgan_core.slices.shards import MAX_TEXT, SliceRow
from chestgan_core.slices.training_rows import REMEDY, SCHEMA, WHERE
from chestgan_core.slices.tumour_boxes import SliceBox

SliceMarks: TypeAlias = Mapping[tuple[str, str], tuple[SliceBox, ...] | None]
"""(patient, sop_uid) -> boxes of the tumours, in pixels of the normalized slice. (): surely no tumour, as nobody who
annotated the series marked one there. None, or no such slice: nobody knows (annotated_slices.py).
"""

MAX_BYTES = 2**28  # of the columns read: a million slices
_BATCH = 10_000  # rows that are Python objects at once
MAX_EDGE = 1024  # pixels per side of the largest normalized slice (recipe.py)
MAX_BOXES = 1000  # of one slice; what is drawn by hand has some
_COLUMNS = pa.schema(
    [SCHEMA.field(name) for name in ("patient", "sop_uid", "pixel_mm", "annotated", "boxes")]
)
_ROUNDING = 0.01  # of a box: its size in mm and in pixels was computed from the same numbers


def read_marks(
    data: bytes | Path,
    where: object = WHERE,
    remedy: str = REMEDY,
    error: type[ChestganError] = DamagedObject,
) -> SliceMarks:
    """The marks in slices.parquet of a training set.

    A UID that a patient has twice says nothing: nobody can tell which of the slices is meant.

    Args:
        data: The file, or its bytes.
        where: What an error names.
        remedy: What an error says to do.
        error: The class of the error.

    Raises:
        ChestganError: Of the class `error`: not such a file, or a box that is empty, beyond any slice, or not a number.
    """
    table = read_parquet(data, where, remedy, schema=_COLUMNS, max_bytes=MAX_BYTES, error=error)
    marks: dict[tuple[str, str], tuple[SliceBox, ...] | None] = {}
    for row in (row for batch in table.to_batches(_BATCH) for row in batch.to_pylist()):
        slice_ = row["patient"], row["sop_uid"]
        boxes = _boxes(row["boxes"], row["pixel_mm"])
        if max(map(len, slice_)) > MAX_TEXT:
            raise error(where, "has a name of a slice that is too long", remedy)
        if boxes is None or (boxes and not row["annotated"]):
            raise error(where, f"has an impossible box on the slice {row['sop_uid']}", remedy)
        marks[slice_] = None if slice_ in marks or not row["annotated"] else boxes
    return marks


def marks_from_file(path: Path) -> SliceMarks:
    """The marks in a file that somebody names. Raises BadInput."""
    remedy = "give the slices.parquet of the training set that the slices are of"
    return read_marks(path, path, remedy, BadInput)


def boxes_of(marks: SliceMarks, row: SliceRow, size: int) -> tuple[SliceBox, ...] | None:
    """The boxes of one slice; (): surely no tumour; None: nobody knows.

    Args:
        marks: Of its training set.
        row: Of the slice.
        size: Its pixels per side.

    Raises:
        BadInput: The marks are of the same slice at another size, where its boxes lie on other pixels.
    """
    boxes = marks.get((row.patient, row.sop_uid))
    for box in boxes or ():
        whole = 0 < box.left < box.right < size, 0 < box.top < box.bottom < size
        lengths = _lengths(box, row.pixel_mm)
        if box.right > size or box.bottom > size or not _at_most(lengths) or not _at_least(lengths, whole):
            cause = f"are of another size than the slice {row.sop_uid} of {size} x {size} pixels"
            raise BadInput("the marks", cause, "give the slices.parquet of the set that the slices are of")
    return boxes


def _boxes(values: Iterable[Mapping[str, Any] | None], pixel_mm: float) -> tuple[SliceBox, ...] | None:
    """None: one of them is impossible."""
    boxes: list[SliceBox] = []
    for value in values:
        if value is None or not all(
            isinstance(number, float) and math.isfinite(number) for number in value.values()
        ):
            return None
        box = SliceBox(**value)
        inside = 0 <= box.left < box.right <= MAX_EDGE and 0 <= box.top < box.bottom <= MAX_EDGE
        if not inside or len(boxes) == MAX_BOXES or not _at_most(_lengths(box, pixel_mm)):
            return None
        boxes.append(box)
    return tuple(boxes)


def _lengths(box: SliceBox, pixel_mm: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """mm that are shown, and mm of the whole box, of which the edge of the slice may cut a part: along x, along y."""
    return (
        ((box.right - box.left) * pixel_mm, box.width_mm),
        ((box.bottom - box.top) * pixel_mm, box.height_mm),
    )


def _at_most(lengths: Iterable[tuple[float, float]]) -> bool:
    return all(0 < shown <= whole * (1 + _ROUNDING) for shown, whole in lengths)


def _at_least(lengths: Iterable[tuple[float, float]], uncut: Iterable[bool]) -> bool:
    return all(
        shown >= whole * (1 - _ROUNDING)
        for (shown, whole), is_uncut in zip(lengths, uncut, strict=True)
        if is_uncut
    )
