"""Outlines become masks, pixel by pixel, and masks become boxes."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.masks import mask_of
from chestgan_core.sources.annotations.regions import add_boxes, filled
from tests.sources.annotations.slices_in_space import around, stack

SHAPE = (40, 60)
PLACE = stack().slices[0]


def outline(seed: int, points: int = 30) -> NDArray[np.float64]:
    """(N, 2) column and row: any polygon, which crosses itself and reaches out of the image."""
    return np.random.default_rng(seed).uniform(-15, 75, (points, 2))


@pytest.mark.parametrize("seed", range(12))
def test_a_pixel_is_inside_where_its_middle_is(seed: int) -> None:
    drawn = outline(seed, 3 + seed * 5)
    rows, columns = np.indices(SHAPE)
    middles = np.stack([columns.ravel(), rows.ravel()], axis=1)
    expected = points_in_poly(middles, drawn).reshape(SHAPE)  # type: ignore[no-untyped-call]
    np.testing.assert_array_equal(filled(drawn, SHAPE), expected)
    np.testing.assert_array_equal(filled(drawn[::-1], SHAPE), expected)


def test_two_regions_with_a_common_border_share_no_pixel_and_leave_none_out() -> None:
    middle = np.array([(20.0, 5), (25, 12), (22, 30)])
    left = filled(np.concatenate([middle, [(3, 30), (3, 5)]]), SHAPE)
    right = filled(np.concatenate([middle, [(50, 30), (50, 5)]]), SHAPE)
    whole = filled(np.array([(3.0, 5), (50, 5), (50, 30), (3, 30)]), SHAPE)
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, whole)


def test_an_outline_that_runs_in_and_back_along_a_line_cuts_a_hole() -> None:
    outer, inner = around(5, 5, 30, 30), around(10, 10, 20, 20)
    drawn = np.concatenate([outer, outer[:1], inner, inner[:1]])
    expected = np.zeros(SHAPE, bool)
    expected[5:30, 5:30] = True
    expected[10:20, 10:20] = False
    np.testing.assert_array_equal(filled(drawn, SHAPE), expected)


def test_an_outline_of_as_many_points_as_are_allowed_takes_no_long_time() -> None:
    start = time.process_time()
    filled(np.random.default_rng(0).uniform(0, 512, (20_000, 2)), (512, 512))
    assert time.process_time() - start < 5  # 0.4 s; a minute where each pixel is compared with each point


def test_parts_of_a_mask_are_boxes_of_their_own_and_single_pixels_are_counted() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[5:10, 5:10] = mask[10:12, 10:12] = True  # joined by a corner
    mask[20:30, 20:23] = True
    mask[35, 40] = True
    found = Found()
    add_boxes(found, mask, PLACE, "seg")
    assert [box.edges for box in found.boxes] == [(20, 20, 23, 30), (5, 5, 12, 12)]
    part = mask_of(found.boxes[1])
    assert part is not None
    np.testing.assert_array_equal(part, mask[5:12, 5:12])
    assert found.defects == {Defect.TINY: 1}
    assert found.unsure == {PLACE.name: PLACE.patient}
