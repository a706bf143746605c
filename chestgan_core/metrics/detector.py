"""A small detector of tumours: the judge of synthetic images, and what they are judged by when it learns from them.

In: images with the boxes of their tumours. Out: a network (heat_maps.py, 0.3 million weights) that finds boxes in other
images; one core trains it in a minute.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from chestgan_core.errors import BadInput
from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.box_augmentation import augmented
from chestgan_core.metrics.boxes import Boxes, Detection, checked_all
from chestgan_core.metrics.heat_maps import MULTIPLE, HeatMapNetwork, initialize, loss, peaks

# Raise when a detector learns or finds otherwise: its numbers do not compare then.
VERSION = "1"
# Of slices of 20 phantoms, judged on 40 others: average precision 0.86 at 1,600 images, 0.91 at 3,200, 0.93 at 6,400
# and at 12,800.
IMAGES_SEEN = 9_600
# Large steps of small batches: with 32 images and a rate of 0.002, 3,200 gave 0.83, and without augmentation 0.18
# instead of 0.76, because few tumours were known by heart before it was known what they have in common.
BATCH = 16
LEARNING_RATE = 1e-2
# Larger images are averaged to this size first: a tumour has pixels enough there, and 256 would take four times longer.
WORKING_SIZE = 128
MAX_PER_IMAGE = 8
JUDGED_AT_ONCE = 256


@dataclass(frozen=True)
class Detector:
    """A trained network, in the mode that judges. images_seen: what it was trained with, repetitions counted."""

    network: HeatMapNetwork
    device: torch.device
    images_seen: int


def train_detector(
    images: Tensor,
    boxes: Sequence[Sequence[Edges]],
    *,
    seed: int,
    parts: Sequence[int] | None = None,
    images_seen: int = IMAGES_SEEN,
    augment: bool = False,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> Detector:
    """Train a detector; half of each batch has a tumour where there are images with and without.

    Args:
        images: (N, 1, R, R) float32 in [-1, 1], all of them annotated: an image without a box has no tumour.
        boxes: Of each image, in its pixels. Without any box at all the detector learns to find nothing.
        seed: Of weights, order and augmentation. On one CPU with the same number of threads the same seed gives the
            same bits.
        parts: Of which source each image is, where they are from several that shall be drawn equally often.
        images_seen: The budget, repetitions counted; rounded up to whole batches of BATCH.
        augment: Ordinary augmentation (box_augmentation.py).
        device: Where it is trained.
        progress: Called after each step with its number of images.

    Raises:
        BadInput: no images, or boxes that are none (boxes.py).
    """
    if not len(images):
        raise BadInput("detector of tumours", "there is no image to learn from", "give annotated images")
    marked = _padded(checked_all(boxes, len(images), images.shape[-1]))
    small, marked = _working(images, marked)
    device = torch.device(device)
    with torch.random.fork_rng(
        devices=[]
    ):  # layers draw when they are made, and others draw from the same numbers
        network = HeatMapNetwork()
    initialize(network, seed)
    # Channels beside each other: a quarter faster on a CPU.
    network.to(device).to(memory_format=torch.channels_last).train()
    steps = max(-(-images_seen // BATCH), 1)
    solver = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-3, fused=True)
    plan = torch.optim.lr_scheduler.OneCycleLR(solver, LEARNING_RATE, total_steps=steps + 1, pct_start=0.1)
    random = np.random.default_rng([seed, 1])
    with_tumour = torch.isfinite(marked).all(dim=-1).any(dim=-1).numpy()
    sources = np.zeros(len(images), np.int64) if parts is None else np.array(parts, np.int64)
    for rows in _batches(with_tumour, sources, steps, random):
        some, wanted = small[rows], marked[rows]
        if augment:
            some, wanted = augmented(some, wanted, random)
        value = loss(network(_whole(some).to(device)), wanted.to(device))
        solver.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        solver.step()
        plan.step()
        if progress:
            progress(len(rows))
    return Detector(network.eval(), device, steps * BATCH)


def detect(detector: Detector, images: Tensor, max_per_image: int = MAX_PER_IMAGE) -> list[list[Detection]]:
    """What the detector finds in images (N, 1, R, R) float32 in [-1, 1]: per image at most so many, best first.

    Every peak counts, however low: whoever uses them chooses a threshold of the score. Boxes are clipped to the image.
    """
    size = images.shape[-1]
    found: list[list[Detection]] = []
    for start in range(0, len(images), JUDGED_AT_ONCE):
        small, _ = _working(images[start : start + JUDGED_AT_ONCE], None)
        with torch.inference_mode():
            scores, boxes = peaks(detector.network(_whole(small).to(detector.device)), max_per_image)
        edges = (boxes.cpu().double() * (size / small.shape[-1])).clamp(0, size).tolist()
        found += [
            [
                Detection((left, top, right, bottom), score)
                for score, (left, top, right, bottom) in zip(some, places, strict=True)
                if score > 0 and left < right and top < bottom
            ]
            for some, places in zip(scores.cpu().tolist(), edges, strict=True)
        ]
    return found


def _padded(boxes: Sequence[Boxes]) -> Tensor:
    """(N, M, 4) float32, M the largest number of boxes but at least 1, NaN where an image has fewer."""
    padded = np.full((len(boxes), max([1, *map(len, boxes)]), 4), np.nan, np.float32)
    for at, some in enumerate(boxes):
        padded[at, : len(some)] = some
    return torch.from_numpy(padded)


def _working(images: Tensor, boxes: Tensor | None) -> tuple[Tensor, Tensor]:
    """Images, and boxes with them, of at most WORKING_SIZE pixels a side, as float32 on the CPU."""
    small, size = images.detach().float().cpu(), images.shape[-1]
    marked = torch.empty(0) if boxes is None else boxes
    if size <= WORKING_SIZE:
        return small, marked
    averaged = [
        functional.interpolate(some, size=WORKING_SIZE, mode="area")
        for some in torch.split(small, JUDGED_AT_ONCE)
    ]
    return torch.cat(averaged), marked * (WORKING_SIZE / size)


def _whole(images: Tensor) -> Tensor:
    """With black added on the right and below up to a multiple of MULTIPLE; boxes keep their place."""
    missing = -images.shape[-1] % MULTIPLE
    return functional.pad(images, (0, missing, 0, missing), value=-1.0) if missing else images


def _batches(
    with_tumour: NDArray[np.bool_], parts: NDArray[np.int64], steps: int, random: np.random.Generator
) -> Iterator[Tensor]:
    """Rows of each batch: half with a tumour and half without, or of one kind alone where there is no other; within a
    kind from each part that has it in turn.
    """
    kinds = [kind for kind in (with_tumour, ~with_tumour) if kind.any()]
    streams = [
        _in_turn(
            [_shuffled(np.flatnonzero(kind & (parts == part)), random) for part in np.unique(parts[kind])]
        )
        for kind in kinds
    ]
    for _ in range(steps):
        yield torch.tensor([next(stream) for stream in streams for _ in range(BATCH // len(streams))])


def _shuffled(rows: NDArray[np.int64], random: np.random.Generator) -> Iterator[int]:
    """Endlessly, each once before any comes again."""
    while True:
        yield from random.permutation(rows).tolist()


def _in_turn(streams: Sequence[Iterator[int]]) -> Iterator[int]:
    for stream in cycle(streams):
        yield next(stream)
