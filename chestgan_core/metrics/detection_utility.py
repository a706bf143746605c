"""Detection utility: what a detector learns from a set of images, judged on real held-out patients.

In: training sets by name (real, synthetic, both, few patients), and annotated images of patients in none of them. Out:
average precision and FROC of a detector trained on each, with the same budget.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.detection import DetectionScore, detection_score
from chestgan_core.metrics.detector import IMAGES_SEEN, Detector, detect, train_detector

FEW_PATIENTS = (1, 2, 5)


@dataclass(frozen=True)
class AnnotatedImages:
    """images: (N, 1, R, R) float32 in [-1, 1]. boxes: of the tumours of each, in its pixels; (): it has none.

    parts: of which source each image is, where they are from several that shall be drawn equally often.
    """

    images: Tensor
    boxes: Sequence[Sequence[Edges]]
    parts: tuple[int, ...] | None = None

    def only(self, rows: Sequence[int]) -> "AnnotatedImages":
        """Some of the images."""
        parts = None if self.parts is None else tuple(self.parts[row] for row in rows)
        return AnnotatedImages(self.images[list(rows)], [self.boxes[row] for row in rows], parts)


def together(*sets: AnnotatedImages) -> AnnotatedImages:
    """Several sets as one, each drawn equally often however many images it has: few real ones are not drowned."""
    return AnnotatedImages(
        torch.cat([one.images for one in sets]),
        [boxes for one in sets for boxes in one.boxes],
        tuple(part for part, one in enumerate(sets) for _ in range(len(one.images))),
    )


def detection_utility(
    train_sets: Mapping[str, AnnotatedImages],
    test: AnnotatedImages,
    test_patients: Sequence[str],
    *,
    seed: int,
    images_seen: int = IMAGES_SEEN,
    augment: Collection[str] = (),
    trained: Mapping[str, Detector] | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> dict[str, DetectionScore]:
    """Train a detector on each set, from the same seed and with the same budget, and judge all on the same patients.

    Args:
        train_sets: By name.
        test: Real images, annotated, of patients that are in no training set.
        test_patients: Of each of them.
        seed: Of the detectors and the bootstrap. The scores are drawn alike, so that `Measure.minus` and `Measure.over`
            compare them patient by patient.
        images_seen: Of each training, repetitions counted.
        augment: Names of the sets that are trained with ordinary augmentation.
        trained: Detectors that learned from a set already, with this seed and budget, by its name.
        device: Where it is trained.
        progress: Called after each step with its number of images.

    Returns:
        Name -> score, in the order of `train_sets`; empty where no test image has a tumour.

    Raises:
        BadInput: a training set without images, or boxes that are none (boxes.py).
    """
    scores: dict[str, DetectionScore] = {}
    if not any(len(boxes) for boxes in test.boxes):
        return scores
    for name, train in train_sets.items():
        detector = (trained or {}).get(name) or train_detector(
            train.images,
            train.boxes,
            parts=train.parts,
            seed=seed,
            images_seen=images_seen,
            augment=name in augment,
            device=device,
            progress=progress,
        )
        score = detection_score(
            detect(detector, test.images), test.boxes, test_patients, test.images.shape[-1], seed=seed
        )
        if score is not None:
            scores[name] = score
    return scores


def patient_counts(patients: int) -> tuple[int, ...]:
    """How many real patients the curve has points at: 1, 2, 5 and all.

    Examples:
        >>> patient_counts(20), patient_counts(2)
        ((1, 2, 5, 20), (1, 2))
    """
    return (*(few for few in FEW_PATIENTS if few < patients), patients)


def rows_of_first(patients: Sequence[str], count: int, seed: int) -> list[int]:
    """Rows of the images of `count` patients, in an order of the patients by the seed: fewer are part of more.

    Examples:
        >>> rows_of_first(["P1", "P1", "P2"], 2, seed=0)
        [0, 1, 2]
    """
    names = sorted(set(patients))
    order = np.random.default_rng(seed).permutation(len(names))
    chosen = {names[at] for at in order[:count]}
    return [row for row, patient in enumerate(patients) if patient in chosen]
