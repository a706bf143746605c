"""What a trained generator knows of the layouts of its training slices, so that others can be drawn from its file.

In: the training slices with their boxes, positions and classes. Out: `LayoutTable`, saved with the weights, and layouts
drawn from it: layout k is a function of the table and of seed k.

No box of a person is in it. An entry is drawn from the training slices and moved: its place by up to PLACE of the side
of the image along each axis, its size by up to SIZE in width and in height, its position by up to ALONG. No slice gives
more than one entry, because the mean of several would be its box. Each draw moves the entry again, within the same
bounds.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.errors import BadInput
from chestgan_core.imaging.windows import Window
from chestgan_core.layouts.layout import Edges, Layout
from chestgan_core.layouts.lung_zone import LungZone, measure_zone
from chestgan_core.layouts.saved_table import DTYPES, MAX_ENTRIES, checked_arrays

if TYPE_CHECKING:
    from torch import Tensor

MAX_PER_PATIENT = 32  # slices of one patient weigh together at most as much as so many of others
PLACE, SIZE, ALONG = 0.04, 0.15, 0.02
_HASHED = 64  # images, of which no two noises are equal
_TRIES = 32  # of moving a box until it lies in the lungs; then the entry is taken as it is
# Streams of random numbers: of a table and of layouts, apart from each other and from the noise of images.
_OF_TABLE, _OF_LAYOUT = 0x7AB1E, 0x1A40


@dataclass(frozen=True, eq=False)
class LayoutTable:
    """E entries, at most MAX_ENTRIES, and where the lungs are.

    boxes: (E, MAX_TUMOURS, 4) float32, pixels of the image, NaN-padded. position: (E,) float32 from 0 to 1, NaN where
    unknown. known: (E,) bool, whether an entry without a box has surely no tumour. class_number: (E,) int32, -1 without
    classes. weight: (E,) float32, sums to 1: how often such an entry is among the training slices. zone: of the lungs.
    pixel_mm: the median edge of a pixel of the image; lung_mm: the median extent of the lungs from base to apex; both 0
    where unknown.
    """

    boxes: np.ndarray
    position: np.ndarray
    known: np.ndarray
    class_number: np.ndarray
    weight: np.ndarray
    zone: LungZone
    pixel_mm: float
    lung_mm: float

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def resolution(self) -> int:
        """Pixels per side of the image."""
        return self.zone.resolution

    @property
    def has_position(self) -> bool:
        """Whether the positions of the training slices were known."""
        return len(self.zone.share) > 1

    @cached_property
    def has_box(self) -> np.ndarray:
        """(E,) bool."""
        found: np.ndarray = np.isfinite(self.boxes[:, 0, 0])
        return found

    def tensors(self) -> "dict[str, Tensor]":
        """As they are saved; equal tables give equal tensors."""
        import torch

        arrays = {
            "boxes": self.boxes,
            "position": self.position,
            "known": self.known,
            "class": self.class_number,
            "weight": self.weight,
            "lung": self.zone.share,
            "pixel_mm": np.array([self.pixel_mm]),
            "lung_mm": np.array([self.lung_mm]),
        }
        return {name: torch.from_numpy(value.astype(DTYPES[name])) for name, value in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: "Mapping[str, Tensor]", resolution: int, classes: int) -> "LayoutTable":
        """The table in a file that somebody else may have written.

        Args:
            tensors: Those of `tensors()`.
            resolution: Of the generator.
            classes: Number of classes of the generator.

        Raises:
            ValueError: Other tensors, shapes or types, or numbers out of range; says which.
        """
        arrays = checked_arrays(tensors, resolution, classes)
        return cls(
            arrays["boxes"],
            arrays["position"],
            arrays["known"].astype(bool),
            arrays["class"],
            arrays["weight"],
            LungZone(arrays["lung"], resolution),
            float(arrays["pixel_mm"][0]),
            float(arrays["lung_mm"][0]),
        )


def build_table(
    images: Any,
    boxes: Any,
    annotated: Any,
    positions: Any,
    classes: Any,
    patients: Sequence[str],
    pixel_mm: Any,
    lung_mm: float,
    seed: int,
    window: Window,
) -> LayoutTable:
    """The table of the training slices; arrays, or tensors on the CPU. Give boxes, positions and classes only where the
    generator has them as conditions: without, NaN, False and None.

    Args:
        images: (N, 1, R, R) float32 in [-1, 1], or what reads them from a file.
        boxes: (N, MAX_TUMOURS, 4) float32, pixels of the images, NaN-padded.
        annotated: (N,) bool, whether a slice without a box has surely no tumour.
        positions: (N,) from 0 (base) to 1 (apex), NaN where unknown.
        classes: (N,) int64, or None.
        patients: Of the N slices. Each weighs the same, up to MAX_PER_PATIENT slices.
        pixel_mm: (N,) the edge of a pixel of these images; NaN or 0 where unknown.
        lung_mm: The median extent of the lungs, from base to apex; 0 where unknown.
        seed: Decides, together with the slices, which of them are drawn, and how their boxes are moved.
        window: Of the images.
    """
    size, count = images.shape[-1], len(images)
    boxes = np.asarray(boxes, np.float64)
    positions, pixel_mm = np.asarray(positions, np.float64), np.asarray(pixel_mm, np.float64)
    numbers = np.full(count, -1) if classes is None else np.asarray(classes)
    slices = Counter(patients)
    weights = np.array([min(1.0, MAX_PER_PATIENT / slices[patient]) for patient in patients])
    random = np.random.Generator(np.random.PCG64([_OF_TABLE, seed, _digest(images, boxes, positions)]))
    zone = measure_zone(images, boxes, positions, weights, window, random)
    with_box = np.isfinite(boxes[:, 0, 0])
    known = np.asarray(annotated, bool) | with_box
    chosen, share = _entries(numbers, with_box, weights, random)
    moved = np.full((len(chosen), MAX_TUMOURS, 4), np.nan)
    along = (positions[chosen] + random.uniform(-ALONG, ALONG, len(chosen))).clip(0, 1)
    for entry, at in enumerate(chosen):
        here = None if math.isnan(along[entry]) else float(along[entry])
        for place, box in enumerate(_edges(boxes[at])):
            moved[entry, place], _ = _moved(box, size, zone, here, random)
    measured = pixel_mm[np.isfinite(pixel_mm) & (pixel_mm > 0)]
    return LayoutTable(
        moved.astype(np.float32),
        along.astype(np.float32),
        known[chosen],
        numbers[chosen].astype(np.int32),
        share.astype(np.float32),
        zone,
        float(np.median(measured)) if measured.size else 0.0,
        float(lung_mm),
    )


def _digest(images: Any, boxes: np.ndarray, positions: np.ndarray) -> int:
    """Of what nobody knows who has no training slices. The seed of an experiment is in the file of its generator:
    who could draw the numbers again would undo the moves, and have the boxes of persons.
    """
    digest = hashlib.sha256()
    for part in (images[:_HASHED], boxes, positions):
        digest.update(np.ascontiguousarray(part).tobytes())
    return int.from_bytes(digest.digest())


def _entries(
    numbers: np.ndarray, with_box: np.ndarray, weights: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the slices that become entries, and what each weighs. Rare kinds (a class, with or without a tumour)
    get as many entries as frequent ones, and weigh less.
    """
    kinds = numbers * 2 + with_box
    order, sizes = np.unique(kinds, return_counts=True)
    left, chosen, share = min(MAX_ENTRIES, len(kinds)), [], []
    for done, at in enumerate(np.argsort(sizes, kind="stable")):  # what small kinds leave, larger ones get
        members = np.flatnonzero(kinds == order[at])
        take = min(len(members), left // (len(order) - done))
        left -= take
        if not take:
            continue
        heavy = weights[members]
        chosen.append(np.sort(random.choice(members, take, replace=False, p=heavy / heavy.sum())))
        share.append(np.full(take, heavy.sum() / take))
    shares = np.concatenate(share)
    return np.concatenate(chosen), shares / shares.sum()


def draw_layouts(
    table: LayoutTable, seeds: Iterable[int], classes: int, tumour_fraction: float | None = None
) -> list[Layout]:
    """A layout per seed. That of seed k depends on the table and on k, on nothing else.

    Args:
        table: Of the generator.
        seeds: From 0.
        classes: Number of the generator's classes. Seed k is of class k modulo their number, and gets a layout of this
            class, where the table has one.
        tumour_fraction: Of the images that have a tumour; the others surely have none. None: as among the training
            slices, with as many of which nothing is said.

    Returns:
        Layouts with an empty class_name: that of the seed.

    Raises:
        BadInput: The fraction is not from 0 to 1, or no entry has a tumour.
    """
    if tumour_fraction is not None and not 0 <= tumour_fraction <= 1:
        raise BadInput(f"a tumour fraction of {tumour_fraction}", "is not from 0 to 1", "give 0.5, say")
    if tumour_fraction and not table.has_box.any():
        cause = "was trained on slices without a tumour box, so there is none to draw from"
        raise BadInput(
            "the model", cause, "give layouts (--layouts FILE), or a model that was trained on boxes"
        )
    chances: dict[tuple[int, bool | None], np.ndarray] = {}
    layouts = []
    for seed in seeds:
        random = np.random.Generator(np.random.PCG64([_OF_LAYOUT, seed]))
        number = seed % classes if classes else -1
        tumour = None if tumour_fraction is None else bool(random.random() < tumour_fraction)
        if (number, tumour) not in chances:
            fits = np.ones(len(table), bool) if tumour is None else table.has_box == tumour
            chances[number, tumour] = chances_of(table, number, fits)
        entry = chosen_entry(chances[number, tumour], random)
        position = moved_position(table, entry, random)
        boxes = () if tumour is False else moved_boxes(table, entry, position, random)
        layouts.append(Layout(boxes, position))
    return layouts


def require_tumours(table: LayoutTable) -> None:
    """Raises BadInput: no entry has a tumour, so that none can be drawn."""
    if not table.has_box.any():
        cause = "was trained on slices without a tumour box, so there is none to draw from"
        raise BadInput(
            "the model", cause, "give layouts (--layouts FILE), or a model that was trained on boxes"
        )


def chances_of(table: LayoutTable, number: int, fits: np.ndarray) -> np.ndarray:
    """(E,) cumulative chances of the entries that fit (E,) and are of a class (-1: none); where there are none: of all
    that fit, and where none fits, of all.
    """
    of_class = table.class_number == number
    for allowed in (of_class & fits, fits, np.ones(len(table), bool)):
        weights = table.weight * allowed.astype(np.float64)
        if weights.sum() > 0:
            break
    chances: np.ndarray = weights.cumsum() / weights.sum()
    chances[np.flatnonzero(weights)[-1] :] = np.inf  # against rounding
    return chances


def chosen_entry(chances: np.ndarray, random: np.random.Generator) -> int:
    """An entry, by the cumulative chances of all."""
    return int(np.searchsorted(chances, random.random(), side="right"))


def moved_position(table: LayoutTable, entry: int, random: np.random.Generator) -> float | None:
    """A position near that of an entry; None where it is unknown."""
    along = float(table.position[entry]) + random.uniform(-ALONG, ALONG)
    return None if math.isnan(along) else round(min(max(along, 0.0), 1.0), 4)


def moved_boxes(
    table: LayoutTable, entry: int, position: float | None, random: np.random.Generator
) -> tuple[Edges, ...] | None:
    """Boxes near those of an entry; (): surely none; None: nothing is known."""
    if not table.has_box[entry]:
        return () if table.known[entry] else None
    boxes = []
    for box in _edges(table.boxes[entry]):
        moved, inside = _moved(box, table.resolution, table.zone, position, random)
        boxes.append(rounded(moved if inside else box))  # an entry is itself moved
    return tuple(boxes)


def rounded(box: Edges) -> Edges:
    """To hundredths of a pixel, which labels of sets and DICOM keep as they are."""
    left, top, right, bottom = (round(edge, 2) for edge in box)
    return left, top, right, bottom


def _edges(boxes: np.ndarray) -> list[Edges]:
    """(K, 4) NaN-padded -> the boxes."""
    found: list[Edges] = [
        (float(a), float(b), float(c), float(d)) for a, b, c, d in boxes if math.isfinite(a)
    ]
    return found


def _moved(
    box: Edges, size: int, zone: LungZone, position: float | None, random: np.random.Generator
) -> tuple[Edges, bool]:
    """A box near this one, within the image, and whether it is in the lungs; the last of _TRIES where none is."""
    left, top, right, bottom = box
    moved = box
    for _ in range(_TRIES):
        across, down = (random.uniform(-PLACE, PLACE, 2) * size).tolist()
        wider, higher = random.uniform(1 - SIZE, 1 + SIZE, 2).tolist()
        x0, x1 = _span((left + right) / 2 + across, (right - left) * wider, size)
        y0, y1 = _span((top + bottom) / 2 + down, (bottom - top) * higher, size)
        moved = (x0, y0, x1, y1)
        if zone.holds(moved, position):
            return moved, True
    return moved, False


def _span(centre: float, length: float, size: int) -> tuple[float, float]:
    """From where to where something reaches along one side of the image, pushed into it."""
    length = min(length, size)
    low = min(max(centre - length / 2, 0.0), size - length)
    return low, min(low + length, float(size))
