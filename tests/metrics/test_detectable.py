"""Which difference of KID patients can show, on clouds of features whose patients differ."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.detectable import Detectable, detectable, spread_of
from chestgan_core.metrics.distances import kid, mmd2

D, PER_PATIENT, IMAGES = 6, 6, 300
BETWEEN = 0.4  # standard deviation between patients; that between slices of one is 1
Floats = NDArray[np.float64]


def patients_of(count: int, rng: np.random.Generator) -> tuple[Floats, list[str]]:
    """Slices of new patients."""
    centres = BETWEEN * rng.standard_normal((count, D))
    slices = centres.repeat(PER_PATIENT, axis=0) + rng.standard_normal((count * PER_PATIENT, D))
    return slices, [f"P{number // PER_PATIENT}" for number in range(len(slices))]


def generated(shift: float, rng: np.random.Generator, count: int = IMAGES) -> Floats:
    """Of a generator that has the right spread, around a wrong centre."""
    made = np.sqrt(1 + BETWEEN**2) * rng.standard_normal((count, D))
    made[:, 0] += shift
    return made


def planned(patients: int, rng: np.random.Generator) -> Detectable:
    """From other patients, whose slices stand in for generated images: as they are, and made worse."""
    x, names = patients_of(patients, rng)
    y = patients_of(IMAGES, rng)[0][::PER_PATIENT]
    drawn = resampling(names, seed=0)
    direction = np.eye(D)[0]
    spreads = [spread_of(x, y + shift * direction, drawn) for shift in (0.0, 0.4, 0.8, 1.2)]
    return detectable([one for one in spreads if one is not None], patients)


def true_kid(shift: float) -> float:
    """Of the two normal distributions: squared distances of their first three moments, as the kernel weighs them."""
    m, s = shift**2, 1 + BETWEEN**2
    third = m**3 + 6 * m**2 * s + (3 * D + 6) * s**2 * m
    return float(3 * m / D + 3 * m**2 / D**2 + third / D**3)


def test_the_true_distance_is_that_of_many_images() -> None:
    rng = np.random.default_rng(0)
    found = mmd2(generated(0.0, rng, 3000), generated(1.0, rng, 3000))
    assert true_kid(0.0) == 0
    assert found == pytest.approx(true_kid(1.0), rel=0.15)


def test_the_value_and_the_interval_are_those_of_a_report() -> None:
    rng = np.random.default_rng(0)
    x, names = patients_of(12, rng)
    y = generated(0.5, rng)
    drawn = resampling(names, seed=3)
    reported, spread = kid(x, y, 0, drawn), spread_of(x, y, drawn)
    assert spread is not None
    assert reported.interval is not None
    assert spread.kid == pytest.approx(reported.value, abs=1e-9)
    assert spread.half_width == pytest.approx((reported.interval[1] - reported.interval[0]) / 2, rel=1e-6)


def test_one_patient_says_nothing_about_others() -> None:
    rng = np.random.default_rng(0)
    x, names = patients_of(1, rng)
    assert spread_of(x, generated(0.5, rng), resampling(names, seed=0)) is None
    assert planned(12, rng).smallest(1.0, patients=1) is None


def test_the_error_from_few_images_is_that_of_images_drawn_again() -> None:
    rng = np.random.default_rng(0)
    x, names = patients_of(20, rng)
    drawn = resampling(names, seed=0)
    spreads = [spread_of(x, generated(0.8, rng), drawn) for _ in range(60)]
    values = [one.kid for one in spreads if one]
    assert np.std(values) == pytest.approx(np.mean([one.images_error for one in spreads if one]), rel=0.35)


def test_intervals_of_new_patients_hold_the_true_distance_about_95_times() -> None:
    truth, held, widths = true_kid(0.8), [], []
    plan = planned(24, np.random.default_rng(1))
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        x, names = patients_of(16, rng)
        spread = spread_of(x, generated(0.8, rng, 600), resampling(names, seed))
        assert spread is not None
        held.append(abs(spread.kid - truth) <= spread.half_width)
        widths.append(spread.half_width)
    assert 0.86 <= np.mean(held) <= 1.0
    # What 24 other patients said of 16 before.
    assert plan.half_width(truth, 16) == pytest.approx(np.mean(widths), rel=0.4)


def test_the_difference_that_it_names_is_seen_in_about_80_of_100_draws_of_patients() -> None:
    """By the median of five plans: a plan from a hundred patients varies by a tenth itself."""
    plans = [planned(100, np.random.default_rng(seed)) for seed in range(5)]
    shifts = np.linspace(0, 1.2, 100)
    distances = [true_kid(shift) for shift in shifts]
    worse = 1.2
    of_worse = true_kid(worse)
    for patients in (24, 60):
        difference = float(np.median([plan.smallest(of_worse, patients) or of_worse for plan in plans]))
        better = float(np.interp(of_worse - difference, distances, shifts))
        seen = []
        for seed in range(60):
            rng = np.random.default_rng(2000 + seed)
            x, names = patients_of(patients, rng)
            drawn = resampling(names, seed)
            one, other = (spread_of(x, generated(shift, rng), drawn) for shift in (worse, better))
            assert one is not None
            assert other is not None
            seen.append(one.kid - one.half_width > other.kid + other.half_width)
        assert 0.65 <= np.mean(seen) <= 0.95, patients


def test_the_patients_that_it_names_see_the_difference_and_one_fewer_does_not() -> None:
    plan = planned(30, np.random.default_rng(3))
    smallest = plan.smallest(1.0, 12)  # of a generator at the distance 1
    assert smallest is not None
    assert plan.patients_for(smallest * 1.0001, 1.0) == 12
    for difference in (0.4, 0.6):
        needed = plan.patients_for(difference, 1.0)
        assert needed is not None
        assert (plan.smallest(1.0, needed) or 9) <= difference * 1.0001
        assert (plan.smallest(1.0, needed - 1) or 9) > difference
    assert plan.patients_for(1.1, 1.0) is None  # more than the whole distance


def test_no_number_of_patients_makes_up_for_too_few_images() -> None:
    plan = Detectable(10, base=1e-4, slope=0.0, images_slope=0.005, correlation=0.5, largest=1.0)
    assert plan.patients_for(0.03, 0.5) is None
    assert plan.patients_for(0.2, 0.5) is not None


def test_two_distances_are_needed() -> None:
    with pytest.raises(ValueError, match="two distances"):
        detectable([], 5)
