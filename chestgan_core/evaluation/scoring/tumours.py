"""The part of a report about tumours: for experiments that are told where they are.

In: a report and the sides (tumour_sides.py). Out: the report with rows, block and pictures. Two things are judged by
detectors that learn here, from the seed: whether asked tumours are placed, and whether the images teach anything. They
take most of the time of such a report; evaluation.detector_images bounds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.config.evaluation_config import Evaluation
from chestgan_core.evaluation.scoring.detection_metrics import SENSITIVITY, UTILITY, DetectionComparison
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import PIXELS, MetricRow, RowContext
from chestgan_core.evaluation.scoring.report_payload import ExtractorInfo
from chestgan_core.evaluation.scoring.tumour_metrics import TumourComparison, few_or_none
from chestgan_core.evaluation.scoring.tumour_sides import Pairs, TumourSides
from chestgan_core.layouts.layout import Edges
from chestgan_core.local.progress import Progress
from chestgan_core.metrics.boxes import Detection, overlaps
from chestgan_core.metrics.detection import MIN_OVERLAP
from chestgan_core.metrics.detector import VERSION, Detector, detect

NAME = "tumour-detector"
# Images of each kind in the figure.
EXAMPLES = 8
OFF = "no detector was trained: evaluation.detector_images is 0"
PLACEMENT = ("placement", "placement ceiling", "false tumours")


@dataclass(frozen=True)
class Examples:
    """images: (k, 1, R, R). boxes: asked or annotated, of each. found: by the detector, as certain as it must be."""

    images: Tensor
    boxes: tuple[tuple[Edges, ...], ...]
    found: tuple[tuple[Detection, ...], ...]

    def hit(self, at: int) -> list[bool]:
        """Of each box of an image: whether the detector found it."""
        return [bool((row >= MIN_OVERLAP).any()) for row in self._overlaps(at).T]

    def wrong(self, at: int) -> list[Detection]:
        """What the detector found in an image where no tumour is."""
        rows = self._overlaps(at)
        return [one for one, row in zip(self.found[at], rows, strict=True) if not (row >= MIN_OVERLAP).any()]

    def _overlaps(self, at: int) -> NDArray[np.float64]:
        """(detections, boxes)."""
        detections = np.array([one.box for one in self.found[at]], dtype=np.float64).reshape(-1, 4)
        return overlaps(detections, np.array(self.boxes[at], dtype=np.float64).reshape(-1, 4))


@dataclass(frozen=True)
class TumourPictures:
    """What the figures show. asked: images with asked tumours; none_asked: of which none was asked; real: held out."""

    asked: Examples | None = None
    none_asked: Examples | None = None
    real: Examples | None = None
    pairs: Pairs | None = None


def with_tumours(
    report: MetricReport,
    sides: TumourSides,
    evaluation: Evaluation,
    *,
    snapshot: str,
    seed: int,
    device: torch.device | str = "cpu",
    label: str = "tumours",
) -> MetricReport:
    """The report with the rows about tumours after all others, their block and their pictures.

    evaluation: the budget of the detectors. snapshot: version of the training set. label: of the progress.
    """
    counts = (len(sides.held_out.boxes), len(sides.synthetic.boxes))
    by_pixels = RowContext(PIXELS, counts, sides.split, snapshot, seed)
    by_detector = replace(by_pixels, extractor=f"{NAME}:{VERSION}:{evaluation.detector_images}")
    comparison = TumourComparison(sides, None, seed)
    pictures = TumourPictures(pairs=sides.pairs)
    if not evaluation.detector_images or not sides.train.boxes or not sides.held_out.with_tumour:
        reason = few_or_none(sides) if evaluation.detector_images else OFF
        rows = [
            *by_detector.absent(reason, PLACEMENT),
            *_without_detector(comparison, by_pixels),
            *by_detector.absent(reason, (*UTILITY, *SENSITIVITY)),
        ]
        return replace(
            report, rows=(*report.rows, *rows), pictures=replace(report.pictures, tumours=pictures)
        )
    learning = DetectionComparison(
        sides, evaluation.detector_images, evaluation.few_patients, seed, torch.device(device)
    )
    total = learning.trainings * evaluation.detector_images
    with Progress(f"{label}: {learning.trainings} detectors", total, "images") as progress:
        learning = replace(learning, step=progress.step)
        detector = learning.judge
        comparison = replace(comparison, detector=detector)
        rows = [
            *by_detector.rows(comparison.placement),
            *_without_detector(comparison, by_pixels),
            *by_detector.rows(learning.rows),
        ]
        block = learning.block(by_detector.extractor)
    threshold = comparison.found.threshold
    pictures = TumourPictures(
        _examples(sides.synthetic.images, sides.synthetic.boxes, True, detector, threshold),
        _examples(sides.synthetic.images, sides.synthetic.boxes, False, detector, threshold),
        _examples(sides.held_out.images, sides.held_out.boxes, True, detector, threshold),
        sides.pairs,
    )
    about = (
        "a heat map network of 0.3 million weights, trained here from the seed, on the images that each row names,"
        f" {evaluation.detector_images:,} images seen"
    )
    return replace(
        report,
        rows=(*report.rows, *rows),
        tumours=block,
        extractors=(*report.extractors, ExtractorInfo(NAME, by_detector.extractor, about)),
        pictures=replace(report.pictures, tumours=pictures),
    )


def _without_detector(comparison: TumourComparison, context: RowContext) -> list[MetricRow]:
    return [*context.rows(comparison.appearance), *context.rows(comparison.pairs)]


def _examples(
    images: Tensor,
    boxes: Sequence[tuple[Edges, ...]],
    with_tumour: bool,
    detector: Detector,
    threshold: float,
) -> Examples | None:
    """The first images with a tumour, or without, spread over all: neighbouring slices are alike."""
    rows = [row for row, some in enumerate(boxes) if bool(some) == with_tumour]
    if not rows:
        return None
    some = [rows[at * len(rows) // EXAMPLES] for at in range(EXAMPLES)] if len(rows) > EXAMPLES else rows
    found = detect(detector, images[some])
    return Examples(
        images[some],
        tuple(boxes[row] for row in some),
        tuple(tuple(one for one in few if one.score >= threshold) for few in found),
    )
