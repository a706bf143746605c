"""What a person asks for is a layout, or an error that says what can be asked for."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.config.conditions import Conditions, TumourCondition
from chestgan_core.errors import BadInput, UnknownName
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.asked import asked_layout
from chestgan_core.layouts.completing import NEAR, completed
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.table import ALONG
from tests.layouts.chests import PIXEL_MM, SIZE, table_of_chests

BOTH = Conditions(position=True, tumour=TumourCondition())


@cache
def askable(classes: tuple[str, ...] = (), conditions: Conditions = BOTH) -> Askable:
    return Askable(SIZE, classes, conditions, table_of_chests(classes=len(classes)))


def refusal(
    tumours: list[str] | None = None,
    position: float | None = None,
    class_name: str | None = None,
    of: Askable | None = None,
) -> str:
    with pytest.raises(BadInput) as refused:
        asked_layout(of or askable(), tumours, position, class_name)
    return str(refused.value)


def test_a_tumour_is_its_centre_width_and_height_in_pixels() -> None:
    assert asked_layout(askable(), ["17,30,8,6"], 0.5, None) == Layout(((13, 27, 21, 33),), 0.5)


def test_the_same_tumour_in_mm_is_the_same_layout() -> None:
    mm = ",".join(str(length * PIXEL_MM) for length in (17, 30, 8, 6)) + "mm"

    assert asked_layout(askable(), [mm], 0.5, None) == asked_layout(askable(), ["17,30,8,6px"], 0.5, None)


def test_several_tumours_none_and_nothing_are_told_apart() -> None:
    several = asked_layout(askable(), ["17,30,6,6", "45,30,6,6"], 0.5, None)

    assert several.boxes is not None
    assert len(several.boxes) == 2
    assert asked_layout(askable(), ["none"], None, None).boxes == ()
    assert asked_layout(askable(), None, 0.5, None).boxes is None


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,1,1,1", "1;2;3;4", "9" * 300, "1,2,3,4cm"]
)
def test_what_is_no_tumour_is_refused_with_the_form_of_one(text: str) -> None:
    said = refusal([text])

    assert said.startswith("--tumour '")
    assert said.endswith(
        "is no tumour; give x,y,w,h: centre, width and height in pixels, followed by mm if in mm; or none"
    )


EDGES = "width and height are above 0, and right and bottom beyond left and top"
REFUSED = {
    "17,30,0,6": f"has a tumour of 0 x 6 pixels; {EDGES}",
    "17,30,-4,6": f"has a tumour of -4 x 6 pixels; {EDGES}",
    "0.3,0.5,0.1,0.1": "has all edges between 0 and 1: they are fractions of the side, or in another unit; "
    "give pixels, 0 to 64, or mm",
    "85,150,40,30": "reaches beyond the image: x 65 to 105, y 135 to 165 pixels; "
    "the image has 64 x 64 pixels, from the top left; mm need the unit mm",
    "1e999,30,4,4": "has edges that are no numbers (inf, 28, inf, 32); give left, top, right, bottom",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_box_that_cannot_be_is_refused_with_its_numbers(text: str) -> None:
    assert refusal([text], 0.5) == f"--tumour {text}: {REFUSED[text]}"


def test_a_tumour_outside_the_lungs_is_refused() -> None:
    assert "which is not in the lungs" in refusal(["32,42,4,4"], 0.5)


def test_none_beside_a_tumour_is_refused() -> None:
    assert refusal(["none", "17,30,8,6"]) == (
        "--tumour: asks for none and for others; give none alone, or only tumours"
    )


def test_mm_need_a_model_that_knows_the_size_of_its_pixels() -> None:
    blind = Askable(SIZE, (), BOTH, None)

    assert refusal(["85,150,40,30mm"], of=blind) == (
        "--tumour 85,150,40,30mm: is in mm, and the model does not know how many mm its pixels have; "
        "give pixels, 0 to 64"
    )


def test_conditions_that_the_model_was_not_trained_with_are_refused_and_it_says_which_it_knows() -> None:
    nothing = Askable(SIZE, (), Conditions(), None)
    position = Askable(SIZE, ("A", "G"), Conditions(position=True), None)

    assert refusal(["17,30,8,6"], of=nothing) == (
        "--tumour 17,30,8,6: asks for tumours, which the model was not trained with; it can be told nothing but a seed"
    )
    assert refusal(["none"], of=position) == (
        "--tumour: asks for tumours, which the model was not trained with; "
        "it can be told the position and the class (A, G)"
    )
    assert refusal(position=0.5, of=nothing).startswith(
        "--position: asks for a position, which the model was not"
    )
    assert refusal(class_name="A", of=nothing).startswith(
        "--class: asks for a class, which the model was not"
    )


def test_an_unknown_class_and_a_position_outside_the_lungs_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"--class: asks for the class B, .* choose one of A, G"):
        asked_layout(askable(("A", "G")), None, None, "B")
    assert refusal(position=40) == (
        "--position: asks for the position 40; positions go from 0 (base of the lungs) to 1 (apex)"
    )
    assert "position nan" in refusal(position=float("nan"))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), position=st.floats(0.1, 0.9))
def test_tumours_that_nobody_asked_about_are_those_of_training_slices_near_the_position(
    seed: int, position: float
) -> None:
    (layout,) = completed(askable(), [Layout(position=position)], [seed])

    assert layout.position == position
    table = askable().table
    assert table is not None
    if layout.boxes:
        near = table.position[table.has_box]
        assert min(abs(near - position)) <= NEAR
    assert completed(askable(), [Layout(), Layout(position=position)], [0, seed])[1] == layout


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_position_that_nobody_asked_for_is_one_at_which_the_lungs_hold_the_tumour(seed: int) -> None:
    wide = Layout(((8.0, 28.0, 14.0, 34.0),))
    (layout,) = completed(askable(), [wide], [seed])

    table = askable().table
    assert table is not None
    assert layout.boxes == wide.boxes
    assert layout.position is not None
    assert table.zone.holds((8.0, 28.0, 14.0, 34.0), layout.position)
    assert abs(table.position - layout.position).min() <= ALONG + 1e-4


def test_what_was_asked_stays_and_what_the_model_cannot_be_told_stays_open() -> None:
    whole = Layout((), 0.3)
    assert completed(askable(), [whole], [5]) == [whole]

    only_tumours = Askable(SIZE, (), Conditions(tumour=TumourCondition()), table_of_chests(positions=False))
    (layout,) = completed(only_tumours, [Layout(((14.0, 28.0, 20.0, 34.0),))], [5])
    assert layout.position is None
    assert completed(Askable(SIZE, (), Conditions(), None), [Layout()], [5]) == [Layout()]
