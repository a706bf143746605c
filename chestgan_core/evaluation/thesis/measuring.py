"""The measures of the thesis system, computed as it does where that is sound.

In: held-out images, synthetic ones, images of other patients, the run's discriminator, features that the report has
computed. Out: a ThesisBlock. Each measure stands beside the same measure with images of other patients in place of the
synthetic ones.

As in the thesis system, the images of a pair are drawn by the seed and have nothing to do with each other. Fixed here:
PSNR is a mean over pairs, not over batches; LPIPS is a mean over pairs, not one pair, and gets values in [-1, 1]; it
is measured on VGG16 as there, and on AlexNet, wherever the weights of each are;
synthetic images are compared with held-out patients, not with training patients; a discriminator without a threshold
has no accuracy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.config.dataset import ImageKind
from chestgan_core.config.training_plan import Relativistic, Wasserstein
from chestgan_core.errors import NotAvailable
from chestgan_core.evaluation.thesis.block import ThesisBlock, ThesisRow
from chestgan_core.evaluation.thesis.score import LPIPS, PUBLISHED, load_weights, thesis_score
from chestgan_core.imaging.lpips import Backbone, lpips_id, open_lpips, perceptual_distances
from chestgan_core.metrics.discriminator_accuracy import (
    discriminator_accuracy,
    generator_accuracy,
    wasserstein_estimate,
)
from chestgan_core.metrics.feature_extractors import Extractor
from chestgan_core.metrics.inception_score import inception_score
from chestgan_core.metrics.similarity import psnr, ssim
from chestgan_core.training.conditions import NO_CONDITIONS, SliceConditions
from chestgan_core.training.discriminator_logits import discriminator_logits
from chestgan_core.training.losses import build_loss
from chestgan_core.training.weights import LoadedDiscriminator

MAX_IMAGES = 500  # per side: more change the third digit
# VGG16 takes some 20 times as long as AlexNet for a pair, and the thesis system measures one.
MAX_VGG_PAIRS = 64
BACKBONES: dict[str, Backbone] = {LPIPS[0]: "vgg", LPIPS[1]: "alex"}
ACCURACIES, ESTIMATE = ("discriminator accuracy", "generator accuracy"), "Wasserstein estimate"


@dataclass(frozen=True)
class ThesisImages:
    """images: (N, 1, R, R) float32 in [-1, 1]; conditions: what the discriminator is told of them."""

    images: Tensor
    conditions: SliceConditions = NO_CONDITIONS

    def sample(self, count: int, rng: np.random.Generator) -> "ThesisImages":
        """At most `count` of them, a random choice in random order."""
        chosen = rng.permutation(len(self.images))[:count].tolist()
        return ThesisImages(self.images[chosen], self.conditions.some(chosen))


@dataclass(frozen=True)
class ThesisFeatures:
    """Features (n, d) that the report has computed, and their extractor: for the inception score."""

    extractor: Extractor
    synthetic: NDArray[np.float32]
    other: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class RunDiscriminator:
    """The discriminator of a run with its last weights, or the reason why there is none.

    generator_images_seen: of the generator's weights, where these are those of a validation.
    """

    loaded: LoadedDiscriminator | None = None
    reason: str = "no discriminator was given"
    generator_images_seen: int | None = None


def measure_thesis(
    held_out: ThesisImages,
    fake: ThesisImages,
    other: ThesisImages | None,
    *,
    image_kind: ImageKind,
    discriminator: RunDiscriminator,
    features: ThesisFeatures | None = None,
    seed: int = 0,
) -> ThesisBlock:
    """The block, from at most MAX_IMAGES images per side. other: images of training patients; None: no values of real
    against real images.

    Raises BadInput: a weights file that cannot be used, images that do not fit the discriminator.
    """
    weights = load_weights()
    rng = np.random.default_rng(seed)
    count = min(len(held_out.images), len(fake.images), MAX_IMAGES)
    held_out, fake = held_out.sample(count, rng), fake.sample(count, rng)
    other = None if other is None else other.sample(count, rng)
    rows = _Rows(image_kind, seed, count)
    _add_discriminator_rows(rows, discriminator, held_out, fake, other)
    _add_similarity(rows, held_out.images, fake.images, None if other is None else other.images)
    _add_inception_score(rows, features)
    ordered = tuple(rows.by_measure[measure] for measure in PUBLISHED)
    score = thesis_score({row.measure: row.value for row in ordered}, weights)
    return ThesisBlock(ordered, score, image_kind)


def instruments() -> list[str]:
    """What else decides the block, beside images and discriminator: the weights file, and each LPIPS or its absence."""
    return [load_weights().model_dump_json(), *map(_lpips_or_its_absence, BACKBONES.values())]


def _lpips_or_its_absence(backbone: Backbone) -> str:
    try:
        return lpips_id(backbone)
    except NotAvailable:
        return f"no lpips-{backbone}"


@dataclass(frozen=True)
class _Notes:
    instrument: str
    note: str
    real_note: str


class _Rows:
    """The rows that have been added, by measure."""

    def __init__(self, image_kind: ImageKind, seed: int, count: int) -> None:
        self.image_kind, self.seed, self.count = image_kind, seed, count
        self.by_measure: dict[str, ThesisRow] = {}

    def compare(
        self,
        measure: str,
        compared: Callable[[Any, Any], float],
        sides: tuple[Any, Any, Any],
        notes: _Notes,
        before: float = 0.0,
        in_pairs: bool = False,
    ) -> None:
        """Add a measure: `compared` of held-out and synthetic, and of held-out and other images, or of their outputs.

        sides: held-out, synthetic, other. before: seconds already spent.
        """
        held_out, fake, other = sides
        absent = other is None or not len(other)
        started = time.perf_counter()
        value = compared(held_out, fake)
        real = None if absent else compared(held_out, other)
        self.by_measure[measure] = ThesisRow(
            measure=measure,
            value=value,
            real=real,
            n=len(fake),
            real_n=0 if absent else len(other),
            pairs=len(fake) if in_pairs else None,
            seed=self.seed,
            seconds=round(before + time.perf_counter() - started, 3),
            instrument=notes.instrument,
            note=notes.note,
            real_note=f"none: no images of other {self.image_kind} patients" if absent else notes.real_note,
            published=PUBLISHED[measure],
        )

    def add_missing(self, measure: str, reason: str) -> None:
        """A row without values."""
        self.by_measure[measure] = ThesisRow(
            measure=measure,
            value=None,
            real=None,
            n=self.count,
            real_n=0,
            pairs=None,
            seed=self.seed,
            seconds=0.0,
            instrument="",
            note=f"not measured: {reason}",
            real_note="",
            published=PUBLISHED[measure],
        )


def _add_discriminator_rows(
    rows: _Rows,
    run: RunDiscriminator,
    held_out: ThesisImages,
    fake: ThesisImages,
    other: ThesisImages | None,
) -> None:
    """The accuracies of a discriminator with a threshold, the estimate of a critic."""
    discriminator = run.loaded
    if discriminator is None:
        for measure in (*ACCURACIES, ESTIMATE):
            rows.add_missing(measure, run.reason)
        return
    loss, image_kind = discriminator.experiment.training.loss, rows.image_kind
    if not isinstance(loss, Wasserstein):
        rows.add_missing(ESTIMATE, f"only a critic estimates it, and the loss of this run is {loss.kind}")
    threshold = build_loss(loss).real_above
    if threshold is None:
        reason = "the output of a critic has no threshold"
        if isinstance(loss, Relativistic):
            reason = "a relativistic loss only fixes differences of outputs, so that no output means 0.5"
        for measure in ACCURACIES:
            rows.add_missing(measure, reason)
    if isinstance(loss, Relativistic):
        return
    started = time.perf_counter()
    real, made, others = (
        None if side is None else discriminator_logits(discriminator, side.images, side.conditions)
        for side in (held_out, fake, other)
    )
    before = time.perf_counter() - started

    def add(measure: str, compared: Callable[[Any, Any], float], note: str) -> None:
        other_note = (
            f"images of other {image_kind} patients, on which it was trained, in place of synthetic ones"
        )
        instrument = f"discriminator:{discriminator.sha256[:12]}"
        notes = _Notes(instrument, f"{note}; {_weights_note(run, discriminator)}", other_note)
        rows.compare(measure, compared, (real, made, others), notes, before)

    if isinstance(loss, Wasserstein):
        note = (
            f"mean output for held-out {image_kind} images minus that for synthetic ones; larger is farther"
        )
        add(
            ESTIMATE,
            wasserstein_estimate,
            f"{note}, in the unit of this critic (the published sign is that of the thesis system)",
        )
        return
    if threshold is None:
        return
    note = f"half held-out {image_kind}, half synthetic images; high where the discriminator recognizes these, which"
    add(
        ACCURACIES[0],
        lambda real, fake: discriminator_accuracy(real - threshold, fake - threshold),
        f"{note} the thesis system counts as a merit; 50% is chance",
    )
    add(
        ACCURACIES[1],
        lambda _, fake: generator_accuracy(fake - threshold),
        f"fraction of synthetic images taken for {image_kind} ones",
    )


def _weights_note(run: RunDiscriminator, discriminator: LoadedDiscriminator) -> str:
    last = f"the run's discriminator, last weights ({discriminator.images_seen:,} images seen)"
    if run.generator_images_seen in (None, discriminator.images_seen):
        return last
    return f"{last}, while the generator is that of the best validation ({run.generator_images_seen:,})"


def _add_similarity(rows: _Rows, held_out: Tensor, fake: Tensor, other: Tensor | None) -> None:
    """SSIM, PSNR and LPIPS over pairs of unrelated images."""
    note = f"mean over unrelated pairs of a held-out {rows.image_kind} and a synthetic image"
    real_note = f"pairs of a held-out and another {rows.image_kind} patient"

    def add(
        measure: str,
        compared: Callable[[Tensor, Tensor], NDArray[np.float64]],
        instrument: str,
        pairs: int = MAX_IMAGES,
    ) -> None:
        rows.compare(
            measure,
            lambda one, two: float(compared(one[: len(two)], two).mean()),
            (held_out[:pairs], fake[:pairs], None if other is None else other[:pairs]),
            _Notes(instrument, note, real_note),
            in_pairs=True,
        )

    add("SSIM", ssim, "scikit-image, window 7 x 7, data range 2")
    add("PSNR", psnr, "mean squared difference, data range 2")
    for measure, backbone in BACKBONES.items():
        try:
            network = open_lpips(backbone)
        except NotAvailable as error:
            rows.add_missing(measure, f"{error.what}, {error.cause}")
            continue
        add(
            measure,
            partial(perceptual_distances, network=network),
            network.id,
            MAX_VGG_PAIRS if backbone == "vgg" else MAX_IMAGES,
        )


def _add_inception_score(rows: _Rows, features: ThesisFeatures | None) -> None:
    measure = "inception score"
    if features is None:
        rows.add_missing(measure, "no features were computed from which a classifier could start")
        return
    count, other = len(features.synthetic), features.other
    together = features.synthetic if other is None else np.concatenate([features.synthetic, other])
    started = time.perf_counter()
    try:
        logits = features.extractor.class_logits(together)
    except NotAvailable as error:
        rows.add_missing(measure, f"{error.what}, {error.cause}")
        return
    rows.compare(
        measure,
        lambda _, logits: inception_score(logits),
        (None, logits[:count], logits[count:]),
        _Notes(
            features.extractor.id,
            "classes of photographs (ImageNet), by the last layer of this extractor; biased downwards at small n",
            f"images of other {rows.image_kind} patients alone",
        ),
        time.perf_counter() - started,
    )
