"""Placement: do synthetic images show their tumours where they were asked for?

In: a detector that was trained on real patients, synthetic images with the boxes that were asked, and real images of
patients that the detector has not seen. Out: the fraction of the asked tumours that it finds, between a ceiling (real
tumours, which are surely where their boxes are) and a floor (the same boxes exchanged between the images).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.boxes import Boxes, Detection, checked_all
from chestgan_core.metrics.detection import EXCHANGES, Found, exchanges, matched
from chestgan_core.metrics.detector import Detector, detect
from chestgan_core.metrics.measure import Measure, share

# The detector calls that a tumour whose score gives at most so many false finds per real held-out image.
FALSE_FINDS = 0.5


@dataclass(frozen=True)
class Placement:
    """Fractions of tumours found, and false finds per image, all at `threshold`, with intervals.

    value: of the asked tumours; over synthetic subjects. ceiling: of the tumours of real held-out patients. relative:
    value / ceiling. floor: of the asked tumours, each looked for in another image for which a tumour was asked.
    false_finds: per synthetic image for which no tumour was asked. false_finds_real: per real image without a tumour.
    None: there is no such image, or no other one. threshold: inf where even the highest score is too often wrong.
    """

    value: Measure | None
    ceiling: Measure | None
    relative: Measure | None
    floor: float | None
    false_finds: Measure | None
    false_finds_real: Measure | None
    threshold: float
    images: int
    asked: int
    real_images: int
    real_tumours: int
    real_patients: int


def placement_of(
    detector: Detector,
    images: Tensor,
    asked: Sequence[Sequence[Edges] | None],
    real_images: Tensor,
    real_boxes: Sequence[Sequence[Edges]],
    real_patients: Sequence[str],
    *,
    seed: int,
    subjects: Sequence[str] | None = None,
) -> Placement:
    """How well asked tumours are placed.

    Args:
        detector: Trained on real patients, none of whom is among `real_patients`.
        images: (N, 1, R, R) float32 in [-1, 1], synthetic.
        asked: Boxes of each in its pixels; (): no tumour was asked; None: nothing was said, the image is left out.
        real_images: (M, 1, S, S), held out and annotated.
        real_boxes: Of their tumours, in their pixels.
        real_patients: Of each of them.
        seed: Of bootstrap and exchange.
        subjects: Of each synthetic image, where several are of one; else each is its own.

    Raises:
        BadInput: boxes that are none, or for another number of images (boxes.py).
    """
    said = [at for at, boxes in enumerate(asked) if boxes is not None]
    wanted = checked_all(
        [boxes if boxes is not None else () for boxes in asked], len(images), images.shape[-1]
    )
    wanted = [wanted[at] for at in said]
    detections = detect(detector, images[said])
    found = matched(detections, wanted)
    real = matched(
        detect(detector, real_images), checked_all(real_boxes, len(real_images), real_images.shape[-1])
    )
    threshold = real.threshold(FALSE_FINDS)
    names = [str(at) for at in said] if subjects is None else [subjects[at] for at in said]
    value, false_finds = _shares(found, threshold, names, seed)
    ceiling, false_finds_real = _shares(real, threshold, real_patients, seed + 1)
    return Placement(
        value,
        ceiling,
        value.over(ceiling) if value and ceiling else None,
        _floor(detections, wanted, threshold, seed),
        false_finds,
        false_finds_real,
        threshold,
        len(said),
        int(found.tumours.sum()),
        len(real_images),
        int(real.tumours.sum()),
        len(set(real_patients)),
    )


def _shares(
    found: Found, threshold: float, names: Sequence[str], seed: int
) -> tuple[Measure | None, Measure | None]:
    """Fraction of the tumours that are found, and false finds per image without a tumour."""
    if not names:
        return None, None
    drawn = resampling(names, seed)
    empty = found.tumours == 0
    return (
        share(found.hits(threshold), found.tumours, drawn),
        share(found.false_finds(threshold) * empty, empty.astype(np.int64), drawn, most=np.inf),
    )


def _floor(
    detections: Sequence[Sequence[Detection]], wanted: Sequence[Boxes], threshold: float, seed: int
) -> float | None:
    """Of the asked tumours found where another image was asked for its own; None where only one image was asked."""
    asked = [at for at, boxes in enumerate(wanted) if len(boxes)]
    if len(asked) < 2:
        return None
    fractions = []
    for order in exchanges(len(asked), EXCHANGES, seed):
        moved = matched([detections[at] for at in asked], [wanted[asked[other]] for other in order])
        fractions.append(moved.hits(threshold).sum() / moved.tumours.sum())
    return float(np.mean(fractions))
