"""Drift: closed forms of the Kolmogorov-Smirnov distance, and how seldom equal populations exceed chance."""

import numpy as np
import pytest

from chestgan_core.slices.drift import chance_distance, ks_distance, patient_means


def test_a_population_is_at_distance_0_from_itself_and_at_1_from_one_beyond_it() -> None:
    some = np.arange(10.0)
    assert ks_distance(some, some) == 0
    assert ks_distance(some, some + 10) == 1
    assert ks_distance(some, some + 5) == pytest.approx(0.5)


def test_many_slices_of_one_patient_count_once() -> None:
    values = [("A", 0.1)] * 99 + [("A", 1.1), ("B", 0.5), ("C", None), ("D", float("nan"))]
    assert patient_means(values).tolist() == pytest.approx([0.11, 0.5])


def test_equal_populations_exceed_chance_seldom_and_a_shift_of_two_deviations_always() -> None:
    draw = np.random.default_rng(1)
    pairs = [(np.sort(draw.normal(size=200)), np.sort(draw.normal(size=40))) for _ in range(500)]
    least = chance_distance(200, 40, 0.01)
    assert sum(ks_distance(*pair) > least for pair in pairs) <= 12
    assert all(ks_distance(first, second + 2) > least for first, second in pairs)


def test_three_patients_are_too_few_to_drift() -> None:
    assert chance_distance(3, 3, 0.01) > 1
