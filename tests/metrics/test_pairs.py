"""Pairs of one seed with a tumour and without: the change inside of the box, and what leaks out of it."""

import pytest
import torch

from chestgan_core.errors import BadInput
from chestgan_core.metrics.pairs import locality

WITHOUT = torch.zeros(2, 1, 16, 16)
BOXES = [[(2.0, 2.0, 6.0, 6.0)], [(8.0, 8.0, 12.0, 12.0), (0.0, 0.0, 1.0, 1.0)]]


def test_a_tumour_that_changes_only_its_box_is_local() -> None:
    shown = WITHOUT.clone()
    shown[0, 0, 2:6, 2:6] = 0.5
    shown[1, 0, 8:12, 8:12] = -0.5
    found = locality(shown, WITHOUT, BOXES)
    assert found.outside.tolist() == [0, 0]
    assert found.inside.tolist() == pytest.approx(
        [0.5, 0.5 * 16 / 17]
    )  # the pixel of the second box is as it was
    assert found.locality == 0


def test_another_image_is_not_local_at_all() -> None:
    shown = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert locality(shown, WITHOUT, BOXES).locality == pytest.approx(1, abs=0.2)


def test_where_nothing_differs_inside_nothing_is_local() -> None:
    assert locality(WITHOUT, WITHOUT, BOXES).locality == float("inf")


def test_a_box_smaller_than_a_pixel_is_the_pixel_in_which_it_lies() -> None:
    shown = WITHOUT[:1].clone()
    shown[..., 3, 5] = 1
    assert locality(shown, WITHOUT[:1], [[(5.6, 3.1, 5.9, 3.2)]]).inside.tolist() == [1]


def test_an_image_without_a_box_and_a_box_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="image 1 has no box"):
        locality(WITHOUT, WITHOUT, [BOXES[0], []])
    with pytest.raises(BadInput, match="has no area inside an image"):
        locality(WITHOUT, WITHOUT, [BOXES[0], [(20, 20, 24, 24)]])
    with pytest.raises(ValueError, match="their pairs"):
        locality(WITHOUT, WITHOUT[:1], BOXES)
