"""Drift: closed forms of the Kolmogorov-Smirnov distance, and how rarely samples of one population exceed the limit."""

import numpy as np
import pytest

from chestgan_core.slices.drift import critical_distance, ks_distance, patient_means


def test_a_population_is_at_distance_0_from_itself_and_at_1_from_one_beyond_it() -> None:
    sample = np.arange(10.0)
    assert ks_distance(sample, sample) == 0
    assert ks_distance(sample, sample + 10) == 1
    assert ks_distance(sample, sample + 5) == pytest.approx(0.5)


def test_many_slices_of_one_patient_count_once() -> None:
    values = [("A", 0.1)] * 99 + [("A", 1.1), ("B", 0.5), ("C", None), ("D", float("nan"))]
    assert patient_means(values).tolist() == pytest.approx([0.11, 0.5])


def test_equal_populations_rarely_exceed_the_critical_distance_and_a_shift_of_two_deviations_always_does() -> (
    None
):
    random = np.random.default_rng(1)
    pairs = [(np.sort(random.normal(size=200)), np.sort(random.normal(size=40))) for _ in range(500)]
    critical = critical_distance(200, 40, 0.01)
    assert sum(ks_distance(*pair) > critical for pair in pairs) <= 12
    assert all(ks_distance(first, second + 2) > critical for first, second in pairs)


def test_three_patients_are_too_few_for_drift() -> None:
    assert critical_distance(3, 3, 0.01) > 1
