"""Patients are split once and for good, whatever else arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.errors import BadInput
from chestgan_core.slices.splits import HELD_OUT_SHARE, split_patients

patients = st.sets(st.text("ABEG0123456789", min_size=1, max_size=8), min_size=2, max_size=60)


@given(patients)
def test_every_patient_is_on_exactly_one_side_and_no_side_is_empty(keys: set[str]) -> None:
    split = split_patients(keys)
    assert set(split.train) | set(split.held_out) == keys
    assert not set(split.train) & set(split.held_out)
    assert split.train
    assert split.held_out


@given(patients)
def test_the_order_of_arrival_does_not_matter(keys: set[str]) -> None:
    assert split_patients(sorted(keys)) == split_patients(sorted(keys, reverse=True))


def test_newcomers_leave_everybody_where_they_were() -> None:
    before = split_patients(f"patient-{number}" for number in range(100))
    after = split_patients(f"patient-{number}" for number in range(200))
    assert set(before.held_out) <= set(after.held_out)
    assert set(before.train) <= set(after.train)


def test_about_the_asked_share_is_held_out() -> None:
    split = split_patients(f"patient-{number}" for number in range(2000))
    assert len(split.held_out) / 2000 == pytest.approx(HELD_OUT_SHARE, abs=0.03)


@pytest.mark.parametrize("keys", [[], ["alone"]])
def test_fewer_than_two_patients_are_refused(keys: list[str]) -> None:
    with pytest.raises(BadInput, match="give at least 2"):
        split_patients(keys)
