from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.sources.phantom.anatomy import Anatomy, Side
from chestgan_core.sources.phantom.growth import draw_anatomy
from chestgan_core.sources.phantom.painting import Painter
from chestgan_core.sources.phantom.patients import histology_of
from chestgan_core.sources.phantom.shapes import oval, smooth_minimum, tube


def slice_at(anatomy: Anatomy, fraction: float) -> tuple[np.ndarray, Painter, float]:
    painter = Painter(anatomy, 160, 3.0)
    depth = fraction * anatomy.length
    return painter.paint(depth, np.random.default_rng(0)), painter, depth


@pytest.fixture(params=range(1, 7))
def anatomy(request: pytest.FixtureRequest) -> Anatomy:
    return draw_anatomy(5, request.param, histology_of(request.param, 5))


def test_each_tissue_has_its_hounsfield_units(anatomy: Anatomy) -> None:
    hu, painter, depth = slice_at(anatomy, 0.6)
    c = painter.canvas
    body = anatomy.body(c.x, c.y, depth)
    lung = np.maximum(anatomy.lung_field(c.x, c.y, depth, -1), anatomy.lung_field(c.x, c.y, depth, 1))
    heart = anatomy.heart_field(c.x, c.y, depth)
    front = (body > 3) & (body < 0.6 * anatomy.fat) & (c.y < -80)
    assert np.median(hu[(body < -6) & (c.y < 0)]) == pytest.approx(-1000, abs=15)
    assert -900 < np.median(hu[lung > 6]) < -760
    assert np.median(hu[heart > 20]) == pytest.approx(anatomy.blood, abs=25)
    assert np.median(hu[front]) == pytest.approx(-100, abs=25)
    assert np.percentile(hu[np.abs(c.y - anatomy.spine()[1]) < 12], 99) > 250
    assert hu.min() >= -1024
    assert hu.max() <= 3071


def test_vessels_are_brighter_than_the_lung(anatomy: Anatomy) -> None:
    hu, painter, depth = slice_at(anatomy, 0.5)
    c = painter.canvas
    lung = np.maximum(anatomy.lung_field(c.x, c.y, depth, -1), anatomy.lung_field(c.x, c.y, depth, 1)) > 6
    assert 0.004 < (hu[lung] > -500).mean() < 0.2


def test_the_lungs_grow_from_the_apex_and_shrink_at_the_diaphragm(anatomy: Anatomy) -> None:
    painter = Painter(anatomy, 96, 3.0)
    c = painter.canvas
    areas = [
        float((anatomy.lung_field(c.x, c.y, fraction * anatomy.length, -1) > 0).sum())
        + float((anatomy.lung_field(c.x, c.y, fraction * anatomy.length, 1) > 0).sum())
        for fraction in (0.05, 0.18, 0.3, 0.5, 0.88, 0.97)
    ]
    assert areas[0] == areas[-1] == 0
    assert 0 < areas[1] < areas[2]
    assert areas[4] < 0.5 * areas[3]


def test_the_heart_lies_to_the_left(anatomy: Anatomy) -> None:
    c = Painter(anatomy, 96, 3.0).canvas
    heart = anatomy.heart_field(c.x, c.y, 0.62 * anatomy.length) > 0
    assert c.x[heart].mean() > 5
    assert c.x[0, 0] < c.x[0, -1]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), number=st.integers(1, 40))
def test_the_tumour_of_any_patient_lies_inside_a_lung(seed: int, number: int) -> None:
    anatomy = draw_anatomy(seed, number, histology_of(number, seed))
    t = anatomy.tumour
    side: Side = 1 if t.x > 0 else -1
    at = anatomy.lung_field(np.array([[t.x]], np.float32), np.array([[t.y]], np.float32), t.depth, side)
    assert at.item() > 1.4 * t.radius
    assert t.radius > 5


def test_central_tumours_lie_nearer_to_the_hilum_than_peripheral_ones() -> None:
    away = {
        letter: np.mean([
            np.hypot(abs(t.x) - 33, t.y + 2) for t in (draw_anatomy(s, 1, letter).tumour for s in range(8))
        ])
        for letter in "AB"
    }  # fmt: skip
    assert away["B"] + 10 < away["A"]


@given(a=st.floats(5, 150), b=st.floats(5, 150), angle=st.floats(-3, 3), power=st.sampled_from([2.0, 2.35]))
@settings(max_examples=60, deadline=None)
def test_the_field_of_an_oval_is_positive_inside_and_falls_to_zero_at_its_border(
    a: float, b: float, angle: float, power: float
) -> None:
    reach = np.array([0, 0.5, 0.9, 1, 1.1, 2], np.float32) * np.float32(a)
    x, y = reach * np.float32(np.cos(angle)), reach * np.float32(np.sin(angle))
    field = oval(x, y, 0, 0, a, b, angle, power)
    assert np.all(np.isfinite(field))
    assert all(first > second for first, second in pairwise(field[1:]))
    assert field[3] == pytest.approx(0, abs=0.02 * a)
    assert field[0] > 0


def test_rounding_a_corner_never_adds() -> None:
    first, second = np.meshgrid(np.linspace(-20, 20, 41), np.linspace(-20, 20, 41))
    rounded = smooth_minimum(first, second, 7)
    assert np.all(rounded <= np.minimum(first, second))
    far = np.abs(first - second) > 7
    assert np.array_equal(rounded[far], np.minimum(first, second)[far])


def test_the_balls_of_a_tube_overlap() -> None:
    line = tube([(0, 0, 0), (30, 0, 40), (30, 20, 60)], (4, 1))
    steps = np.linalg.norm(np.diff(line.points, axis=0), axis=1)
    assert steps.max() < line.radius.min()
    assert line.points[0] == pytest.approx([0, 0, 0])
    assert line.points[-1] == pytest.approx([30, 20, 60])
