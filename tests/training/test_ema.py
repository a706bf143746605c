"""The moving average: its half-life, its ramp, and batch normalization that fits it."""

import copy

import pytest
import torch
from torch import nn

from chestgan_core.networks.dcgan import Generator, initialize
from chestgan_core.training.ema import calibrate_batch_norm, update_ema
from tests.training.conftest import small


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


@pytest.mark.parametrize("batch", [1, 5, 50])
def test_after_its_half_life_half_of_the_way_is_gone_for_any_batch(batch: int) -> None:
    ema, generator = constant(0), constant(1)
    for _ in range(100 // batch):
        update_ema(ema, generator, batch, images_seen=1_000_000, half_life=100)
    assert ema.weight.item() == pytest.approx(0.5, abs=1e-5)


def test_early_on_it_forgets_the_random_start() -> None:
    ema, generator = constant(0), constant(1)
    for seen in range(10, 201, 10):
        update_ema(ema, generator, 10, images_seen=seen, half_life=1_000_000)
    assert ema.weight.item() > 0.999


def test_without_a_half_life_it_is_the_generator() -> None:
    ema, generator = constant(0), constant(0.3)
    update_ema(ema, generator, 4, images_seen=4, half_life=0)
    assert torch.equal(ema.weight, generator.weight)


def test_calibration_makes_eval_mode_show_what_training_mode_shows() -> None:
    generator = Generator(8, 4, 64)
    initialize(generator, seed=0)
    with torch.no_grad():  # far from the statistics that a new network has
        for parameter in generator.parameters():
            parameter.mul_(3)
    z = torch.randn(256, 8, generator=torch.Generator().manual_seed(1))
    calibrate_batch_norm(generator, small())
    assert not generator.training
    again = copy.deepcopy(generator)
    calibrate_batch_norm(again, small())
    with torch.no_grad():
        shown = generator(z)
        assert torch.equal(shown, again(z))
        assert (shown - generator.train()(z)).abs().mean() < 0.05 * shown.std()
