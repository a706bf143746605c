"""Values with intervals over patients, and what may be said of two of them."""

import numpy as np
import pytest

from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.measure import share

PATIENTS = resampling([f"P{at // 4}" for at in range(80)], seed=0)
RANDOM = np.random.default_rng(0)
ONES = np.ones(80, np.int64)
OFTEN, SELDOM = (RANDOM.random(80) < 0.8).astype(np.int64), (RANDOM.random(80) < 0.3).astype(np.int64)


def test_a_share_lies_in_its_interval_and_the_interval_in_what_is_possible() -> None:
    found = share(OFTEN, ONES, PATIENTS)
    assert found is not None
    assert found.interval is not None
    assert 0.5 < found.interval[0] < found.value == OFTEN.mean() < found.interval[1] <= 1
    everything = share(ONES, ONES, PATIENTS)
    assert everything is not None
    assert everything.interval == (1, 1)


def test_a_share_of_nothing_is_none() -> None:
    assert share(ONES * 0, ONES * 0, PATIENTS) is None


def test_patients_of_whom_all_depends_make_wide_intervals() -> None:
    alone = np.where(np.arange(80) < 4, OFTEN, 0)
    narrow, wide = share(OFTEN, ONES, PATIENTS), share(alone, np.where(np.arange(80) < 8, 1, 0), PATIENTS)
    assert narrow is not None
    assert wide is not None
    assert np.isnan(wide.draws).any()  # draws without these patients
    assert np.nanstd(wide.draws) > 3 * np.nanstd(narrow.draws)


def test_one_patient_says_nothing_about_others() -> None:
    found = share(OFTEN, ONES, resampling(["P"] * 80, seed=0))
    assert found is not None
    assert found.interval is None


def test_two_measures_are_compared_patient_by_patient() -> None:
    often, seldom = share(OFTEN, ONES, PATIENTS), share(SELDOM, ONES, PATIENTS)
    assert often is not None
    assert seldom is not None
    assert often.minus(often).interval == (0, 0)
    difference = often.minus(seldom)
    assert difference.value == pytest.approx(OFTEN.mean() - SELDOM.mean())
    assert difference.interval is not None
    assert 0 < difference.interval[0] < difference.value < difference.interval[1]
    ratio = often.over(seldom)
    assert ratio is not None
    assert ratio.value == pytest.approx(OFTEN.mean() / SELDOM.mean())


def test_nothing_is_measured_in_parts_of_nothing() -> None:
    often, never = share(OFTEN, ONES, PATIENTS), share(ONES * 0, ONES, PATIENTS)
    assert often is not None
    assert never is not None
    assert often.over(never) is None
