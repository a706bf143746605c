"""Accuracies and the Wasserstein estimate of a run's own discriminator, on logits whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chestgan_core.metrics.discriminator_accuracy import (
    discriminator_accuracy,
    generator_accuracy,
    wasserstein_estimate,
)

logits = arrays(np.float32, st.integers(1, 20), elements=st.floats(-50, 50, width=32))


def test_a_perfect_discriminator_leaves_the_generator_no_accuracy() -> None:
    real, fake = np.array([2.0, 0.1]), np.array([-0.1, -3.0, -1.0])
    assert discriminator_accuracy(real, fake) == 1
    assert generator_accuracy(fake) == 0


def test_both_sides_count_half_however_many_images_they_have() -> None:
    assert discriminator_accuracy(np.array([1.0]), np.array([-1.0, 1.0, 1.0, 1.0])) == pytest.approx(0.625)


def test_a_probability_of_exactly_one_half_counts_as_wrong() -> None:
    unsure = np.zeros(4)
    assert discriminator_accuracy(unsure, unsure) == 0
    assert generator_accuracy(unsure) == 0


@given(real=logits, fake=logits)
def test_accuracies_are_fractions_and_what_fools_the_discriminator_lowers_its_own(
    real: np.ndarray, fake: np.ndarray
) -> None:
    discriminator, generator = discriminator_accuracy(real, fake), generator_accuracy(fake)
    assert 0 <= discriminator <= 1
    assert 0 <= generator <= 1
    assert discriminator <= 1 - generator / 2 + 1e-9


@given(real=logits, fake=logits, shift=st.integers(-20, 20))
def test_the_estimate_is_the_difference_of_means_and_ignores_a_shift(
    real: np.ndarray, fake: np.ndarray, shift: int
) -> None:
    found = wasserstein_estimate(real, fake)
    assert found == pytest.approx(-wasserstein_estimate(fake, real), abs=1e-6)
    assert found == pytest.approx(wasserstein_estimate(real + shift, fake + shift), abs=1e-3)
    assert wasserstein_estimate(real, real) == 0


def test_the_estimate_of_a_critic_with_lipschitz_constant_one_is_the_distance_of_two_shifted_sets() -> None:
    places = np.random.default_rng(0).standard_normal(1000)
    # The critic f(x) = x: the distance of a set and itself moved by 3 is 3.
    assert wasserstein_estimate(places + 3, places) == pytest.approx(3)


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="N at least 1"):
        generator_accuracy(np.empty(0))
    with pytest.raises(ValueError, match="N at least 1"):
        wasserstein_estimate(np.ones(3), np.ones((3, 1)))
