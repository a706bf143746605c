"""A batch that main memory does not hold is refused with a sentence, before the system ends the process."""

from pathlib import Path

import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadInput
from chestgan_core.training import step_memory
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import train
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.schedule import Budget

CPU = torch.device("cpu")
IMAGES = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def small(batch: int = 16, width: int = 8) -> Experiment:
    fields = {
        "dataset": "phantom",
        "resolution": 32,
        "network": {"latent_dim": 8, "generator_width": width, "discriminator_width": width},
        "training": {"batch_size": batch, "images": batch, "precision": "fp32"},
    }
    return parse_experiment(fields, "small", "test")


def slices() -> LoadedSlices:
    return LoadedSlices(IMAGES, None, tuple("abcdefghijklmnop"))


def test_what_a_step_holds_grows_linearly_with_the_batch() -> None:
    first, each = step_memory.step_memory(small(), IMAGES, NO_CONDITIONS)
    peak = step_memory._peak(small(), 16, IMAGES, NO_CONDITIONS)
    assert first + 16 * each == pytest.approx(peak, rel=0.1)


def test_it_holds_what_backward_passes_need() -> None:
    """Of G, and of D for real and for generated images: the output of each layer, before and after normalization."""
    width, places = 8, 16 * 16
    maps = [width * 2**level * places // 4**level for level in range(3)]  # at 16, 8 and 4 pixels
    kept = 4 * (2 * sum(maps) + 2 * (2 * sum(maps) - maps[0]))
    _, each = step_memory.step_memory(small(width=width), IMAGES, NO_CONDITIONS)
    assert kept <= each <= 2 * kept
    # Weights, gradients, averages and two numbers of Adam for each weight.
    wide, _ = step_memory.step_memory(small(width=64), IMAGES, NO_CONDITIONS)
    state = TrainingState(small(width=64), CPU, IndexSampler(16, None, CPU))
    weights = sum(
        weight.numel() for net in (state.generator, state.discriminator) for weight in net.parameters()
    )
    assert wide >= 4 * 4 * weights


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, each = step_memory.step_memory(small(), IMAGES, NO_CONDITIONS)
    monkeypatch.setattr(step_memory, "available_memory", lambda: first + 7 * each)
    monkeypatch.setattr(step_memory, "_roughly", lambda experiment: 2**40)
    with pytest.raises(
        BadInput, match=r"batch of 16 needs 0\.0 GiB of memory, and .* free; set training\.batch_size to 4"
    ) as refused:
        train(small(), slices(), tmp_path / "run", CPU, Budget(None, 16), pictures=False)
    assert "\n" not in str(refused.value)
    assert train(small(4), slices(), tmp_path / "run", CPU, Budget(None, 4), pictures=False).images_seen == 4
    monkeypatch.setattr(step_memory, "available_memory", lambda: first)
    with pytest.raises(
        BadInput, match="lower the widths of the networks or the resolution, or train on a GPU"
    ):
        train(small(), slices(), tmp_path / "other", CPU, Budget(None, 16), pictures=False)


def test_nothing_is_measured_where_there_is_room_or_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_memory, "_peak", lambda *anything: pytest.fail("measured"))
    for available in (2**40, None):
        monkeypatch.setattr(step_memory, "available_memory", lambda available=available: available)
        step_memory.require_memory(small(), IMAGES, NO_CONDITIONS)


def test_the_measurement_changes_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_memory, "_roughly", lambda experiment: 2**40)
    made = []
    for name, available in (("plain", None), ("measured", 2**39)):
        monkeypatch.setattr(step_memory, "available_memory", lambda available=available: available)
        made.append(train(small(), slices(), tmp_path / name, CPU, Budget(None, 32), pictures=False).sha256)
    assert made[0] == made[1]
