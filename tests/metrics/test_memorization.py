"""Memorization: copies are caught, fresh samples of the same distribution are not."""

import numpy as np
import pytest

from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.memorization import nearer_fraction, nearer_interval, nearest


def sample(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 12)).astype(np.float32)


def fraction(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
    return nearer_fraction(*(nearest(fake, side, np.zeros(len(side), int), 1) for side in (train, held_out)))


def test_a_copied_training_set_is_caught_and_fresh_images_are_not() -> None:
    train, held_out = sample(300, 0), sample(300, 1)
    assert fraction(train + 0.01 * sample(300, 5), train, held_out) > 0.99
    assert fraction(sample(600, 2), train, held_out) == pytest.approx(0.5, abs=0.08)
    assert fraction(held_out, train, held_out) < 0.01


def test_the_fraction_grows_with_the_part_that_is_copied() -> None:
    train, held_out, fresh = sample(300, 0), sample(300, 1), sample(300, 2)
    fractions = [
        fraction(np.concatenate([train[:n], fresh[n:]]), train, held_out) for n in (0, 100, 200, 300)
    ]
    assert fractions == sorted(fractions)
    assert fractions[1] == pytest.approx(0.5 + 100 / 600, abs=0.08)


def test_the_nearest_of_each_group_is_what_a_loop_finds() -> None:
    queries, candidates, groups = sample(7, 0), sample(30, 1), np.arange(30) % 3
    found = nearest(queries, candidates, groups, 3)
    squared = ((queries[:, None] - candidates[None]) ** 2).sum(axis=2)
    assert np.array_equal(found.index, squared.argmin(axis=1))
    for group in range(3):
        assert found.squared[:, group] == pytest.approx(squared[:, groups == group].min(axis=1), rel=1e-4)


def test_the_interval_holds_a_half_for_fresh_images_and_not_for_copies() -> None:
    train, held_out = sample(300, 0), sample(300, 1)
    people = resampling([f"p{at // 10}" for at in range(300)], 0)
    others = resampling([f"q{at // 10}" for at in range(300)], 1)

    def interval(fake: np.ndarray) -> tuple[float, float]:
        sides = (
            nearest(fake, train, others.groups, others.count),
            nearest(fake, held_out, people.groups, people.count),
        )
        found = nearer_interval(*sides, others, people)
        assert found is not None
        return found

    low, high = interval(sample(300, 2))
    assert low < 0.5 < high
    # A draw leaves a third of the patients out, and with them their images that were copied.
    assert interval(train + 0.01)[0] > 0.6
