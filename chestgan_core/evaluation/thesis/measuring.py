"""The measures of the thesis system, computed as it did where that was sound.

In: held-out images, synthetic ones, images of other patients, the run's discriminator, features that the report has
measured. Out: a ThesisBlock. Each measure stands beside the same measure with the images of other patients in the place
of the synthetic ones.

Pairs are drawn by the seed and have nothing to do with each other, as in the thesis. Mended: PSNR is a mean over pairs,
not over batches; LPIPS is a mean over pairs, not one pair, and gets values in [-1, 1]; synthetic images are compared
with held-out patients, not with those trained on; a discriminator without a threshold is not asked for an accuracy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.config.dataset import ImageKind
from chestgan_core.config.training_plan import Relativistic, Wasserstein
from chestgan_core.errors import NotAvailable
from chestgan_core.evaluation.thesis.block import ThesisBlock, ThesisRow
from chestgan_core.evaluation.thesis.score import PUBLISHED, load_weights, thesis_score
from chestgan_core.imaging.lpips import open_lpips, perceptual_distances
from chestgan_core.metrics.discriminator_accuracy import (
    discriminator_accuracy,
    generator_accuracy,
    wasserstein_estimate,
)
from chestgan_core.metrics.inception_score import class_logits, inception_score
from chestgan_core.metrics.similarity import psnr, ssim
from chestgan_core.training.discriminator_logits import logits_of
from chestgan_core.training.weights import LoadedDiscriminator

MOST = 500  # images on a side: more change the third digit
ACCURACIES, ESTIMATE = ("discriminator accuracy", "generator accuracy"), "Wasserstein estimate"


@dataclass(frozen=True)
class ThesisImages:
    """images: (N, 1, R, R) float32 in [-1, 1]; classes: (N,) int64 where the experiment has some."""

    images: Tensor
    classes: Tensor | None = None

    def some(self, most: int, rng: np.random.Generator) -> "ThesisImages":
        """At most so many, a random choice in random order."""
        places = rng.permutation(len(self.images))[:most].tolist()
        return ThesisImages(self.images[places], None if self.classes is None else self.classes[places])


@dataclass(frozen=True)
class ThesisFeatures:
    """What the report has measured already, for the Inception score: (n, d) features and the extractor's id."""

    extractor: str
    synthetic: NDArray[np.float32]
    other: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Opponent:
    """The run's discriminator, or why there is none. generator_at: images seen when the generator had its weights,
    where it is that of a look; the discriminator is always that of the last weights.
    """

    discriminator: LoadedDiscriminator | None = None
    reason: str = "no discriminator was given"
    generator_at: int | None = None


def measure_thesis(
    held_out: ThesisImages,
    fake: ThesisImages,
    other: ThesisImages | None,
    *,
    image_kind: ImageKind,
    opponent: Opponent,
    features: ThesisFeatures | None = None,
    seed: int = 0,
) -> ThesisBlock:
    """The block, from at most MOST images on each side. other: images of the patients that the model was trained on;
    without them there are no real-vs-real values.

    Raises BadInput: a weights file that cannot be used, images that do not fit the discriminator.
    """
    weights = load_weights()
    rng = np.random.default_rng(seed)
    count = min(len(held_out.images), len(fake.images), MOST)
    held_out, fake = held_out.some(count, rng), fake.some(count, rng)
    other = None if other is None else other.some(count, rng)
    rows = _Rows(image_kind, seed, count)
    _add_discrimination(rows, opponent, held_out, fake, other)
    _add_similarity(rows, held_out.images, fake.images, None if other is None else other.images)
    _add_inception_score(rows, features)
    ordered = tuple(rows.made[measure] for measure in PUBLISHED)
    score = thesis_score({row.measure: row.value for row in ordered}, weights)
    return ThesisBlock(ordered, score, image_kind)


def instruments() -> list[str]:
    """What decides the block beside images and discriminator: the weights file, and LPIPS or its absence."""
    try:
        lpips = open_lpips().id
    except NotAvailable:
        lpips = "not available"
    return [load_weights().model_dump_json(), lpips]


@dataclass(frozen=True)
class _Told:
    instrument: str
    note: str
    real_note: str


