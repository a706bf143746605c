"""Patients are split once and for good, in each histology, whatever else arrives."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.errors import BadInput
from chestgan_core.slices.splits import HELD_OUT_FRACTION, rank, split_patients

keys = st.text("ABEG0123456789", min_size=1, max_size=8)
cohorts = st.dictionaries(keys, st.sampled_from("ABEG"), min_size=2, max_size=60)
fractions = st.sampled_from([0.05, 0.2, 0.5, 0.9])


def collection() -> dict[str, str]:
    """Patients in the proportions of Lung-PET-CT-Dx."""
    return {
        f"Lung_Dx-{letter}{number:04d}": letter
        for letter, count in (("A", 251), ("B", 38), ("E", 5), ("G", 61))
        for number in range(count)
    }


@given(cohorts, fractions)
def test_every_patient_is_on_exactly_one_side_and_no_side_is_empty(
    strata: dict[str, str], fraction: float
) -> None:
    split = split_patients(strata, fraction)
    assert split.train | split.held_out == strata.keys()
    assert not split.train & split.held_out
    assert split.train
    assert split.held_out
    assert {split.side(patient) for patient in split.held_out} == {"held-out"}


@given(cohorts, fractions)
def test_every_histology_of_two_or_more_patients_is_on_both_sides(
    strata: dict[str, str], fraction: float
) -> None:
    split = split_patients(strata, fraction)
    for letter, patients in Counter(strata.values()).items():
        sides = {split.side(patient) for patient in strata if strata[patient] == letter}
        if patients > 1:
            assert sides == {"train", "held-out"}


@given(cohorts, fractions)
def test_the_order_of_arrival_does_not_matter(strata: dict[str, str], fraction: float) -> None:
    assert split_patients(dict(reversed(strata.items())), fraction) == split_patients(strata, fraction)


@given(cohorts, cohorts, fractions)
def test_newcomers_move_nobody_whose_histology_the_hashes_alone_put_on_both_sides(
    strata: dict[str, str], newcomers: dict[str, str], fraction: float
) -> None:
    before, after = split_patients(strata, fraction), split_patients(newcomers | strata, fraction)
    by_hash = defaultdict(set)
    for patient, letter in strata.items():
        by_hash[letter].add(rank(patient) < fraction)
    for patient, letter in strata.items():
        if len(by_hash[letter]) == 2:
            assert after.side(patient) == before.side(patient)


@given(cohorts, keys, st.sampled_from("ABEG"))
def test_one_newcomer_moves_at_most_one_patient_of_its_histology_and_one_of_a_set_without_any_pair(
    strata: dict[str, str], newcomer: str, letter: str
) -> None:
    before, after = split_patients(strata), split_patients({newcomer: letter} | strata)
    moved = [patient for patient in strata if before.side(patient) != after.side(patient)]
    lonely = len(set(strata.values())) == len(strata)
    assert len(moved) <= (2 if lonely else 1)
    assert lonely or {strata[patient] for patient in moved} <= {letter}


def test_a_large_collection_stays_as_it_was_when_it_doubles() -> None:
    strata = {f"patient-{number}": "AG"[number % 2] for number in range(200)}
    half = dict(list(strata.items())[:100])
    before, after = split_patients(half), split_patients(strata)
    assert before.held_out <= after.held_out
    assert before.train <= after.train


def test_about_the_requested_fraction_of_each_histology_is_held_out() -> None:
    strata = {f"patient-{number}": "ABEG"[number % 4] for number in range(8000)}
    for fraction in (HELD_OUT_FRACTION, 0.5):
        split = split_patients(strata, fraction)
        for letter, count in Counter(strata[patient] for patient in split.held_out).items():
            assert count / 2000 == pytest.approx(fraction, abs=0.03), letter


def test_the_five_patients_with_large_cell_carcinoma_are_on_both_sides() -> None:
    split = split_patients(collection())
    held_out = Counter(patient[8] for patient in split.held_out)
    assert held_out.keys() == set("ABEG")
    assert 1 <= held_out["E"] <= 4
    assert len(split.held_out) / 355 == pytest.approx(HELD_OUT_FRACTION, abs=0.06)


def test_a_patient_alone_in_its_histology_is_trained_on() -> None:
    for number in range(20):
        split = split_patients({**collection(), f"alone-{number}": "X"})
        assert split.side(f"alone-{number}") == "train"


@pytest.mark.parametrize("strata", [{}, {"alone": "A"}])
def test_fewer_than_two_patients_are_refused(strata: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="give at least 2"):
        split_patients(strata)
