"""What is known of each training slice besides its pixels, and what of it networks are told.

In: classes, positions and boxes of slices, or layouts of images that are asked for. Out: a `Condition` of any of them,
as networks take it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.config.experiment import Experiment
from chestgan_core.layouts.layout import NOTHING_ASKED, Layout
from chestgan_core.networks.conditioning import Condition


@dataclass(frozen=True)
class SliceConditions:
    """What N slices show, or images are asked to show. None: the experiment has no such condition.

    classes: (N,) int64, indices into experiment.classes. positions: (N,) float32, 0 at the base of the lungs, 1 at
    their apex, NaN where not known. boxes: (N, K, 4) float32, left, top, right, bottom in pixels of the image, NaN
    where there is none. annotated: (N,) bool, whether a slice without boxes shows no tumour; False: nobody knows.
    """

    classes: Tensor | None = None
    positions: Tensor | None = None
    boxes: Tensor | None = None
    annotated: Tensor | None = None

    def to(self, device: torch.device) -> "SliceConditions":
        """The same on a device."""
        return SliceConditions(*(None if part is None else part.to(device) for part in vars(self).values()))

    def some(self, chosen: Sequence[int]) -> "SliceConditions":
        """Of the slices at these indices."""
        return SliceConditions(
            *(None if part is None else part[list(chosen)] for part in vars(self).values())
        )

    def at(self, chosen: Tensor | slice, resolution: int) -> Condition:
        """Of some of the slices. chosen: indices (n,) int64, or a slice."""

        def of(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[chosen]

        boxes = of(self.boxes)
        fractions = None if boxes is None else boxes / resolution
        return Condition(of(self.classes), of(self.positions), fractions, of(self.annotated))

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """All of them, in one order, for a fingerprint."""
        return self.classes, self.positions, self.boxes, self.annotated


NO_CONDITIONS = SliceConditions()


def conditions_asked(
    layouts: Sequence[Layout], classes: Tensor | None, experiment: Experiment
) -> SliceConditions:
    """What layouts ask of the generator of an experiment. classes: (N,) int64 of the images, or None."""
    asks = experiment.conditions
    positions = boxes = annotated = None
    if asks.position:
        given = [torch.nan if layout.position is None else layout.position for layout in layouts]
        positions = torch.tensor(given, dtype=torch.float32)
    if asks.tumour is not None:
        boxes = padded_boxes([layout.boxes or () for layout in layouts])
        annotated = torch.tensor([layout.boxes is not None for layout in layouts])
    return SliceConditions(classes, positions, boxes, annotated)


def class_of(seed: int, experiment: Experiment, layout: Layout = NOTHING_ASKED) -> str:
    """The class of a seed's image: the one asked for, else seed modulo their number; empty where there are none."""
    names = experiment.classes
    return layout.class_name or (names[seed % len(names)] if names else "")


def class_numbers(
    seeds: Sequence[int], experiment: Experiment, layouts: Sequence[Layout] | None = None
) -> Tensor | None:
    """(N,) int64, the classes of these seeds' images as networks take them; None where the experiment has none."""
    if not experiment.classes:
        return None
    asked = layouts or [NOTHING_ASKED] * len(seeds)
    numbers = [
        experiment.classes.index(class_of(seed, experiment, layout))
        for seed, layout in zip(seeds, asked, strict=True)
    ]
    return torch.tensor(numbers, dtype=torch.int64)


def padded_boxes(boxes: Sequence[Sequence[tuple[float, float, float, float]]]) -> Tensor:
    """(N, K, 4) float32 with NaN where an image has fewer than K, 1 or more; of more than MAX_TUMOURS the largest."""
    kept = [sorted(some, key=_area, reverse=True)[:MAX_TUMOURS] for some in boxes]
    padded = torch.full((len(kept), max([1, *map(len, kept)]), 4), torch.nan)
    for row, some in zip(padded, kept, strict=True):
        if some:
            row[: len(some)] = torch.tensor(some)
    return padded


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
