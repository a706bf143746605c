"""How well boxes are found: matching, average precision, FROC, with 95 % intervals over patients.

In: what a detector found in images, and the boxes of their tumours. Out: sums per patient, and the measures of them.
Nothing is matched again for an interval: a draw weights the patients (bootstrap.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.boxes import Boxes, Detection, checked_all, overlaps
from chestgan_core.metrics.measure import Measure, measured, ratios

# A tumour of 5 pixels that is found a pixel too far aside has an overlap of 0.67, diagonally of 0.47; 0.3 asks for
# the right place and about the right size, and forgives what annotators disagree about.
MIN_OVERLAP = 0.3
RATES = (0.5, 1.0, 2.0, 4.0)
"""Per image, where the sensitivity is read off."""
# The floor is a mean over so many exchanges.
EXCHANGES = 5


@dataclass(frozen=True)
class Found:
    """All detections of N images, from the highest score to the lowest, matched with the tumours.

    scores: (D,). true: (D,) whether it found a tumour that none with a higher score found. image: (D,) of which image.
    tumours: (N,) how many each image has.
    """

    scores: NDArray[np.float64]
    true: NDArray[np.bool_]
    image: NDArray[np.int64]
    tumours: NDArray[np.int64]

    def threshold(self, false_per_image: float) -> float:
        """The lowest score from which on there are at most so many false finds per image; inf where none is."""
        ends = _ends(self.scores)
        few = np.cumsum(~self.true)[ends] <= false_per_image * len(self.tumours)
        return float(self.scores[ends[few][-1]]) if few.any() else float("inf")

    def hits(self, threshold: float) -> NDArray[np.int64]:
        """(N,) tumours of each image that are found with at least this score."""
        return self._count(self.true & (self.scores >= threshold))

    def false_finds(self, threshold: float) -> NDArray[np.int64]:
        """(N,) detections of each image with at least this score that found no tumour, or one found already."""
        return self._count(~self.true & (self.scores >= threshold))

    def _count(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(self.image[which], minlength=len(self.tumours))


def matched(detections: Sequence[Sequence[Detection]], boxes: Sequence[Boxes]) -> Found:
    """Match greedily, in each image the highest score first, with the tumour it overlaps most of those not yet found.

    A detection is true from an overlap (IoU) of MIN_OVERLAP. boxes: of each image, (n, 4) as from `boxes.checked_all`.

    Examples:
        >>> found_boxes = [Detection((0, 0, 4, 4), 0.9), Detection((9, 9, 12, 12), 0.5)]
        >>> found = matched([found_boxes], [np.array([[0, 0, 4, 5]])])
        >>> found.true.tolist(), found.tumours.tolist()
        ([True, False], [1])
    """
    scores: list[float] = []
    true: list[bool] = []
    image: list[int] = []
    for at, (some, wanted) in enumerate(zip(detections, boxes, strict=True)):
        ranked = sorted(some, key=lambda one: -one.score)
        shared = overlaps(np.array([one.box for one in ranked], dtype=np.float64).reshape(-1, 4), wanted)
        for one, row in zip(ranked, shared, strict=True):
            best = int(row.argmax()) if row.size else 0
            hit = bool(row.size) and row[best] >= MIN_OVERLAP
            if hit:
                shared[:, best] = -1.0
            scores.append(one.score)
            true.append(hit)
            image.append(at)
    order = np.argsort(-np.array(scores, dtype=np.float64), kind="stable")
    return Found(
        np.array(scores, dtype=np.float64)[order],
        np.array(true, dtype=np.bool_)[order],
        np.array(image, dtype=np.int64)[order],
        np.array([len(wanted) for wanted in boxes], dtype=np.int64),
    )


@dataclass(frozen=True)
class DetectionScore:
    """How well a detector finds the tumours of some patients.

    average_precision: area under precision over recall. froc: sensitivity at so many false positives per image, images
    without a tumour counted. floor: the average precision of the same detections exchanged between the images, which
    knows the usual places and nothing else. images, tumours, patients: judged by.
    """

    average_precision: Measure
    froc: dict[float, Measure]
    floor: float
    images: int
    tumours: int
    patients: int


def detection_score(
    detections: Sequence[Sequence[Detection]],
    boxes: Sequence[Sequence[Edges]],
    patients: Sequence[str],
    size: int,
    *,
    seed: int,
) -> DetectionScore | None:
    """Judge the detections of annotated images; None where no image has a tumour.

    Args:
        detections: Of each image, in any order.
        boxes: Of the tumours of each image; an image without a box has no tumour.
        patients: Of each image.
        size: Of the images, in pixels a side.
        seed: Of the bootstrap and of the exchange.

    Raises:
        BadInput: boxes that are none (boxes.py).
    """
    wanted = checked_all(boxes, len(detections), size)
    found = matched(detections, wanted)
    if not found.tumours.sum():
        return None
    drawn = resampling(patients, seed)
    precision = measured(partial(average_precision, found), drawn, most=1.0)
    froc = {rate: measured(partial(sensitivity, found, rate), drawn, most=1.0) for rate in RATES}
    once = np.ones((1, len(detections)))
    floors = [
        average_precision(matched([detections[at] for at in order], wanted), once)[0]
        for order in exchanges(len(detections), EXCHANGES, seed)
    ]
    return DetectionScore(
        precision, froc, float(np.mean(floors)), len(detections), int(found.tumours.sum()), drawn.patients
    )


def average_precision(found: Found, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, N) how often each image counts -> (B,): area under precision over recall; NaN without a tumour.

    At each recall the highest precision at this recall or beyond, integrated over all steps (as PASCAL VOC has done
    since 2010). Detections of equal score count together: their order says nothing.
    """
    true, false, total = _curves(found, weights)
    precision = np.divide(true, true + false, out=np.zeros_like(true), where=true + false > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    steps = np.diff(true, axis=1, prepend=0.0)
    return ratios((steps * best).sum(axis=1), total)


def sensitivity(found: Found, rate: float, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, N) -> (B,): fraction of the tumours found where there are at most `rate` false positives per image.

    A step function: nothing is interpolated between two thresholds. NaN without a tumour.
    """
    true, false, total = _curves(found, weights)
    allowed = false <= rate * weights.sum(axis=1, keepdims=True)
    most = np.where(allowed, true, 0.0).max(axis=1, initial=0.0)
    return ratios(most, total)


def exchanges(images: int, times: int, seed: int) -> list[NDArray[np.int64]]:
    """Orders in which every image gets what another one had; with one image there is no other."""
    random = np.random.default_rng(seed)
    orders = []
    for _ in range(times):
        order = random.permutation(images)
        taken = np.empty(images, np.int64)
        taken[order] = np.roll(order, 1)
        orders.append(taken)
    return orders


def _curves(found: Found, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """True and false positives (B, T) from each score on, and tumours (B,)."""
    ends = _ends(found.scores)
    counted = weights[:, found.image]
    true = np.cumsum(counted * found.true, axis=1)[:, ends]
    false = np.cumsum(counted * ~found.true, axis=1)[:, ends]
    return true, false, weights @ found.tumours.astype(np.float64)


def _ends(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where in the ranked scores the last of each value stands."""
    return np.flatnonzero(np.diff(scores, append=-np.inf))
