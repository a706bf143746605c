"""What is compared about tumours: annotated slices of training and of held-out patients, and what a generator was asked
to show.

In: loaded slices, a generator. Out: `TumourSides`. Slices and layouts of which nobody knows whether they have a tumour
are left out: of them nothing can be judged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from chestgan_core.config.dataset import ImageKind
from chestgan_core.config.experiment import Experiment
from chestgan_core.evaluation.scoring.as_published import as_published
from chestgan_core.imaging.windows import Window
from chestgan_core.layouts.layout import Edges, Layout
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.generation import generate
from chestgan_core.training.layouts import layouts_for
from chestgan_core.training.weights import LoadedGenerator

if TYPE_CHECKING:
    from chestgan_core.local.progress import Progress

# Of each side at most: a detector learns little from more within its budget, and they are held in memory.
MAX_IMAGES = 2000
# Images of one seed with and without a tumour.
MAX_PAIRS = 128
# Layouts drawn for each image that is needed, where of many of them nothing is said.
DRAWN_PER_IMAGE = 20


@dataclass(frozen=True)
class AnnotatedSlices:
    """Real slices of annotated patients. images: (N, 1, R, R) float32 in [-1, 1]. boxes: of the tumours of each, in its
    pixels; (): none. patients: of each.
    """

    images: Tensor
    boxes: tuple[tuple[Edges, ...], ...]
    patients: tuple[str, ...]

    @property
    def with_tumour(self) -> int:
        """Slices that show one."""
        return sum(bool(some) for some in self.boxes)

    @property
    def patients_with_tumour(self) -> int:
        """Patients of whom a slice shows one."""
        return len({who for who, some in zip(self.patients, self.boxes, strict=True) if some})


@dataclass(frozen=True)
class AskedImages:
    """Synthetic images, (N, 1, R, R), and the boxes that each was asked to show; (): no tumour."""

    images: Tensor
    boxes: tuple[tuple[Edges, ...], ...]


@dataclass(frozen=True)
class Pairs:
    """Images of the same seeds with the asked tumours and without. boxes: of each."""

    shown: Tensor
    without: Tensor
    boxes: tuple[tuple[Edges, ...], ...]


@dataclass(frozen=True)
class TumourSides:
    """Both sides of the comparison. train: of patients that the generator was trained on; held_out: of others.

    synthetic: as many as train has, as far as there are layouts. pairs: None where no tumour was asked.
    """

    train: AnnotatedSlices
    held_out: AnnotatedSlices
    synthetic: AskedImages
    pairs: Pairs | None
    window: Window
    image_kind: ImageKind

    @property
    def split(self) -> str:
        """As a sentence fragment for the report."""
        held_out, trained = len(set(self.held_out.patients)), len(set(self.train.patients))
        return f"annotated held-out patients: {held_out} of {held_out + trained}"


def annotated_slices(loaded: LoadedSlices, seed: int) -> AnnotatedSlices:
    """The slices of annotated patients; of more than MAX_IMAGES, so many drawn by the seed."""
    if loaded.annotated is None or loaded.boxes is None:
        return AnnotatedSlices(loaded.images[:0], (), ())
    rows = np.flatnonzero(loaded.annotated.numpy())
    if len(rows) > MAX_IMAGES:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MAX_IMAGES])
    images = loaded.images if len(rows) == len(loaded) else loaded.images[torch.from_numpy(rows)]
    boxes = tuple(_edges(loaded.boxes[row]) for row in rows)
    return AnnotatedSlices(images, boxes, tuple(loaded.patients[row] for row in rows))


def tumour_sides(
    generator: LoadedGenerator,
    experiment: Experiment,
    train: LoadedSlices,
    held_out: LoadedSlices,
    image_kind: ImageKind,
    progress: "Progress | None" = None,
) -> TumourSides:
    """The sides of an experiment. Its synthetic images are those of the published set, from its first seed on, and
    where it has fewer than needed, those of the seeds that follow.
    """
    real = annotated_slices(train, experiment.seed)
    seeds, layouts = _known_layouts(generator, experiment, len(real.images))
    made = as_published(generate(generator, seeds, layouts, progress), experiment.publication.bits)
    synthetic = AskedImages(made, tuple(layout.boxes or () for layout in layouts))
    return TumourSides(
        real,
        annotated_slices(held_out, experiment.seed),
        synthetic,
        _pairs(generator, experiment, seeds, layouts, made),
        experiment.display_window,
        image_kind,
    )


def _known_layouts(
    generator: LoadedGenerator, experiment: Experiment, images: int
) -> tuple[list[int], list[Layout]]:
    """So many seeds whose layout says something about tumours, and these layouts; fewer where there are none."""
    found: list[tuple[int, Layout]] = []
    publication = experiment.publication
    for seeds in _blocks(publication.first_seed, images):
        drawn = layouts_for(seeds, experiment, generator.layouts, publication.tumour_fraction) or []
        said = zip(seeds, drawn, strict=False)
        found += [(seed, layout) for seed, layout in said if layout.boxes is not None]
        if len(found) >= images or not drawn:
            break
    return [seed for seed, _ in found[:images]], [layout for _, layout in found[:images]]


def _blocks(first: int, images: int) -> Iterator[range]:
    """Seeds in blocks of as many as are needed."""
    for at in count():
        if at == DRAWN_PER_IMAGE:
            return
        yield range(first + at * images, first + (at + 1) * images)


def _pairs(
    generator: LoadedGenerator,
    experiment: Experiment,
    seeds: Sequence[int],
    layouts: Sequence[Layout],
    made: Tensor,
) -> Pairs | None:
    rows = [at for at, layout in enumerate(layouts) if layout.boxes][:MAX_PAIRS]
    if not rows:
        return None
    empty = [replace(layouts[at], boxes=()) for at in rows]
    without = generate(generator, [seeds[at] for at in rows], empty)
    return Pairs(
        made[rows],
        as_published(without, experiment.publication.bits),
        tuple(layouts[at].boxes or () for at in rows),
    )


def _edges(boxes: Tensor) -> tuple[Edges, ...]:
    """(K, 4) NaN-padded to the boxes that are there."""
    known = boxes[torch.isfinite(boxes).all(dim=1)].tolist()
    return tuple((left, top, right, bottom) for left, top, right, bottom in known)
