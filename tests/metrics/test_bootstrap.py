"""Intervals over patients: they hold the truth as often as they say, and one patient has none."""

import numpy as np

from chestgan_core.metrics.bootstrap import MAX_GROUPS, resampling
from chestgan_core.metrics.distances import kid


def chest(patients: int, slices: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, list[str]]:
    """Features of slices that are similar within a patient: (N, 4), and the patient of each."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((patients, 1, 4)) + shift
    features = means + 0.3 * rng.standard_normal((patients, slices, 4))
    return features.reshape(-1, 4), [f"p{at}" for at in range(patients) for _ in range(slices)]


def test_the_interval_of_a_mean_holds_the_truth_and_slices_taken_alone_would_not() -> None:
    held, naive = 0, 0
    for seed in range(120):
        features, patients = chest(20, 10, seed)
        values = features[:, 0]
        drawn = resampling(patients, seed)
        interval = drawn.interval(drawn.means(values))
        assert interval is not None
        held += interval[0] <= 0 <= interval[1]
        naive += abs(values.mean()) < 1.96 * values.std() / np.sqrt(len(values))
    assert held >= 0.88 * 120
    assert naive < 0.7 * 120


def test_the_interval_of_kid_holds_the_distance_of_the_distributions() -> None:
    fake, _ = chest(400, 1, 999, shift=0.5)
    many, _ = chest(1500, 1, 998)
    truth = kid(many, fake, 0).value
    held = 0
    for seed in range(60):
        real, patients = chest(20, 5, seed)
        interval = kid(real, fake, seed, resampling(patients, seed)).interval
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert held >= 0.8 * 60


def test_one_patient_gives_no_interval() -> None:
    one = resampling(["a"] * 5, 0)
    assert one.interval(one.means(np.arange(5.0))) is None


def test_many_patients_are_drawn_in_bundles_of_whole_patients() -> None:
    patients = [f"p{at // 2}" for at in range(1000)]
    drawn = resampling(patients, 0)
    assert (drawn.count, drawn.patients) == (MAX_GROUPS, 500)
    assert all(drawn.groups[at] == drawn.groups[at + 1] for at in range(0, 1000, 2))


def test_equal_seeds_draw_equal_patients() -> None:
    patients = list("aabbccdd")
    assert np.array_equal(resampling(patients, 3).weights, resampling(patients, 3).weights)
    assert not np.array_equal(resampling(patients, 3).weights, resampling(patients, 4).weights)
