"""What is known of the slices of some shards besides their pixels, and the pixels of a few of them at a time.

In: shard files, the experiment that they are for, where their tumours are. Out: a `SliceTable`, from the rows alone:
columns, as an object per slice would take a kilobyte each; and its parts, in the order of the slices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.imaging.windows import Window
from chestgan_core.slices.lung_position import StackEnds
from chestgan_core.slices.mapped_tensors import map_tensor
from chestgan_core.slices.marks import SliceMarks, boxes_of
from chestgan_core.slices.other_patients import DistinctSlices, slice_digests
from chestgan_core.slices.shards import SliceRow, read_shard
from chestgan_core.training.conditions import SliceConditions, padded_boxes

# Slices read and resized at once: bounds what is in memory of a large shard.
PART = 256


@dataclass(frozen=True)
class ShardSlices:
    """The slices of one shard that are used. at: (n,) int64, their indices in it. size: pixels per side."""

    path: Path
    at: NDArray[np.int64]
    size: int


@dataclass(frozen=True)
class SliceTable:
    """N slices, in the order of the shards. patients, conditions: of each. pixel_mm: (N,) float32, the edge of a pixel
    at the experiment's resolution, NaN where not known. lung_mm: the median extent of the lungs from base to apex, 0
    where not known. rows: of the shards; () where they are not kept.
    """

    shards: tuple[ShardSlices, ...]
    patients: tuple[str, ...]
    conditions: SliceConditions
    pixel_mm: Tensor
    lung_mm: float
    rows: tuple[SliceRow, ...]

    def __len__(self) -> int:
        return len(self.patients)

    def parts(self) -> Iterator[Tensor]:
        """(n, S, S) int16, at most PART slices at a time. Raises BadInput: a slice is in two files."""
        given, first = DistinctSlices(), 0
        for shard in self.shards:
            slices, digests = _mapped(shard), set[bytes]()
            for start in range(0, len(shard.at), PART):
                part = slices[shard.at[start : start + PART]]
                digests |= slice_digests(self.patients[first : first + len(part)], part)
                first += len(part)
                yield torch.from_numpy(np.ascontiguousarray(part))
            given.add(shard.path, digests)


def read_table(
    paths: Sequence[Path], experiment: Experiment, marks: SliceMarks | None, *, keep_rows: bool
) -> SliceTable:
    """The slices of all shards; of an experiment with classes only those of these classes. Raises BadInput as
    load_slices does.
    """
    if experiment.conditions.tumour is not None and marks is None:
        cause = "asks for tumours, and nothing says where they are in these slices"
        raise BadInput(
            f"experiment {experiment.name}", cause, "give --marks, the slices.parquet of a training set"
        )
    numbers = {name: number for number, name in enumerate(experiment.classes)}
    columns, shards = _Columns(experiment, marks, keep_rows), []
    for path in paths:
        shard = read_shard(path, mapped=True)
        at = [index for index, row in enumerate(shard.rows) if row.histology in numbers or not numbers]
        found, size = shard.slices.shape[-1], experiment.resolution
        if len(shard.slices) and found < size:
            cause = f"holds {found} x {found} slices, the experiment {experiment.name} needs {size} x {size}"
            raise BadInput(path, cause, _remedy(size, found))
        shards.append(ShardSlices(path, np.array(at, np.int64), found))
        for index in at:
            columns.add(shard.rows[index], found)
    if not columns.patients:
        if numbers:
            cause = f"hold no slices of the classes {', '.join(numbers)}"
            raise BadInput(
                "the data", cause, f"change the classes of {experiment.name}, or add patients of them"
            )
        raise BadInput("the data", "hold no slices", "give shards made by chestgan normalize")
    return columns.table(shards)


def _mapped(shard: ShardSlices) -> NDArray[np.int16]:
    """(M, S, S) all slices of a shard whose rows were read before."""
    try:
        slices = map_tensor(shard.path, "slices")
        if slices.shape[1:] == (shard.size, shard.size) and max(shard.at, default=-1) < len(slices):
            return slices
    except (SafetensorError, OSError):
        pass
    raise BadInput(shard.path, "was changed while it was read", "train again, once it is complete")


def as_images(slices: Tensor, size: int, window: Window) -> Tensor:
    """(N, S, S) int16 in HU or grey levels to (N, 1, size, size) float32 in [-1, 1], as networks see them.

    Larger slices are downsized with antialiasing before the window clips them. A float copy of all of them is made.
    """
    values = slices[:, None].float()
    if values.shape[-1] > size:
        values = functional.interpolate(values, size=(size, size), mode="bilinear", antialias=True)
    unit: Tensor = window.to_unit(values)
    return unit


class _Columns:
    """What is kept of each row."""

    def __init__(self, experiment: Experiment, marks: SliceMarks | None, keep_rows: bool) -> None:
        self._resolution = experiment.resolution
        self._numbers = {name: number for number, name in enumerate(experiment.classes)}
        self._marks = marks if experiment.conditions.tumour is not None else None
        self._rows: list[SliceRow] | None = [] if keep_rows else None
        self.patients: list[str] = []
        self._classes: list[int] = []
        self._positions: list[float] | None = [] if experiment.conditions.position else None
        self._boxes: list[tuple[tuple[float, float, float, float], ...]] = []
        self._annotated: list[bool] = []
        self._pixel_mm: list[float] = []
        self._ends = StackEnds()

    def add(self, row: SliceRow, size: int) -> None:
        """size: pixels per side of the slice."""
        scale = self._resolution / size
        self.patients.append(row.patient)
        self._pixel_mm.append(row.pixel_mm / scale or np.nan)
        self._ends.add(row)
        if self._rows is not None:
            self._rows.append(row)
        if self._numbers:
            self._classes.append(self._numbers[row.histology])
        if self._positions is not None:
            self._positions.append(row.position if row.position >= 0 else np.nan)
        if self._marks is not None:
            boxes = boxes_of(self._marks, row, size)
            self._annotated.append(boxes is not None)
            self._boxes.append(
                tuple(
                    (scale * box.left, scale * box.top, scale * box.right, scale * box.bottom)
                    for box in boxes or ()
                )
            )

    def table(self, shards: Sequence[ShardSlices]) -> SliceTable:
        """Of all slices that were added."""
        asked, heights = self._marks is not None, self._ends.heights().values()
        conditions = SliceConditions(
            torch.tensor(self._classes) if self._numbers else None,
            None if self._positions is None else torch.tensor(self._positions),
            padded_boxes(self._boxes) if asked else None,
            torch.tensor(self._annotated) if asked else None,
        )
        return SliceTable(
            tuple(shards),
            tuple(self.patients),
            conditions,
            torch.tensor(self._pixel_mm),
            float(median(heights)) if heights else 0.0,
            tuple(self._rows or ()),
        )


def _remedy(needed: int, found: int) -> str:
    """Larger slices, or a resolution that the slices have."""
    return f"normalize with --size {needed} or more, or choose the resolution {1 << (found.bit_length() - 1)}"
