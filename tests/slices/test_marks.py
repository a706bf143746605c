"""What trainings are told of the tumours on the slices that they load."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.slices.candidates import Candidate
from chestgan_core.slices.marks import boxes_of, marks_from_file, read_marks
from chestgan_core.slices.selection import UsedSlice
from chestgan_core.slices.training_rows import TrainingRows, rows_bytes
from chestgan_core.slices.tumour_boxes import SliceBox
from tests.slices.cohorts import slices

BOX = SliceBox(left=10, top=20, right=16, bottom=30, width_mm=12, height_mm=20)  # 2 mm per pixel


def marked() -> list[Candidate]:
    """A slice with a tumour, one without, and one of which nobody knows."""
    with_tumour, without, unknown = slices("p", 3)
    return [
        replace(with_tumour, boxes=(BOX,), annotated=True),
        replace(without, annotated=True),
        unknown,
    ]


def rows(candidates: list[Candidate]) -> list[dict[str, Any]]:
    return [dict(row) for row in TrainingRows([UsedSlice(candidate, "train") for candidate in candidates])]


def test_boxes_no_tumour_and_unknown_come_back_as_they_were_written() -> None:
    assert read_marks(rows_bytes(rows(marked()))) == {
        ("p", "p.0"): (BOX,),
        ("p", "p.1"): (),
        ("p", "p.2"): None,
    }


def test_a_uid_that_a_patient_has_twice_says_nothing() -> None:
    assert read_marks(rows_bytes(rows([*marked(), marked()[0]])))["p", "p.0"] is None


def test_a_slice_gets_its_boxes_and_one_that_no_file_names_is_unknown() -> None:
    first, second, _ = marked()
    marks = read_marks(rows_bytes(rows([first, second])))
    assert boxes_of(marks, first.row, 64) == (BOX,)
    assert boxes_of(marks, second.row, 64) == ()
    assert boxes_of(marks, slices("q", 1)[0].row, 64) is None


@pytest.mark.parametrize(("size", "pixel_mm"), [(128, 1.0), (32, 4.0)])
def test_marks_of_the_same_slice_at_another_size_are_refused(size: int, pixel_mm: float) -> None:
    first = marked()[0]
    marks = read_marks(rows_bytes(rows([first])))
    with pytest.raises(BadInput, match=r"another size than the slice p\.0 of"):
        boxes_of(marks, replace(first.row, pixel_mm=pixel_mm), size)


def test_a_box_that_the_edge_of_the_slice_cuts_is_of_its_size() -> None:
    first = replace(marked()[0], boxes=(replace(BOX, left=0, right=3), replace(BOX, right=64, left=60)))
    assert len(boxes_of(read_marks(rows_bytes(rows([first]))), first.row, 64) or ()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"right": 10.0},
        {"bottom": 2000.0},
        {"left": -1.0},
        {"left": float("nan")},
        {"width_mm": float("inf")},
        {"width_mm": 0.0},
        {"height_mm": -20.0},
        {"top": None},
    ],
    ids=str,
)
def test_an_impossible_box_is_refused(change: dict[str, Any]) -> None:
    wrong = rows(marked())
    wrong[0]["boxes"][0] |= change
    with pytest.raises(DamagedObject, match=r"an impossible box on the slice p\.0"):
        read_marks(rows_bytes(wrong))


def test_a_box_on_a_slice_that_says_nothing_is_refused() -> None:
    wrong = rows(marked())
    wrong[0]["annotated"] = False
    with pytest.raises(DamagedObject, match=r"an impossible box on the slice p\.0"):
        read_marks(rows_bytes(wrong))


def test_another_file_is_refused_with_the_name_of_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "slices.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"give the slices\.parquet of the training set"):
        marks_from_file(path)
    path.write_bytes(rows_bytes(rows(marked())))
    assert marks_from_file(path)["p", "p.1"] == ()
