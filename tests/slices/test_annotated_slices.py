"""Which slices show a tumour, which surely show none, and of which nobody knows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.slices.annotated_slices import BoxCounts, condition_counts, with_annotations
from chestgan_core.slices.candidates import Candidate
from chestgan_core.sources.annotations.boxes import Annotations, TumourBox
from tests.slices.cohorts import cohort, slices


def annotated(
    candidates: Sequence[Candidate],
    boxes: Iterable[TumourBox] = (),
    series: Iterable[str] = (),
    unsure: Iterable[str] = (),
) -> tuple[list[Candidate], BoxCounts]:
    """The slices with what these annotations say of them."""
    found, counts = with_annotations(
        candidates, Annotations(tuple(boxes), {}, tuple(series), tuple(unsure)), 64
    )
    assert [(each.shard, each.index, each.row) for each in found] == [
        (each.shard, each.index, each.row) for each in candidates
    ]
    return found, counts


def box(sop_uid: str, *edges: int, origin: str = "voc", size: tuple[int, int] = (0, 0)) -> TumourBox:
    return TumourBox("p", sop_uid, *edges, "A", origin, *size)  # type: ignore[arg-type]


def test_every_tumour_box_is_on_a_slice_or_counted() -> None:
    candidates = cohort(2, 3)
    boxes = [
        box("patient-00.1", 4, 4, 9, 9),
        box("patient-00.1", 4, 4, 9, 9, origin="sr"),
        box("patient-00.1", 20, 4, 29, 9),
        box("patient-01.0", 70, 70, 80, 80),
        box("1.2.3.4", 4, 4, 9, 9),
    ]
    marked, boxes_found = annotated(candidates, boxes)
    assert boxes_found == BoxCounts(boxes=4, on_slices=2, without_slice=1, beyond_slice=1)
    assert [len(each.boxes) for each in marked] == [0, 2, 0, 0, 0, 0]
    assert [each.row for each in marked] == [each.row for each in candidates]


def test_a_box_on_an_image_of_another_size_is_on_no_slice() -> None:
    candidates = cohort(1, 3)
    row = candidates[0].row
    right, wrong = (row.stored_columns, row.stored_rows), (row.stored_columns // 2, row.stored_rows)
    boxes = [
        box("patient-00.0", 4, 4, 9, 9, size=right),
        box("patient-00.1", 4, 4, 9, 9, size=wrong),
        box("patient-00.2", 4, 4, 9, 9, origin="sr"),
        box("patient-00.2", 4, 4, 9, 9, size=wrong),
    ]
    marked, found = annotated(candidates, boxes)
    assert found == BoxCounts(boxes=3, on_slices=1, other_size=2)
    assert [len(each.boxes) for each in marked] == [1, 0, 0]


def test_a_box_is_put_on_the_slice_of_its_own_patient_where_two_patients_have_one_uid() -> None:
    ours, theirs = (replace(each, row=replace(each.row, sop_uid="1.2")) for each in cohort(2, 1))
    named = replace(box("1.2", 4, 4, 9, 9), patient=theirs.row.patient)
    marked, found = annotated([ours, theirs], [named])
    assert [len(each.boxes) for each in marked] == [0, 1]
    assert found == BoxCounts(boxes=1, on_slices=1)
    _, alone = annotated([ours, *slices("patient-01", 1)], [named])
    assert alone == BoxCounts(boxes=1, without_slice=1), "a slice of another patient does not get it"


def test_a_box_without_a_patient_is_put_nowhere_where_its_uid_is_of_several_slices() -> None:
    both = [replace(each, row=replace(each.row, sop_uid="1.2")) for each in cohort(2, 1)]
    unnamed = replace(box("1.2", 4, 4, 9, 9), patient="")
    assert annotated(both, [unnamed])[1] == BoxCounts(boxes=1, without_slice=1)
    assert annotated(both[:1], [unnamed])[1] == BoxCounts(boxes=1, on_slices=1)


def known(candidates: Iterable[Candidate]) -> list[int | None]:
    """Of each slice the number of its tumours, None where nobody knows."""
    return [len(each.boxes) if each.annotated else None for each in candidates]


def series(patient: str, uid: str, count: int = 3, stack: str = "") -> list[Candidate]:
    """A series of a patient; its slices are named by patient, series and place."""
    return [
        replace(
            each,
            row=replace(
                each.row, series_uid=uid, sop_uid=f"{patient}.{uid}{stack}.{each.index}", stack=stack
            ),
        )
        for each in slices(patient, count)
    ]


def test_the_other_slices_of_a_series_with_a_box_show_no_tumour_and_those_of_other_series_are_unknown() -> (
    None
):
    first, second, stranger = series("p", "1"), series("p", "2"), series("q", "1")
    found, _ = annotated([*first, *second, *stranger], [box("p.1.1", 4, 4, 7, 7)])
    assert known(found[:3]) == [0, 1, 0]
    assert known(found[3:]) == [None] * 6, "another series of the patient, and another patient"


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ([5], [0, 0, 0, None, None, 1, None, None, 0, 0, 0]),
        ([4, 5, 6], [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]),
    ],
    ids=["one slice of it", "throughout"],
)
def test_the_slices_around_a_tumour_that_was_measured_on_one_are_unknown(
    marked: list[int], expected: list[int | None]
) -> None:
    """Slices are 3 mm apart and a pixel is 2 mm, so the box is 16 mm wide."""
    found, _ = annotated(series("p", "1", 11), [box(f"p.1.{at}", 4, 4, 12, 9) for at in marked])
    assert known(found) == expected
    found, _ = annotated(series("p", "1", 11), [box(f"p.1.{at}", 4, 4, 12, 9) for at in marked], series=["1"])
    assert known(found) == [int(at in marked) for at in range(11)], "annotated as a whole"


def test_a_series_that_was_annotated_as_a_whole_shows_no_tumour_though_it_has_no_box() -> None:
    found, _ = annotated([*series("p", "1"), *series("p", "2")], series=["2"])
    assert known(found) == [None, None, None, 0, 0, 0]


def test_a_slice_whose_own_annotation_was_lost_is_unknown() -> None:
    slices_of = series("p", "1", count=5)
    found, counts = annotated(
        slices_of,
        [
            box("p.1.0", 4, 4, 9, 9),
            box("p.1.1", 70, 70, 80, 80),
            box("p.1.2", 4, 4, 9, 9, size=(32, 32)),
            box("p.1.3", 4, 4, 9, 9),
        ],
        series=["1"],
        unsure=["p.1.3", "p.1.4"],
    )
    assert known(found) == [1, None, None, 1, None], "beyond the slice, of another size, with a box, unsure"
    assert counts.disagreeing == 2


def test_a_slice_on_which_a_box_may_lie_is_unknown_where_its_uid_is_of_two_patients() -> None:
    both = [*series("p", "1"), *series("q", "1")]
    same = [replace(each, row=replace(each.row, sop_uid=f"1.{each.index}")) for each in both]
    found, _ = annotated(same, [replace(box("1.1", 4, 4, 9, 9), patient="")], series=["1"])
    assert known(found) == [0, None, 0] * 2


def test_who_marks_one_of_two_reconstructions_in_a_series_says_nothing_of_the_other() -> None:
    marked, other = series("p", "1", stack="a"), series("p", "1", stack="b")
    on_one, _ = annotated([*marked, *other], [box("p.1a.1", 4, 4, 9, 9)], series=["1"])
    assert known(on_one) == [0, 1, 0, None, None, None]
    none, _ = annotated([*marked, *other], series=["1"])
    assert known(none) == [0] * 6, "annotated as a whole, and nothing found"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 90)), max_size=8),
    st.sets(st.sampled_from("12")),
    st.sets(st.sampled_from([f"p{number}.1.{at}" for number in range(4) for at in range(5)])),
)
def test_every_slice_is_with_without_or_unknown_and_the_counts_add_up(
    drawn: list[tuple[int, int, int]], whole: set[str], unsure: set[str]
) -> None:
    candidates = [each for number in range(4) for each in series(f"p{number}", "12"[number % 2], 5)]
    boxes = [
        box(f"p{number}.{'12'[number % 2]}.{at}", edge, edge, edge + 9, edge + 9)
        for number, at, edge in drawn
    ]
    found, where = annotated(candidates, boxes, whole, unsure)
    assert where.boxes == where.on_slices + where.without_slice + where.beyond_slice + where.other_size
    assert sum(len(each.boxes) for each in found) == where.on_slices
    assert all(each.annotated for each in found if each.boxes)
    assert not any(each.annotated for each in found if each.row.sop_uid in unsure and not each.boxes)
    counts = condition_counts(found)
    assert counts["with_tumour"] + counts["without_tumour"] + counts["unknown_tumour"] == len(found)
    assert counts["with_position"] + counts["without_position"] == len(found)
