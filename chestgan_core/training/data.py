"""Slices as networks see them: from shards, through the experiment's window, all in memory.

In: shard files, (N, S, S) int16 each, HU of CT or grey levels of pictures, and where their tumours are. Out:
(N, 1, R, R) float32 in [-1, 1], with the patient of each slice and what networks are told of it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.imaging.windows import Window
from chestgan_core.metrics.degenerate import degenerate
from chestgan_core.slices.marks import SliceMarks, boxes_of
from chestgan_core.slices.other_patients import DistinctSlices, Side, require_other_patients
from chestgan_core.slices.shards import SliceRow, read_shard
from chestgan_core.training.conditions import SliceConditions, padded_boxes

# Slices resized at once: bounds the float copy of a large shard.
RESIZE_BATCH = 256


@dataclass(frozen=True)
class LoadedSlices:
    """images: (N, 1, R, R) float32 in [-1, 1]. classes: (N,) int64, indices into experiment.classes; None without.
    patients: the patient of each slice. positions, boxes, annotated: as in SliceConditions, None where the experiment
    does not ask for them. pixel_mm: (N,) float32, the edge of a pixel of the images, NaN where not known; None: of
    none. rows: of the shards, one per slice; () where there were no shards.
    """

    images: Tensor
    classes: Tensor | None
    patients: tuple[str, ...]
    positions: Tensor | None = None
    boxes: Tensor | None = None
    annotated: Tensor | None = None
    pixel_mm: Tensor | None = None
    rows: tuple[SliceRow, ...] = field(default=(), repr=False)

    @property
    def conditions(self) -> SliceConditions:
        """What networks are told of the slices."""
        return SliceConditions(self.classes, self.positions, self.boxes, self.annotated)

    def told(self) -> dict[str, int]:
        """How many slices show a tumour, surely none, or are unknown, and how many have a position; only what the
        experiment asks for.
        """
        counts = {}
        if self.boxes is not None and self.annotated is not None:
            shown = self.boxes.isfinite().any(dim=(1, 2))
            counts["with_tumour"] = int(shown.sum())
            counts["without_tumour"] = int((self.annotated & ~shown).sum())
            counts["unknown_tumour"] = len(self) - counts["with_tumour"] - counts["without_tumour"]
        if self.positions is not None:
            counts["with_position"] = int(self.positions.isfinite().sum())
            counts["without_position"] = len(self) - counts["with_position"]
        return counts

    def __len__(self) -> int:
        return len(self.images)


def load_training_slices(
    paths: Sequence[Path], experiment: Experiment, marks: SliceMarks | None = None
) -> LoadedSlices:
    """`load_slices` of what an experiment is trained on, checked.

    Raises BadInput: what load_slices raises, slices that show nothing (of one value, all equal), a class with too few
    patients (says how many), no slice with a tumour or of a known position where the experiment asks for them, a batch
    larger than the set.
    """
    loaded = load_slices(paths, experiment, marks)
    numbers = [] if loaded.classes is None else loaded.classes.tolist()
    pairs = set(zip(numbers, loaded.patients, strict=True)) if numbers else set()
    patients = Counter(number for number, _ in pairs)
    for number, name in enumerate(experiment.classes):
        found = patients[number]
        if found < experiment.min_patients_per_class:
            raise BadInput(
                f"class {name} of {experiment.name}",
                f"has {found} patient(s) to train on, at least {experiment.min_patients_per_class} are needed",
                "leave it out of classes: a generator memorizes few people; or set min_patients_per_class",
            )
    _require_conditions(loaded, experiment)
    if len(loaded) < experiment.training.batch_size:
        raise BadInput(
            f"experiment {experiment.name}",
            f"its batch of {experiment.training.batch_size} is larger than the set of {len(loaded)} slices",
            "lower training.batch_size, or give more slices",
        )
    _require_images(loaded, "the training slices")
    return loaded


def load_held_out(
    paths: Sequence[Path], trained: LoadedSlices, experiment: Experiment, marks: SliceMarks | None = None
) -> LoadedSlices:
    """`load_slices` of what a training is judged by. Raises BadInput as load_slices does, and where slices or patients
    are those that it is trained on.
    """
    loaded = load_slices(paths, experiment, marks)
    _require_images(loaded, "the held-out slices")
    require_other_patients(_side(trained), _side(loaded), "the held-out slices")
    return loaded


def _require_conditions(loaded: LoadedSlices, experiment: Experiment) -> None:
    """Refuse slices of which nothing is known that the experiment asks for. Raises BadInput."""
    what = f"experiment {experiment.name}"
    if loaded.boxes is not None and not loaded.boxes.isfinite().any():
        cause = f"asks for tumours, and none of its {len(loaded)} slices has a box"
        remedy = "materialize tumour_annotations and training_set, or give --marks of a set with boxes"
        raise BadInput(what, cause, remedy)
    if loaded.positions is not None and not loaded.positions.isfinite().any():
        cause = f"asks for positions, and that of none of its {len(loaded)} slices is known"
        raise BadInput(what, cause, "give scans that show the lungs from base to apex, or leave out position")


def _require_images(loaded: LoadedSlices, what: str) -> None:
    """Refuse slices from which nothing can be learned. Raises BadInput."""
    if found := degenerate(loaded.images.numpy()):
        remedy = "check the window of the experiment, and look at the slices: chestgan normalize writes them"
        raise BadInput(what, f"{found}, so nothing can be learned from them", remedy)


def _side(loaded: LoadedSlices) -> Side:
    return Side(loaded.images.numpy(), loaded.patients)


def load_slices(
    paths: Sequence[Path], experiment: Experiment, marks: SliceMarks | None = None
) -> LoadedSlices:
    """The slices of all shards, in the order of the paths, at the experiment's resolution and through its window.

    Of an experiment with classes only the slices of these classes. Larger slices are downsized with antialiasing before
    the window clips them. marks: where their tumours are; of a slice that is not in it nothing is known. Raises
    BadInput: the experiment asks for tumours and there are no marks, no paths, no slices (of these classes), slices
    smaller than the resolution, a file that is not a shard, a slice in two files, marks of slices of another size.
    """
    if experiment.conditions.tumour is not None and marks is None:
        cause = "asks for tumours, and nothing says where they are in these slices"
        raise BadInput(
            f"experiment {experiment.name}", cause, "give --marks, the slices.parquet of a training set"
        )
    numbers = {name: number for number, name in enumerate(experiment.classes)}
    parts: list[Tensor] = []
    rows: list[SliceRow] = []
    scales: list[float] = []
    given = DistinctSlices()
    for path in paths:
        shard = read_shard(path)
        given.add(path, shard)
        chosen = [at for at, row in enumerate(shard.rows) if row.histology in numbers or not numbers]
        rows += [shard.rows[at] for at in chosen]
        slices = torch.from_numpy(shard.slices)  # (N, S, S) int16
        found, size = slices.shape[-1], experiment.resolution
        if len(slices) and found < size:
            cause = f"holds {found} x {found} slices, the experiment {experiment.name} needs {size} x {size}"
            raise BadInput(path, cause, _remedy(size, found))
        scales += [size / found] * len(chosen)
        for few in torch.split(torch.tensor(chosen), RESIZE_BATCH) if chosen else ():
            parts.append(as_images(slices[few], size, experiment.display_window))
    if not rows:
        if numbers:
            cause = f"hold no slices of the classes {', '.join(numbers)}"
            raise BadInput(
                "the data", cause, f"change the classes of {experiment.name}, or add patients of them"
            )
        raise BadInput("the data", "hold no slices", "give shards made by chestgan normalize")
    classes = torch.tensor([numbers[row.histology] for row in rows]) if numbers else None
    positions = boxes = annotated = None
    if experiment.conditions.position:
        positions = torch.tensor([row.position if row.position >= 0 else torch.nan for row in rows])
    if marks is not None and experiment.conditions.tumour is not None:
        of_rows = [
            boxes_of(marks, row, round(experiment.resolution / scale))
            for row, scale in zip(rows, scales, strict=True)
        ]
        boxes = padded_boxes(
            [
                [
                    (scale * box.left, scale * box.top, scale * box.right, scale * box.bottom)
                    for box in some or ()
                ]
                for scale, some in zip(scales, of_rows, strict=True)
            ]
        )
        annotated = torch.tensor([some is not None for some in of_rows])
    return LoadedSlices(
        torch.cat(parts),
        classes,
        tuple(row.patient for row in rows),
        positions,
        boxes,
        annotated,
        torch.tensor([row.pixel_mm / scale or torch.nan for row, scale in zip(rows, scales, strict=True)]),
        tuple(rows),
    )


def as_images(slices: Tensor, size: int, window: Window) -> Tensor:
    """(N, S, S) int16 in HU or grey levels to (N, 1, size, size) float32 in [-1, 1], as networks see them.

    Larger slices are downsized with antialiasing before the window clips them. A float copy of all of them is made.
    """
    values = slices[:, None].float()
    if values.shape[-1] > size:
        values = functional.interpolate(values, size=(size, size), mode="bilinear", antialias=True)
    unit: Tensor = window.to_unit(values)
    return unit


def _remedy(needed: int, found: int) -> str:
    """Larger slices, or a resolution that the slices have."""
    return f"normalize with --size {needed} or more, or choose the resolution {1 << (found.bit_length() - 1)}"
