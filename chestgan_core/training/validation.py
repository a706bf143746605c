"""Looks at a generator while it is trained: its KID against held-out patients, and whether it has collapsed.

In: the averaged generator as it is now. Out: the state knows the best generator so far, and when to stop.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import ChestganError
from chestgan_core.metrics.distances import kid
from chestgan_core.metrics.feature_extractors import Extractor, open_extractor
from chestgan_core.training.checkpoint import Best, TrainingState
from chestgan_core.training.data import load_slices
from chestgan_core.training.ema import calibrate
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator

# Images (n, 1, R, R) float32 in [-1, 1] to a KID, not times 1000.
Judge: TypeAlias = Callable[[Tensor], float]

# Pictures whose spread falls to this share of what it once was have become one picture.
COLLAPSED, FLAT_ROWS = 0.1, 3
# Below this share of the real spread a generator has not begun to differ.
BEGUN = 0.2


class TrainingCollapsed(ChestganError):
    """The generator makes the same image from every seed."""


class HeldOutJudge:
    """KID against held-out slices, whose features are taken once. The seeds are those that a report scores."""

    def __init__(self, extractor: Extractor, held_out: Tensor, images: int, seed: int) -> None:
        chosen = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:images]
        self.count = len(chosen)
        self._extractor, self._seed = extractor, seed
        self._real = extractor.features(held_out[chosen.sort().values], label=None)

    def __call__(self, images: Tensor) -> float:
        """See Judge."""
        return kid(self._real, self._extractor.features(images, label=None), self._seed).value


def held_out_judge(
    paths: Sequence[Path], experiment: Experiment, device: torch.device
) -> HeldOutJudge | None:
    """The judge of an experiment that selects, from shards of held-out slices; None where it does not.

    Raises NotAvailable (the extractor's weights are not here), BadInput (no slices, or too small ones).
    """
    selection = experiment.training.validation
    if selection is None:
        return None
    extractor = open_extractor(experiment.evaluation.extractor, device)
    return HeldOutJudge(extractor, load_slices(paths, experiment).images, selection.images, experiment.seed)


def look(state: TrainingState, judge: Judge, count: int) -> None:
    """Score the averaged generator and keep it if it is the best so far."""
    calibrate(state.average, state.experiment)
    loaded = LoadedGenerator(state.average, state.experiment, "", state.device)
    value = judge(generate(loaded, range(count)))
    state.looks.append({"images_seen": state.images_seen, "seconds": state.seconds, "kid": value})
    if state.best is None or value < state.best.kid:
        state.best = Best(value, state.images_seen, state.averaged())
    else:
        state.best.since += 1


def require_variety(state: TrainingState, pictures: Tensor, real_spread: float) -> float:
    """The spread of the pictures as a share of that of real slices: mean over the pixels of the deviation between them.

    Raises TrainingCollapsed when it stays near nothing for FLAT_ROWS rows after it had been more.
    """
    spread = float(pictures.float().std(dim=0).mean()) / max(real_spread, 1e-9)
    state.widest = max(state.widest, spread)
    fallen = state.widest >= BEGUN and spread < COLLAPSED * state.widest
    state.flat = state.flat + 1 if fallen else 0
    if state.flat >= FLAT_ROWS:
        raise TrainingCollapsed(
            f"training {state.experiment.name}",
            f"the generator makes one image from all seeds since about {state.images_seen:,} images "
            f"(spread {spread:.1%} of that of the slices, {state.widest:.0%} before)",
            "train with augmentation, a lower optimizer.discriminator_lr or another loss, from the start",
        )
    return spread
