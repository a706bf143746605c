"""Boxes are checked once, for every measure, and overlap as areas do."""

import math

import numpy as np
import pytest

from chestgan_core.errors import BadInput
from chestgan_core.metrics.boxes import checked, checked_all, overlaps


def test_overlap_is_shared_area_over_covered_area() -> None:
    box = np.array([[0.0, 0, 4, 4]])
    others = np.array([[0.0, 0, 4, 4], [2, 0, 6, 4], [2, 2, 6, 6], [4, 0, 8, 4], [1, 1, 3, 3]])
    assert overlaps(box, others)[0] == pytest.approx([1, 8 / 24, 4 / 28, 0, 4 / 16])


def test_boxes_without_area_overlap_nothing() -> None:
    assert overlaps(np.array([[1.0, 1, 1, 1]]), np.array([[1.0, 1, 1, 1], [0, 0, 2, 2]])).tolist() == [[0, 0]]
    assert overlaps(np.empty((0, 4)), np.array([[0.0, 0, 2, 2]])).shape == (0, 1)


def test_a_box_is_clipped_to_the_image() -> None:
    assert checked([(-3, 5, 70, 9)], 64).tolist() == [[0, 5, 64, 9]]
    assert checked([], 64).shape == (0, 4)


@pytest.mark.parametrize(
    "box",
    [
        (5, 5, 5, 9),
        (9, 5, 5, 9),
        (5, 9, 9, 9),
        (64, 5, 70, 9),
        (-9, 5, 0, 9),
        (math.nan, 5, 9, 9),
        (5, 5, math.inf, 9),
    ],
)
def test_a_box_that_is_none_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(BadInput, match="box"):
        checked([(1, 1, 3, 3), box], 64)


def test_boxes_for_another_number_of_images_are_refused() -> None:
    with pytest.raises(BadInput, match="for 1 of 2 images"):
        checked_all([[(1, 1, 3, 3)]], 2, 64)
