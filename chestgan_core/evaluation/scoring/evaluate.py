"""How far synthetic images are from real patients, beside how far real patients are from each other.

In: images of held-out patients, synthetic ones, images of other real patients. Out: a MetricReport, with the same
number of images on both sides. What cannot be measured is a row without a value, with the reason.
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
from chestgan_core.evaluation.scoring.group_metrics import measure_groups
from chestgan_core.evaluation.scoring.metric_report import MetricReport, Pictures
from chestgan_core.evaluation.scoring.metric_rows import FEATURE_MEASURES, PIXELS, MetricRow, RowContext
from chestgan_core.evaluation.scoring.pixel_metrics import PixelComparison
from chestgan_core.evaluation.scoring.report_payload import ExtractorInfo
from chestgan_core.evaluation.scoring.sides import RealImages, Sides, draw_sides
from chestgan_core.evaluation.thesis.measuring import (
    RunDiscriminator,
    ThesisFeatures,
    ThesisImages,
    measure_thesis,
)
from chestgan_core.imaging.windows import Window
from chestgan_core.metrics.feature_extractors import Extractor, open_extractor

# Images of each role that the figures show.
SAMPLES = 32

# Extractor, role (real, synthetic, other), images (n, 1, H, W) and label of the progress -> features (n, d).
FeatureSource: TypeAlias = Callable[[Extractor, str, Tensor, str], Features]


def compute_features(extractor: Extractor, role: str, images: Tensor, label: str) -> Features:
    """The FeatureSource without a cache."""
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
    extractors: Sequence[str | Extractor] = ("efficientnet-lite0",),
    images: int = 5000,
    seed: int = 0,
    snapshot: str = "",
    device: torch.device | str = "cpu",
    provenance: Mapping[str, Any] | None = None,
    features_of: FeatureSource = compute_features,
) -> MetricReport:
    """Compare synthetic images with those of patients that the generator was not trained on.

    Both sides get the same number of images. Beside each value stands its floor: the same measure between two groups of
    real patients.

    Args:
        held_out: (N, 1, H, W) float32 in [-1, 1], with the patient of each image, and their classes if there are any.
        fake: (M, 1, H, W) float32 in [-1, 1].
        window: the display window of both, which maps [-1, 1] to HU or grey levels.
        source_title: title of the real data, as the report prints it.
        image_kind: "real" or "phantom", the word for the images that are not synthetic.
        model_title: title of the generator, as the report prints it.
        reference: images of other real patients (those trained on), for the floor and for memorization. Without them
            the patients of held_out are split into two groups for the floor.
        fake_classes: the class that each synthetic image was generated for; with the classes of real images they give
            the utility.
        extractors: feature networks, by name or opened. The first one counts; the others are second opinions.
        images: maximum per side, drawn by the seed.
        seed: of every random draw.
        snapshot: version of the training set that both real sides are of.
        device: for extractors given by name.
        provenance: facts that the report prints as they are.
        features_of: computes features, or takes them from a cache.

    Returns:
        The report. Measures whose extractor is not available have rows without a value.

    Raises:
        BadInput: images of different sizes, fewer than 8 images on a side, a patient in both real groups.

    Examples:
        >>> from chestgan_core.imaging.windows import WINDOWS
        >>> noise = torch.rand(32, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
        >>> report = evaluate(
        ...     RealImages(noise[:16], ("patient 1",) * 8 + ("patient 2",) * 8),
        ...     noise[16:],
        ...     window=WINDOWS["lung"],
        ...     source_title="noise",
        ...     image_kind="phantom",
        ...     model_title="more noise",
        ...     extractors=(),
        ... )
        >>> [row.measure for row in report.rows][:2]
        ['MS-SSIM', 'pairwise distance']
    """
    sides = draw_sides(held_out, fake, fake_classes, reference, images, seed, image_kind)
    known: list[ExtractorInfo] = []
    rows: list[MetricRow] = []
    first: Extractor | None = None
    first_features: dict[str, Features] = {}
    for one in extractors:
        try:
            extractor = open_extractor(one, device, window) if isinstance(one, str) else one
        except NotAvailable as error:
            reason = f"{error.cause}; {error.remedy}"
            known.append(ExtractorInfo(str(one), "", f"not available: {reason}"))
            measures = [name for name in FEATURE_MEASURES if fake_classes or not name.startswith("utility")]
            rows += _context(str(one), sides, snapshot, seed).absent(reason, measures)
            continue
        features = {
            role: features_of(extractor, role, group, f"features  {image_kind if role == 'real' else role}")
            for role, group in sides.groups.items()
        }
        if first is None:
            first, first_features = extractor, features
        compared = _comparable(extractor, features)
        by_features = FeatureComparison(sides, compared, seed)
        about = extractor.about
        if compared["real"] is not features["real"]:
            about += f"; z-scores by {_unit_of(features)}"
        known.append(ExtractorInfo(extractor.id.partition(":")[0], extractor.id, about))
        context = _context(extractor.id, sides, snapshot, seed)
        for measure in (
            by_features.distances,
            by_features.manifolds,
            by_features.classifier,
            by_features.utility,
            by_features.memorization,
        ):
            rows += context.rows(measure)
    by_pixels = PixelComparison(sides, window, seed)
    context = _context(PIXELS, sides, snapshot, seed)
    rows += context.rows(by_pixels.diversity) + context.rows(by_pixels.plausibility)
    return MetricReport(
        source_title=source_title,
        image_kind=image_kind,
        model_title=model_title,
        window=window,
        resolution=fake.shape[-1],
        patients_real=len(set(sides.held_out.patients)),
        rows=tuple(rows),
        extractors=tuple(known),
        provenance={**(provenance or {}), **_versions()},
        pictures=Pictures(
            {role: group[:SAMPLES] for role, group in sides.groups.items()},
            sides.groups,
            first_features,
            first,
            closest_to_training(sides),
            further=sides.further,
        ),
        groups=None
        if first is None
        else measure_groups(
            sides, _comparable(first, first_features), first.id, seed, hounsfield=window.unit == "HU"
        ),
    )


def with_thesis(
    report: MetricReport,
    held_out: ThesisImages,
    fake: ThesisImages,
    other: ThesisImages | None,
    discriminator: RunDiscriminator,
    seed: int,
) -> MetricReport:
    """The report with the measures of the thesis system, of the same images; its features are used again.

    Raises BadInput as measure_thesis() does.
    """
    pictures, features = report.pictures, None
    if pictures.extractor is not None:
        features = ThesisFeatures(
            pictures.extractor, pictures.features["synthetic"], pictures.features.get("other")
        )
    block = measure_thesis(
        held_out,
        fake,
        other,
        image_kind=report.image_kind,
        discriminator=discriminator,
        features=features,
        seed=seed,
    )
    return replace(report, thesis=block)


def _comparable(extractor: Extractor, features: Mapping[str, Features]) -> dict[str, Features]:
    """The features of each role in units of the spread of other patients' images, usually those trained on; where there
    are none, of held-out ones.
    """
    reference = features.get("other", features["real"])
    return {role: extractor.comparable(of_role, reference) for role, of_role in features.items()}


def _unit_of(features: Mapping[str, Features]) -> str:
    """What gives the units of `_comparable`, in words."""
    return (
        "the other patients' images"
        if "other" in features
        else "the held-out images, as no others were given"
    )


def _context(extractor: str, sides: Sides, snapshot: str, seed: int) -> RowContext:
    return RowContext(extractor, (len(sides.held_out.images), len(sides.fake)), sides.split, snapshot, seed)


def _versions() -> dict[str, str]:
    names = ("torch", "numpy")
    return {
        "python": platform.python_version(),
        "chestgan": __version__,
        **{name: version(name) for name in names},
    }
