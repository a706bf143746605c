"""A tumour can be asked for where lungs are, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.errors import BadInput
from chestgan_core.imaging.windows import Window
from chestgan_core.layouts.layout import Edges, Layout
from chestgan_core.layouts.lung_zone import GRID, LungZone, measure_zone, require_in_lungs
from tests.layouts.chests import SIZE, chest, lungs, table_of_chests

ZONE = table_of_chests(box=None).zone
SPINE = (30.0, 40.0, 34.0, 44.0)


@settings(deadline=None, max_examples=50)
@given(position=st.floats(0, 1))
def test_the_lungs_are_where_they_were_in_the_training_slices(position: float) -> None:
    cells = lungs(position).reshape(GRID, 2, GRID, 2).mean((1, 3))
    found = ZONE.at(position)

    assert found[cells == 1].all()
    assert not found[:, 15:17].any()  # between them
    assert not found[:4].any()  # above them


def refusal(*boxes: Edges, position: float | None = 0.5, zone: LungZone = ZONE) -> str:
    with pytest.raises(BadInput) as refused:
        require_in_lungs(Layout(boxes, position), zone, "--tumour")
    return str(refused.value)


def test_a_tumour_in_the_lungs_or_at_their_wall_passes() -> None:
    for box in [(14.0, 28.0, 20.0, 34.0), (6.0, 30.0, 11.0, 35.0), (24.0, 28.0, 31.0, 34.0)]:
        require_in_lungs(Layout((box,), 0.5), ZONE, "--tumour")


def test_a_tumour_in_the_spine_or_outside_the_body_is_refused_with_the_place_of_the_lungs() -> None:
    assert refusal(SPINE) == (
        "--tumour: asks for a tumour with its centre at 32, 42 at position 0.5, which is not in the lungs; place its "
        "centre and half of its box in them: they lie within 6 to 58 (x) and 20 to 44 (y)"
    )
    assert "centre at 2, 2" in refusal((0.0, 0.0, 4.0, 4.0))


def test_a_tumour_larger_than_a_lung_is_refused_with_both_sizes() -> None:
    assert refusal((4.0, 26.0, 34.0, 36.0)) == (
        "--tumour: asks for a tumour of 30 x 10 pixels at position 0.5, where a lung has about 26 x 24; ask for a "
        "smaller one; --tumour takes mm as well: x,y,w,h followed by mm"
    )


def test_a_tumour_at_a_position_without_lung_is_refused() -> None:
    empty = LungZone(ZONE.share * (np.arange(8) < 6)[:, None, None], SIZE)

    assert refusal((14.0, 28.0, 20.0, 34.0), position=0.95, zone=empty) == (
        "--tumour: asks for a tumour at position 0.95, where the training slices show no lung; ask for a position "
        "nearer to 0.5, or for no tumour"
    )


def test_what_a_tumour_covers_counts_as_lung() -> None:
    box = np.full((4, 8, 4), np.nan)
    box[:, 0] = SPINE
    images = np.stack([chest(0.5)] * 4)

    def zone(boxes: np.ndarray) -> LungZone:
        unknown, ones = np.full(4, np.nan), np.ones(4)
        lung = Window(-600, 1500)
        return measure_zone(images, boxes, unknown, ones, lung, np.random.default_rng(0))

    assert zone(box).holds(SPINE, None)
    assert not zone(np.full((4, 8, 4), np.nan)).holds(SPINE, None)


@pytest.mark.parametrize("window", [Window(40, 400), Window(-300, 1400)])
def test_windows_that_clip_the_lungs_to_black_show_them_too(window: Window) -> None:
    hu = Window(-600, 1500).from_unit(chest(0.5))
    zone = measure_zone(
        window.to_unit(hu)[None],
        np.full((1, 8, 4), np.nan),
        np.array([np.nan]),
        np.ones(1),
        window,
        np.random.default_rng(0),
    )

    assert zone.holds((14.0, 28.0, 20.0, 34.0), None)
    assert not zone.holds(SPINE, None)


@pytest.mark.parametrize("size", [16, 32, 64, 256, 512])
def test_the_lungs_are_found_at_every_resolution(size: int) -> None:
    part = size / SIZE
    zone = measure_zone(
        chest(0.5, size)[None],
        np.full((1, 8, 4), np.nan),
        np.array([0.5]),
        np.ones(1),
        Window(-600, 1500),
        np.random.default_rng(0),
    )

    assert zone.holds((14 * part, 28 * part, 20 * part, 34 * part), 0.5)
    assert not zone.holds((30 * part, 40 * part, 34 * part, 44 * part), 0.5)


def test_grey_levels_do_not_say_where_lungs_are_so_that_the_whole_image_counts() -> None:
    zone = measure_zone(
        chest(0.5)[None],
        np.full((1, 8, 4), np.nan),
        np.array([np.nan]),
        np.ones(1),
        Window(127.5, 255, "grey"),
        np.random.default_rng(0),
    )

    assert zone.holds(SPINE, None)
    assert zone.extent(None) == (0, 0, 64, 64)
