"""Which slices a training set uses: every candidate is used or counted, and the sides are disjoint."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.dataset import Dataset
from chestgan_core.errors import BadInput
from chestgan_core.imaging.perceptual_hash import distance
from chestgan_core.slices.annotated_slices import with_annotations
from chestgan_core.slices.candidates import Candidate
from chestgan_core.slices.selection import NEAR_BITS, Selection, evenly_spaced, select_slices
from chestgan_core.sources.annotations.boxes import Annotations, TumourBox
from tests.slices.cohorts import cohort, slices, unlike


def dataset(source: dict[str, object] | None = None, **rules: object) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "chosen",
            "title": "generated rows",
            "image_kind": "phantom",
            "licence": "none",
            "source": source or {"kind": "folder", "path_variable": "CHESTGAN_FOLDER"},
            "private": False,
            "slice_size": 64,
            "training_set": rules,
        }
    )


def near(phash: str, bits: int) -> str:
    """The hash with so many bits flipped."""
    return f"{int(phash, 16) ^ ((1 << bits) - 1):064x}"


def whole(selection: Selection, candidates: list[Candidate]) -> Selection:
    """The selection, after checking that no slice is lost or used twice."""
    used = [(use.candidate.shard, use.candidate.index) for use in selection.used]
    assert len(used) == len(set(used))
    assert len(candidates) == len(used) + sum(selection.left_out.values())
    return selection


def counts(selection: Selection, side: str) -> Counter[str]:
    """Slices of each patient on a side."""
    return Counter(use.candidate.row.patient for use in selection.used if use.side == side)


def test_without_special_rules_every_slice_is_used_and_no_patient_is_on_both_sides() -> None:
    candidates = cohort()
    selection = whole(select_slices(candidates, dataset()), candidates)
    assert not selection.left_out
    assert [use.candidate for use in selection.used] == candidates
    assert counts(selection, "train")
    assert not counts(selection, "train").keys() & counts(selection, "held-out").keys()


def test_the_fraction_that_is_held_out_comes_from_the_rules() -> None:
    candidates = cohort(200, 1)
    assert len(
        counts(select_slices(candidates, dataset(held_out_fraction=0.5)), "held-out")
    ) == pytest.approx(100, abs=20)
    assert len(
        counts(select_slices(candidates, dataset(held_out_fraction=0.1)), "held-out")
    ) == pytest.approx(20, abs=12)


def test_a_patient_gives_at_most_so_many_evenly_spaced_slices() -> None:
    candidates = cohort(6, 40) + slices("short", 3)
    selection = whole(select_slices(candidates, dataset(max_slices_per_patient=8)), candidates)
    assert selection.left_out == {"patient-cap": 6 * 32}
    taken = [use.candidate.index for use in selection.used if use.candidate.row.patient == "patient-03"]
    assert taken == [2, 7, 12, 17, 22, 27, 32, 37]
    assert sum(use.candidate.row.patient == "short" for use in selection.used) == 3


@given(st.integers(1, 300), st.integers(1, 300))
def test_evenly_spaced_slices_are_as_many_as_the_limit_none_twice_and_in_order(
    count: int, limit: int
) -> None:
    chosen = [candidate.index for candidate in evenly_spaced(slices("p", count), limit)]
    assert len(chosen) == min(count, limit)
    assert chosen == sorted(set(chosen))
    gaps = {later - earlier for earlier, later in pairwise(chosen)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def held_out_patient(candidates: list[Candidate]) -> str:
    return next(iter(counts(select_slices(candidates, dataset()), "held-out")))


@pytest.mark.parametrize(("bits", "found"), [(0, 1), (NEAR_BITS, 1), (NEAR_BITS + 1, 0)])
def test_a_held_out_slice_that_is_nearly_a_training_slice_is_left_out(bits: int, found: int) -> None:
    candidates = cohort()
    held_out = held_out_patient(candidates)
    trained = next(iter(counts(select_slices(candidates, dataset()), "train")))
    source = next(each for each in candidates if each.row.patient == trained)
    at = next(index for index, each in enumerate(candidates) if each.row.patient == held_out)
    copied = replace(candidates[at].row, phash=near(source.row.phash, bits))
    assert distance(copied.phash, source.row.phash) == bits
    candidates[at] = replace(candidates[at], row=copied)
    selection = whole(select_slices(candidates, dataset()), candidates)
    assert selection.left_out == ({"near-duplicate": 1} if found else {})
    assert source in [use.candidate for use in selection.used], "the training slice stays"
    assert counts(selection, "held-out")[held_out] == 5 - found


def test_similar_slices_on_the_same_side_stay() -> None:
    candidates = cohort()
    trained = counts(select_slices(candidates, dataset()), "train")
    similar = [
        replace(each, row=replace(each.row, phash=unlike("one picture")))
        if each.row.patient in trained
        else each
        for each in candidates
    ]
    assert not whole(select_slices(similar, dataset()), similar).left_out


def test_balanced_classes_have_as_many_training_slices_as_the_smallest_and_patients_are_kept() -> None:
    candidates = cohort(30, 10, "AAAAG")
    candidates += [each for number in range(10) for each in slices(f"few-{number}", 2, "A")]
    plain = select_slices(candidates, dataset())
    selection = whole(select_slices(candidates, dataset(balance="classes")), candidates)
    of_class = Counter(use.candidate.row.histology for use in selection.used if use.side == "train")
    assert of_class["A"] == of_class["G"]
    assert selection.left_out == {"class-balance": len(plain.used) - len(selection.used)}
    assert counts(selection, "held-out") == counts(plain, "held-out"), "only training slices are balanced"
    trained = counts(selection, "train")
    assert trained.keys() == counts(plain, "train").keys(), "patients with many slices lose them first"
    plenty = [count for patient, count in trained.items() if patient.startswith("patient-")]
    assert max(plenty) <= 10


def test_studies_without_a_patient_id_are_not_split_unless_the_dataset_says_so() -> None:
    candidates = [*slices("NOID-0123456789ab", 2), *slices("NOID-0123456789ac", 2), *slices("a", 2)]
    with pytest.raises(BadInput, match="2 studies have no PatientID"):
        select_slices(candidates, dataset())
    selection = whole(select_slices(candidates, dataset(missing_patient_ids="by_study")), candidates)
    assert len(selection.used) == 6


def test_a_set_of_tumour_slices_has_no_others() -> None:
    candidates = cohort(8, 5)
    boxes = tuple(
        TumourBox("p", f"patient-{number:02d}.{index}", 4, 4, 9, 9, "A", "voc")
        for number in range(6)
        for index in (1, 2)
    )
    marked, _ = with_annotations(candidates, Annotations(boxes, {}), 64)
    selection = whole(select_slices(marked, dataset(slices="tumour")), marked)
    assert selection.left_out == {"no-tumour-box": 40 - 12}
    assert {use.candidate.index for use in selection.used} == {1, 2}


def test_slices_that_are_unlike_the_references_are_left_out() -> None:
    candidates = cohort(4, 5)
    selection = whole(select_slices(candidates, dataset(), rejected=[0, 7, 8]), candidates)
    assert selection.left_out == {"unlike-reference": 3}
    assert candidates[7] not in [use.candidate for use in selection.used]


FOLDERS = {
    "kind": "images",
    "path_variable": "CHESTGAN_CHEST_XRAY",
    "splits": {"train": "train", "valid": "held-out", "test": "held-out"},
}


def test_pictures_are_split_by_their_folders_and_a_patient_that_is_trained_on_is_not_held_out() -> None:
    candidates = [
        *slices("a", 4, folder="train"),
        *slices("b", 3, folder="valid"),
        *slices("c", 2, folder="test"),
        *[Candidate("class", 10 + each.index, each.row) for each in slices("a", 2, folder="test")],
    ]
    selection = whole(select_slices(candidates, dataset(FOLDERS)), candidates)
    assert (counts(selection, "train"), counts(selection, "held-out")) == ({"a": 4}, {"b": 3, "c": 2})
    assert selection.left_out == {"trained-patient": 2}


def test_a_folder_without_a_side_is_named() -> None:
    with pytest.raises(
        BadInput, match="its folder 'other' is assigned to neither train nor held-out; add it"
    ):
        select_slices([*slices("a", 1, folder="train"), *slices("b", 1, folder="other")], dataset(FOLDERS))


def test_rules_that_leave_a_side_empty_are_refused_with_what_was_left_out() -> None:
    with pytest.raises(BadInput, match="no slice is left for the side held-out"):
        select_slices(slices("a", 3, folder="train"), dataset(FOLDERS))
    with pytest.raises(BadInput, match="0 patient"):
        select_slices(cohort(3, 2), dataset(slices="tumour"))


@given(
    st.lists(st.tuples(st.sampled_from("ABG"), st.integers(1, 12)), min_size=2, max_size=12),
    st.one_of(st.none(), st.integers(1, 6)),
    st.sampled_from(["none", "classes"]),
)
def test_nothing_is_lost_whatever_the_rules(
    patients: list[tuple[str, int]], limit: int | None, balance: str
) -> None:
    candidates = [
        each
        for number, (letter, count) in enumerate(patients)
        for each in slices(f"p{number}", count, letter)
    ]
    selection = whole(
        select_slices(candidates, dataset(max_slices_per_patient=limit, balance=balance)), candidates
    )
    assert counts(selection, "train")
    assert counts(selection, "held-out")
    assert select_slices(candidates, dataset(max_slices_per_patient=limit, balance=balance)) == selection
