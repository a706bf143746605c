"""A training step whose networks are told positions and tumours, against the same step without: processor time.

The networks of phantom-tumour-64, in each family that sees maps of tumours; the two kinds of step take turns.
"""

from collections.abc import Callable

import torch

from bench.ratio import Ratio
from bench.training_step import DEVICE, without_conditions
from bench.turns import one_thread, seconds_in_turns
from chestgan_core.config.experiment import Experiment, load_experiment, parse_experiment
from chestgan_core.config.network_config import CONDITIONED_FAMILIES
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.distributed import World
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.step import step

SLICES, TARGET = 512, 1.15
ROUNDS, STEPS = (15, 3) if DEVICE.type == "cpu" else (15, 50)


def measure() -> list[Ratio]:
    """A row for each family; about a minute on one core."""
    with one_thread():
        return [_row(family) for family in CONDITIONED_FAMILIES]


def _row(family: str) -> Ratio:
    told = _experiment(family)
    seconds = seconds_in_turns([_steps(told), _steps(without_conditions(told))], ROUNDS)
    told_ms, plain_ms = (1000 * found / STEPS for found in seconds)
    network, batch = told.network, told.training.batch_size
    note = f"64 pixels, widths {network.generator_width}, batch {batch}, {DEVICE.type}"
    return Ratio(f"conditional step, {family}", told_ms, plain_ms, "ms", TARGET, note, at_most=True)


def _experiment(family: str) -> Experiment:
    fields = load_experiment("phantom-tumour-64").model_dump(mode="json")
    fields["network"]["family"] = family
    if family == "projected":
        fields["network"]["projection"] = {}
    if family == "r3":
        fields["training"]["loss"] = {"kind": "relativistic", "gamma": [10, 1]}
    return parse_experiment(fields, family, "bench")


def _steps(experiment: Experiment) -> Callable[[], None]:
    random = torch.Generator().manual_seed(0)
    images = (torch.rand(SLICES, 1, 64, 64, generator=random) * 2 - 1).to(DEVICE)
    images = images.contiguous(memory_format=torch.channels_last)
    conditions = SliceConditions()
    if experiment.conditions:
        corners = torch.randint(4, 50, (SLICES, 1, 2), generator=random)
        boxes = torch.cat([corners, corners + 8], dim=2).float()
        boxes[::2] = torch.nan  # every second slice shows no tumour
        conditions = SliceConditions(
            positions=torch.rand(SLICES, generator=random), boxes=boxes, annotated=torch.ones(SLICES).bool()
        ).to(DEVICE)
    state = TrainingState(experiment, DEVICE, IndexSampler(SLICES, None, DEVICE))

    def run() -> None:
        for _ in range(STEPS):
            step(state, images, conditions, World(), 0.0)

    return run
