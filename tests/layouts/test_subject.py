"""A synthetic patient has slices from base to apex, and one tumour that keeps its place and its volume."""

import math
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.config.conditions import Conditions, TumourCondition
from chestgan_core.errors import BadInput
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.subject import Ellipsoid, SubjectLayouts, subject_layouts
from tests.layouts.chests import LUNG_MM, PIXEL_MM, SIZE, table_of_chests

EVERYTHING = Conditions(position=True, tumour=TumourCondition())


@cache
def askable() -> Askable:
    return Askable(SIZE, (), EVERYTHING, table_of_chests())


def cuts_mm3(subject: SubjectLayouts) -> float:
    """Of ellipses in the boxes, times the spacing."""
    boxes = [box for layout in subject.layouts for box in layout.boxes or ()]
    areas = (math.pi / 4 * (box[2] - box[0]) * (box[3] - box[1]) for box in boxes)
    return sum(areas) * PIXEL_MM**2 * subject.spacing_mm


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), spacing=st.floats(1, 10))
def test_slices_go_from_base_to_apex_at_the_asked_spacing(seed: int, spacing: float) -> None:
    subject = subject_layouts(askable(), seed, spacing)

    steps = [high - low for low, high in zip(subject.z_mm, subject.z_mm[1:], strict=False)]
    assert steps == pytest.approx([spacing] * len(steps))
    assert 0 <= subject.z_mm[0] < spacing
    assert 0 <= LUNG_MM - subject.z_mm[-1] < spacing
    positions = [layout.position for layout in subject.layouts]
    assert positions == pytest.approx([z / LUNG_MM for z in subject.z_mm])


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), spacing=st.floats(1, 5))
def test_the_cuts_times_their_spacing_are_the_asked_volume(seed: int, spacing: float) -> None:
    subject = subject_layouts(askable(), seed, spacing)

    assert subject.tumour is not None
    slices = subject.tumour.axes_mm[2] / spacing
    assert cuts_mm3(subject) == pytest.approx(subject.asked_mm3, rel=1 / slices**1.5)
    assert slices > 6  # so that the bound says something


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_tumour_is_on_neighbouring_slices_largest_in_their_middle_and_in_the_lungs(seed: int) -> None:
    subject = subject_layouts(askable(), seed)
    table = askable().table
    assert table is not None

    shown = [number for number, layout in enumerate(subject.layouts) if layout.boxes]
    assert shown == list(range(shown[0], shown[-1] + 1))
    widths = [box[2] - box[0] for number in shown for box in subject.layouts[number].boxes or ()]
    middle = len(widths) // 2
    assert widths == pytest.approx(widths[::-1])
    assert widths[: middle + 1] == sorted(widths[: middle + 1])
    assert all(
        table.zone.holds(box, layout.position) for layout in subject.layouts for box in layout.boxes or ()
    )


def test_a_patient_depends_on_its_seed_only() -> None:
    assert subject_layouts(askable(), 3) == subject_layouts(askable(), 3)
    assert subject_layouts(askable(), 3).tumour != subject_layouts(askable(), 4).tumour


def test_an_asked_tumour_is_the_largest_cut_at_its_position() -> None:
    asked = Layout(((14.0, 28.0, 20.0, 32.0),), 0.6)

    subject = subject_layouts(askable(), 3, 5, asked)

    assert subject.tumour is not None
    assert subject.tumour.axes_mm == pytest.approx((6 * PIXEL_MM, 4 * PIXEL_MM, 5 * PIXEL_MM))
    assert abs(subject.tumour.z_mm - 0.6 * LUNG_MM) <= 2.5
    assert subject.asked_mm3 == pytest.approx(math.pi / 6 * 30 * 20 * 25)
    assert asked.boxes in [layout.boxes for layout in subject.layouts]


def test_a_patient_without_a_tumour_surely_has_none() -> None:
    subject = subject_layouts(askable(), 3, asked=Layout(()))

    assert {layout.boxes for layout in subject.layouts} == {()}
    assert (subject.tumour, subject.asked_mm3) == (None, 0)


def test_the_asked_fraction_of_patients_has_a_tumour() -> None:
    subjects = [subject_layouts(askable(), seed, 20, tumour_fraction=0.25) for seed in range(200)]

    assert sum(subject.tumour is not None for subject in subjects) / 200 == pytest.approx(0.25, abs=0.08)


def test_a_tumour_thinner_than_the_spacing_is_on_one_slice() -> None:
    subject = subject_layouts(askable(), 3, 20, Layout(((16.0, 30.0, 17.0, 31.0),), 0.5))

    assert sum(bool(layout.boxes) for layout in subject.layouts) == 1


def test_a_generator_without_tumours_makes_patients_of_which_nothing_is_said() -> None:
    positions = Askable(SIZE, (), Conditions(position=True), table_of_chests(box=None))

    subject = subject_layouts(positions, 3)

    assert {layout.boxes for layout in subject.layouts} == {None}
    assert subject.tumour is None


def refusal(of: Askable, spacing: float | None = None, asked: Layout | None = None) -> str:
    with pytest.raises(BadInput) as refused:
        subject_layouts(of, 0, spacing, asked)
    return str(refused.value)


def test_a_generator_that_knows_no_positions_cannot_make_a_patient() -> None:
    tumours = Askable(SIZE, (), Conditions(tumour=TumourCondition()), table_of_chests(positions=False))

    assert refusal(tumours) == (
        "the model: was not trained with the position of a slice, which a synthetic patient needs; "
        "it can be told tumours; train one with conditions.position"
    )


@pytest.mark.parametrize("spacing", [0, -1, float("nan"), float("inf"), 200, 0.01])
def test_a_spacing_that_gives_no_stack_is_refused_with_the_bounds(spacing: float) -> None:
    assert refusal(askable(), spacing).endswith(" slices in lungs of 240 mm; give 0.24 to 120 mm")


def test_one_tumour_at_most_and_in_the_lungs() -> None:
    box = (14.0, 28.0, 20.0, 34.0)

    assert refusal(askable(), asked=Layout((box, box))) == (
        "the asked patient: has 2 tumours, and a synthetic patient has one at most; ask for one tumour"
    )
    assert "which is not in the lungs" in refusal(askable(), asked=Layout(((30.0, 40.0, 34.0, 44.0),)))


def test_an_ellipsoid_is_cut_as_geometry_says() -> None:
    ball = Ellipsoid(20, 30, 100, (20, 20, 20))

    assert ball.volume_mm3 == pytest.approx(4 / 3 * math.pi * 1000)
    assert ball.cut(100, pixel_mm=2) == (15, 25, 25, 35)
    assert ball.cut(106, pixel_mm=2) == pytest.approx((16, 26, 24, 34))  # 8 mm of 10 at 6 mm from the centre
    assert ball.cut(110, pixel_mm=2) is None
