"""Losses and penalties against their definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.training.losses import (
    CrossEntropy,
    GanLoss,
    Hinge,
    Relativistic,
    Wasserstein,
    gradient_penalty,
    squared_gradient_norm,
)

logits = st.lists(st.floats(-8, 8), min_size=1, max_size=6).map(
    lambda v: torch.tensor(v, dtype=torch.float64)
)
PLAIN = CrossEntropy((1.0, 1.0), (0.0, 0.0), smoothed_generator=False)


def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@given(real=logits, fake=logits, target=st.floats(0.51, 1))
def test_it_is_the_cross_entropy_with_a_smoothed_target_for_real_images_only(
    real: torch.Tensor, fake: torch.Tensor, target: float
) -> None:
    count = min(len(real), len(fake))
    real, fake = real[:count], fake[:count]
    entropy = torch.nn.functional.binary_cross_entropy
    expected = entropy(real.sigmoid(), torch.full_like(real, target))
    expected += entropy(fake.sigmoid(), torch.zeros_like(fake))
    loss = CrossEntropy((target, target), (0.0, 0.0), smoothed_generator=False)
    assert loss.discriminator(real, fake, random()).item() == pytest.approx(expected.item(), abs=1e-9)
    expected_g = entropy(fake.sigmoid(), torch.ones_like(fake)).item()
    assert loss.generator(None, fake, random()).item() == pytest.approx(expected_g, abs=1e-9)


def test_the_targets_of_the_thesis_are_drawn_between_two_numbers_and_hold_for_the_generator_too() -> None:
    loss = CrossEntropy((0.85, 1.0), (0.0, 0.15), smoothed_generator=True)
    sure = torch.tensor([20.0])
    # Of a logit x that is sure of real, the cross entropy with the target t is (1 - t) x.
    targets = {
        round(1 - loss.generator(None, sure, drawn).item() / 20, 6) for drawn in [random()] for _ in range(50)
    }
    assert len(targets) == 50
    assert all(0.85 <= target <= 1 for target in targets)


def test_a_discriminator_that_knows_nothing_costs_two_bits() -> None:
    nothing = torch.zeros(4)
    assert PLAIN.discriminator(nothing, nothing, random()).item() == pytest.approx(2 * math.log(2))


def test_a_generator_against_a_sure_discriminator_still_learns() -> None:
    fake = torch.tensor([-60.0], requires_grad=True)
    PLAIN.generator(None, fake, random()).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1)


@pytest.mark.parametrize(
    "loss", [PLAIN, Wasserstein(), Hinge(), Relativistic()], ids=lambda loss: type(loss).__name__
)
@given(real=logits, fake=logits, step=st.floats(0.01, 2))
def test_a_better_discriminator_has_a_lower_loss_and_the_generator_a_higher_one(
    loss: GanLoss, real: torch.Tensor, fake: torch.Tensor, step: float
) -> None:
    count = min(len(real), len(fake))
    real, fake = real[:count], fake[:count]
    better = loss.discriminator(real + step, fake - step, random())
    assert better <= loss.discriminator(real, fake, random()) + 1e-9
    assert loss.generator(real, fake - step, random()) > loss.generator(real, fake, random()) - 1e-9


@given(real=logits, fake=logits, shift=st.floats(-5, 5))
def test_only_differences_of_pairs_count_in_the_relativistic_loss(
    real: torch.Tensor, fake: torch.Tensor, shift: float
) -> None:
    count = min(len(real), len(fake))
    real, fake = real[:count], fake[:count]
    loss = Relativistic()
    moved = loss.discriminator(real + shift, fake + shift, random())
    assert moved.item() == pytest.approx(loss.discriminator(real, fake, random()).item(), abs=1e-9)


def test_the_gradients_of_a_linear_score_are_known() -> None:
    weights = torch.tensor([[3.0, 4.0]])
    images = torch.randn(5, 1, 1, 2, generator=random()).requires_grad_()
    logits = (images.flatten(1) @ weights.T).flatten()
    assert squared_gradient_norm(images, logits).item() == pytest.approx(25)
    penalty = gradient_penalty(
        images.detach(), images.detach() + 1, lambda x: (x.flatten(1) @ weights.T).flatten(), random()
    )
    assert penalty.item() == pytest.approx((5 - 1) ** 2, rel=1e-5)


def test_a_penalty_has_a_gradient_for_the_weights() -> None:
    weights = torch.tensor([[3.0, 4.0]], requires_grad=True)
    images = torch.ones(2, 1, 1, 2).requires_grad_()
    squared_gradient_norm(images, (images.flatten(1) @ weights.T).flatten()).backward()
    assert weights.grad is not None
    assert weights.grad.flatten().tolist() == pytest.approx([6, 8])


@pytest.mark.parametrize("loss", [PLAIN, Hinge(), Wasserstein(), Relativistic()])
def test_an_image_that_may_be_either_lies_on_the_threshold_of_its_loss(loss: GanLoss) -> None:
    """What the discriminator minimizes where real and generated images are equally likely, or no threshold at all."""
    outputs = torch.linspace(-3, 3, 601, dtype=torch.float64)
    losses = torch.stack([loss.discriminator(c[None], c[None], random()) for c in outputs])
    if loss.real_above is None:
        assert losses.max() - losses.min() < 1e-9  # only differences of outputs count
    else:
        at_threshold = loss.discriminator(*torch.full((2, 1), loss.real_above, dtype=torch.float64), random())
        assert at_threshold <= losses.min() + 1e-9
        assert losses.max() > losses.min()
