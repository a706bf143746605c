"""A training step with R1 and R2, against the same step with PyTorch's own second backward pass: processor time.

The two take turns on one thread. What is gained on a GPU, `bench.gpu` says.
"""

from contextlib import nullcontext
from unittest.mock import patch

import torch

from bench.ratio import Ratio
from bench.training_step import DEVICE
from bench.turns import one_thread, seconds_in_turns
from chestgan_core.config.experiment import load_experiment
from chestgan_core.training import step as steps
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.distributed import World
from chestgan_core.training.sampling import IndexSampler

EXPERIMENT, BATCH = "lung-r3-64", 8
ROUNDS, TARGET = 5, 0.9


def measure(rounds: int = ROUNDS) -> list[Ratio]:
    """One row; about half a minute on one core."""
    with one_thread():
        return [_row(rounds)]


def _row(rounds: int) -> Ratio:
    experiment = load_experiment(EXPERIMENT)
    plan = experiment.training.model_copy(update={"batch_size": BATCH})
    experiment = experiment.model_copy(update={"training": plan})
    size = experiment.resolution
    images = (torch.rand(64, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(DEVICE)
    state = TrainingState(experiment, DEVICE, IndexSampler(len(images), None, DEVICE))

    def ours() -> None:
        steps.step(state, images, NO_CONDITIONS, World(), 0.0)

    def pytorchs() -> None:
        with patch.object(steps, "TwiceDifferentiable", nullcontext):
            ours()

    found, theirs = seconds_in_turns([ours, pytorchs], rounds)
    note = f"{EXPERIMENT}, batch {BATCH}, {DEVICE.type}"
    return Ratio(
        "step with R1 and R2 / PyTorch's", 1000 * found, 1000 * theirs, "ms", TARGET, note, at_most=True
    )
