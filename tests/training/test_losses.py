"""The loss against its definition by probabilities."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.training.losses import discriminator_loss, generator_loss

logits = st.lists(st.floats(-8, 8), min_size=1, max_size=6).map(
    lambda v: torch.tensor(v, dtype=torch.float64)
)


@given(real=logits, fake=logits, smoothing=st.floats(0, 0.49))
def test_it_is_the_cross_entropy_with_a_smoothed_target_for_real_images_only(
    real: torch.Tensor, fake: torch.Tensor, smoothing: float
) -> None:
    count = min(len(real), len(fake))
    real, fake = real[:count], fake[:count]
    entropy = torch.nn.functional.binary_cross_entropy
    wanted = entropy(real.sigmoid(), torch.full_like(real, 1 - smoothing))
    wanted += entropy(fake.sigmoid(), torch.zeros_like(fake))
    assert discriminator_loss(real, fake, smoothing).item() == pytest.approx(wanted.item(), abs=1e-9)
    wanted_g = entropy(fake.sigmoid(), torch.ones_like(fake)).item()
    assert generator_loss(fake).item() == pytest.approx(wanted_g, abs=1e-9)


def test_a_discriminator_that_knows_nothing_costs_two_bits() -> None:
    assert discriminator_loss(torch.zeros(4), torch.zeros(4), 0.0).item() == pytest.approx(2 * math.log(2))


def test_a_generator_that_is_seen_through_still_learns() -> None:
    fake = torch.tensor([-60.0], requires_grad=True)
    generator_loss(fake).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1)