class _Rows:
    """Rows in the making, by measure."""

    def __init__(self, image_kind: ImageKind, seed: int, count: int) -> None:
        self.image_kind, self.seed, self.count = image_kind, seed, count
        self.made: dict[str, ThesisRow] = {}

    def compare(
        self,
        measure: str,
        compared: Callable[[Any, Any], float],
        sides: tuple[Any, Any, Any],
        told: _Told,
        before: float = 0.0,
        in_pairs: bool = False,
    ) -> None:
        """compared: of held-out and other images, or of what was made of them. sides: held-out, synthetic, other.

        before: seconds that were spent on it already.
        """
        held_out, fake, other = sides
        absent = other is None or not len(other)
        started = time.perf_counter()
        value = compared(held_out, fake)
        real = None if absent else compared(held_out, other)
        self.made[measure] = ThesisRow(
            measure=measure,
            value=value,
            real=real,
            n=len(fake),
            real_n=0 if absent else len(other),
            pairs=len(fake) if in_pairs else None,
            seed=self.seed,
            seconds=round(before + time.perf_counter() - started, 3),
            instrument=told.instrument,
            note=told.note,
            real_note=f"none: no images of other {self.image_kind} patients" if absent else told.real_note,
            published=PUBLISHED[measure],
        )

    def leave_out(self, measure: str, reason: str) -> None:
        """A row without values."""
        self.made[measure] = ThesisRow(
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


def _add_discrimination(
    rows: _Rows, opponent: Opponent, held_out: ThesisImages, fake: ThesisImages, other: ThesisImages | None
) -> None:
    """Accuracies of a discriminator that has a threshold, the estimate of a critic."""
    discriminator = opponent.discriminator
    if discriminator is None:
        for measure in (*ACCURACIES, ESTIMATE):
            rows.leave_out(measure, opponent.reason)
        return
    loss, image_kind = discriminator.experiment.training.loss, rows.image_kind
    if not isinstance(loss, Wasserstein):
        rows.leave_out(ESTIMATE, f"only a critic estimates it, and this run's loss was {loss.kind}")
    if isinstance(loss, Wasserstein | Relativistic):
        reason = "the score of a critic has no threshold"
        if isinstance(loss, Relativistic):
            reason = "a relativistic loss fixes differences of scores, so that none of them means 0.5"
        for measure in ACCURACIES:
            rows.leave_out(measure, reason)
    if isinstance(loss, Relativistic):
        return
    started = time.perf_counter()
    real, made, others = (
        None if side is None else logits_of(discriminator, side.images, side.classes)
        for side in (held_out, fake, other)
    )
    before = time.perf_counter() - started

    def add(measure: str, compared: Callable[[Any, Any], float], note: str) -> None:
        trained = (
            f"images of other {image_kind} patients, which it was trained on, in the place of synthetic ones"
        )
        instrument = f"discriminator:{discriminator.sha256[:12]}"
        told = _Told(instrument, f"{note}; {_whose(opponent, discriminator)}", trained)
        rows.compare(measure, compared, (real, made, others), told, before)

    if isinstance(loss, Wasserstein):
        note = f"mean score of held-out {image_kind} images minus that of synthetic ones: larger is farther, in a unit"
        add(ESTIMATE, wasserstein_estimate, f"{note} of this critic (the published sign is the thesis')")
        return
    note = f"threshold 0.5, half held-out {image_kind}, half synthetic images; high means that it sees through these,"
    add(ACCURACIES[0], discriminator_accuracy, f"{note} which the thesis counted as merit; 50% is guessing")
    add(ACCURACIES[1], lambda _, judged: generator_accuracy(judged), "share of synthetic images above 0.5")


def _whose(opponent: Opponent, discriminator: LoadedDiscriminator) -> str:
    last = f"the run's discriminator, last weights ({discriminator.images_seen:,} images seen)"
    if opponent.generator_at in (None, discriminator.images_seen):
        return last
    return f"{last}, while the generator is that of the best look ({opponent.generator_at:,})"


def _add_similarity(rows: _Rows, held_out: Tensor, fake: Tensor, other: Tensor | None) -> None:
    """SSIM, PSNR and LPIPS over pairs of unrelated images."""
    note = f"mean over unrelated pairs of a held-out {rows.image_kind} and a synthetic image"
    real_note = f"pairs of a held-out and another {rows.image_kind} patient"

    def add(
        measure: str,
        compared: Callable[[Tensor, Tensor], NDArray[np.float64]],
        instrument: str,
        more: str = "",
    ) -> None:
        rows.compare(
            measure,
            lambda one, two: float(compared(one[: len(two)], two).mean()),
            (held_out, fake, other),
            _Told(instrument, note + more, real_note),
            in_pairs=True,
        )

    add("SSIM", ssim, "scikit-image, window 7 x 7, data range 2")
    add("PSNR", psnr, "mean squared difference, data range 2")
    try:
        likeness = open_lpips()
    except NotAvailable as error:
        rows.leave_out("LPIPS", f"{error.what}, {error.cause}")
        return
    add(
        "LPIPS",
        lambda one, two: perceptual_distances(one, two, likeness),
        likeness.id,
        "; the thesis took VGG and one pair",
    )


def _add_inception_score(rows: _Rows, features: ThesisFeatures | None) -> None:
    measure = "inception score"
    if features is None:
        rows.leave_out(measure, "no features were measured that a classifier could take")
        return
    count, other = len(features.synthetic), features.other
    together = features.synthetic if other is None else np.concatenate([features.synthetic, other])
    started = time.perf_counter()
    try:
        logits = class_logits(together, features.extractor)
    except NotAvailable as error:
        rows.leave_out(measure, f"{error.what}, {error.cause}")
        return
    rows.compare(
        measure,
        lambda _, judged: inception_score(judged),
        (None, logits[:count], logits[count:]),
        _Told(
            features.extractor,
            "classes of photographs (ImageNet), by the last layer of this extractor; biased downwards at small n",
            f"images of other {rows.image_kind} patients alone",
        ),
        time.perf_counter() - started,
    )
