"""Validation of a training: the KID of its generator against held-out patients, and whether it has collapsed.

In: the averaged generator as it is now. Out: in the state, the best generator so far and when to stop.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import ChestganError
from chestgan_core.metrics.distances import Kid, kid
from chestgan_core.metrics.feature_extractors import Extractor, open_extractor
from chestgan_core.slices.marks import SliceMarks
from chestgan_core.training.checkpoint import Best, TrainingState
from chestgan_core.training.data import LoadedSlices, load_held_out
from chestgan_core.training.ema import calibrate_batch_norm
from chestgan_core.training.generation import generate
from chestgan_core.training.mapped_images import Images
from chestgan_core.training.weights import LoadedGenerator

# Images (n, 1, R, R) float32 in [-1, 1] to a KID, not times 1000.
KidScorer: TypeAlias = Callable[[Tensor], float]

# Once images have differed by this fraction of the spread of real ones, the generator has begun to learn.
MIN_SPREAD = 0.2
# It has collapsed when for so many rows its images differ by less than this fraction of what they once did.
COLLAPSED_FRACTION, MAX_COLLAPSED_ROWS = 0.1, 3


class TrainingCollapsed(ChestganError):
    """Mode collapse: the generator makes the same image from every seed."""


class Validator:
    """A KidScorer: KID against held-out slices, whose features are computed once.

    held_out: (N, 1, R, R) float32 in [-1, 1], in memory or in a mapped file. images: at most so many of them are used
    (`count`), drawn by the seed.
    """

    def __init__(self, extractor: Extractor, held_out: Images, images: int, seed: int) -> None:
        chosen = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:images]
        self.count = len(chosen)
        self._extractor, self._seed = extractor, seed
        self._raw = extractor.features(held_out[chosen.sort().values], label=None)
        self._real = extractor.comparable(self._raw, self._raw)

    def __call__(self, images: Tensor) -> float:
        """KID of images (n, 1, R, R) float32 in [-1, 1], not times 1000."""
        return self.score(images).value

    def score(self, images: Tensor) -> Kid:
        """The same with its standard error."""
        features = self._extractor.features(images, label=None)
        return kid(self._real, self._extractor.comparable(features, self._raw), self._seed)


def open_validator(
    paths: Sequence[Path],
    trained: LoadedSlices[Images],
    experiment: Experiment,
    device: torch.device,
    marks: SliceMarks | None = None,
) -> Validator | None:
    """The validator of an experiment, from shards of held-out slices; None where its plan has no validation.

    trained: the slices that it is trained on. Raises NotAvailable (the extractor's weights are not here), BadInput (no
    slices, too small ones, or of patients that it is trained on).
    """
    held_out = load_held_out(paths, trained, experiment, marks, device)
    plan = experiment.training.validation
    if plan is None:
        return None
    extractor = open_extractor(experiment.evaluation.extractor, device, experiment.display_window)
    return Validator(extractor, held_out.images, plan.images, experiment.seed)


def validate(state: TrainingState, scorer: KidScorer, images: int) -> None:
    """Score the averaged generator by so many images (seeds 0, 1, ...); keep its weights if they are the best yet."""
    calibrate_batch_norm(state.ema, state.experiment, state.layouts)
    loaded = LoadedGenerator(state.ema, state.experiment, "", state.device, state.layouts)
    value = scorer(generate(loaded, range(images)))
    state.validations.append({"images_seen": state.images_seen, "seconds": state.seconds, "kid": value})
    if state.best is None or value < state.best.kid:
        state.best = Best(value, state.images_seen, state.ema_weights())
    else:
        state.best.validations_since += 1


def require_diversity(state: TrainingState, samples: Tensor, real_spread: float) -> float:
    """The spread of generated images as a fraction of that of real slices.

    Spread: mean over the pixels of the standard deviation between images. samples: (n, 1, R, R).
    Raises TrainingCollapsed when it stays near 0 for MAX_COLLAPSED_ROWS rows after it had been more.
    """
    spread = float(samples.float().std(dim=0).mean()) / max(real_spread, 1e-9)
    state.max_spread = max(state.max_spread, spread)
    collapsed = state.max_spread >= MIN_SPREAD and spread < COLLAPSED_FRACTION * state.max_spread
    state.collapsed_rows = state.collapsed_rows + 1 if collapsed else 0
    if state.collapsed_rows >= MAX_COLLAPSED_ROWS:
        raise TrainingCollapsed(
            f"training {state.experiment.name}",
            f"the generator makes one image from all seeds since about {state.images_seen:,} images "
            f"(spread {spread:.1%} of that of the slices, {state.max_spread:.0%} before)",
            "train from the start with augmentation, a lower optimizer.discriminator_lr or another loss",
        )
    return spread
