"""How far a generator's images are from real patients, beside how far real patients are apart.

In: images of held-out patients, synthetic ones, images of other real patients.
Out: a MetricReport. Both sides have the same number of images. What cannot be measured is a row with no value
and the reason.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeAlias

import torch
from torch import Tensor

from chestgan_core import __version__
from chestgan_core.config.dataset import ImageKind
from chestgan_core.errors import NotAvailable
from chestgan_core.evaluation.scoring.closest import closest_to_training
from chestgan_core.evaluation.scoring.feature_metrics import FeatureComparison, Features
from chestgan_core.evaluation.scoring.metric_report import MetricReport, Pictures
from chestgan_core.evaluation.scoring.metric_rows import OF_FEATURES, PIXELS, Measured, MetricRow
from chestgan_core.evaluation.scoring.pixel_metrics import PixelComparison
from chestgan_core.evaluation.scoring.sides import RealImages, Sides, draw_sides
from chestgan_core.evaluation.thesis.measuring import Opponent, ThesisFeatures, ThesisImages, measure_thesis
from chestgan_core.imaging.windows import Window
from chestgan_core.metrics.feature_extractors import Extractor, open_extractor

# Images of each group that the figures show.
SAMPLES = 32

# Extractor, role (real, synthetic, other), images (N, 1, H, W), label of the progress -> (N, d).
FeatureSource: TypeAlias = Callable[[Extractor, str, Tensor, str], Features]


def compute_features(extractor: Extractor, role: str, images: Tensor, label: str) -> Features:
    """The features of the images, whatever their role: the FeatureSource that remembers nothing."""
    return extractor.features(images, label=label)


def evaluate(
    held_out: RealImages,
    fake: Tensor,
    *,
    window: Window,
    source_title: str,
    image_kind: ImageKind,
    model_title: str,
    reference: RealImages | None = None,
    fake_classes: Sequence[str] = (),
    extractor_names: Sequence[str] = ("efficientnet-lite0",),
    images: int = 5000,
    seed: int = 0,
    snapshot: str = "",
    device: torch.device | str = "cpu",
    provenance: Mapping[str, Any] | None = None,
    features_of: FeatureSource = compute_features,
) -> MetricReport:
    """Compare synthetic images with those of patients that were not trained on.

    fake: (M, 1, H, W) float32 in [-1, 1]. fake_classes: what each was asked to show; with them and the classes of the
    real images the utility is measured. Both sides get the same number of images, at most `images`, drawn by the seed.
    reference: real images of other patients (those trained on); they give the floor at the same number, or fewer where
    there are fewer, and tell memorization. Without it the patients of held_out are cut into two groups.
    snapshot: version of the training set that both are of. image_kind: how both are called; "real" in names here means
    the side that is not synthetic.
    Raises BadInput: sizes that differ, fewer than 8 images on a side, a patient in both real groups.
    """
    sides = draw_sides(held_out, fake, fake_classes, reference, images, seed, image_kind)
    told: list[dict[str, str]] = []
    rows: list[MetricRow] = []
    first: dict[str, Features] = {}
    for name in extractor_names:
        try:
            extractor = open_extractor(name, device)
        except NotAvailable as error:
            reason = f"{error.cause}; {error.remedy}"
            told.append({"name": name, "id": "", "about": f"not available: {reason}"})
            measures = [one for one in OF_FEATURES if fake_classes or not one.startswith("utility")]
            rows += _measured(name, sides, snapshot, seed).absent(reason, measures)
            continue
        told.append({"name": name, "id": extractor.id, "about": extractor.about})
        features = {
            role: features_of(extractor, role, some, f"features  {image_kind if role == 'real' else role}")
            for role, some in sides.groups.items()
        }
        first = first or features
        by_features = FeatureComparison(sides, features, seed)
        measured = _measured(extractor.id, sides, snapshot, seed)
        for some_measures in (
            by_features.distances,
            by_features.manifolds,
            by_features.classifier,
            by_features.utility,
            by_features.memorization,
        ):
            rows += measured.rows(some_measures)
    by_pixels = PixelComparison(sides, window, seed)
    measured = _measured(PIXELS, sides, snapshot, seed)
    rows += measured.rows(by_pixels.diversity) + measured.rows(by_pixels.plausibility)
    return MetricReport(
        source_title=source_title,
        image_kind=image_kind,
        model_title=model_title,
        window=window,
        resolution=fake.shape[-1],
        patients_real=len(set(sides.held_out.patients)),
        rows=tuple(rows),
        extractors=tuple(told),
        provenance={**(provenance or {}), **_versions()},
        pictures=Pictures(
            {role: group[:SAMPLES] for role, group in sides.groups.items()},
            sides.groups,
            first,
            closest_to_training(sides),
        ),
    )


def with_thesis(
    report: MetricReport,
    held_out: ThesisImages,
    fake: ThesisImages,
    other: ThesisImages | None,
    opponent: Opponent,
    seed: int,
) -> MetricReport:
    """The report with the block, of the images that it is about; its features serve again. See measure_thesis."""
    measured, features = report.pictures.features, None
    if measured:
        # The first extractor that could be had: only such a one has an id.
        extractor = next(told["id"] for told in report.extractors if told["id"])
        features = ThesisFeatures(extractor, measured["synthetic"], measured.get("other"))
    block = measure_thesis(
        held_out, fake, other, image_kind=report.image_kind, opponent=opponent, features=features, seed=seed
    )
    return replace(report, thesis=block)


def _measured(extractor: str, sides: Sides, snapshot: str, seed: int) -> Measured:
    """What the rows of an extractor have in common."""
    return Measured(extractor, (len(sides.held_out.images), len(sides.fake)), sides.split, snapshot, seed)


def _versions() -> dict[str, str]:
    names = ("torch", "numpy")
    return {
        "python": platform.python_version(),
        "chestgan": __version__,
        **{name: version(name) for name in names},
    }
