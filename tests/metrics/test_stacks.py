"""Stacks: how alike neighbours are, and the volume of what is bright in the boxes."""

import math

import numpy as np
import pytest
import torch

from chestgan_core.layouts.subject import Ellipsoid
from chestgan_core.metrics.stacks import measure_stack, neighbour_similarity, slices_at, tumour_mm3

LUNG, TUMOUR = -0.4, 0.7
BALL = Ellipsoid(x=30, y=26, z_mm=50, axes_mm=(40, 32, 36))


def ball(
    spacing_mm: float, pixel_mm: float = 1.0, scale: float = 1.0
) -> tuple[torch.Tensor, list[list[object]]]:
    """A stack of 64 x 64 with an ellipsoid of `scale` times its asked size, and the asked boxes."""
    y, x = np.mgrid[:64, :64] + 0.5
    images, boxes = [], []
    for z in np.arange(0, 100, spacing_mm):
        image = np.full((64, 64), LUNG, np.float32)
        across, down, along = (axis * scale / 2 for axis in BALL.axes_mm)
        at = ((x - BALL.x) * pixel_mm / across) ** 2 + ((y - BALL.y) * pixel_mm / down) ** 2
        image[at + ((z - BALL.z_mm) / along) ** 2 < 1] = TUMOUR
        cut = BALL.cut(z, pixel_mm)
        images.append(image)
        boxes.append([cut] if cut else [])
    return torch.from_numpy(np.stack(images))[:, None], boxes


@pytest.mark.parametrize(("spacing_mm", "pixel_mm"), [(1, 1), (3, 1), (2, 2)])
def test_the_volume_of_a_bright_ellipsoid_is_measured(spacing_mm: float, pixel_mm: float) -> None:
    stack, boxes = ball(spacing_mm, pixel_mm)

    assert tumour_mm3(stack, boxes, pixel_mm, spacing_mm) == pytest.approx(BALL.volume_mm3, rel=0.05)


def test_a_tumour_smaller_than_asked_is_measured_as_such_and_none_as_nothing() -> None:
    small, boxes = ball(1, scale=0.5)
    nothing = torch.full_like(small, LUNG)

    assert tumour_mm3(small, boxes, 1, 1) == pytest.approx(
        BALL.volume_mm3 / 8, rel=0.15
    )  # cuts below a tenth of their box
    assert tumour_mm3(nothing, boxes, 1, 1) == 0
    assert tumour_mm3(small, [[] for _ in boxes], 1, 1) == 0


def test_a_box_at_the_edge_and_one_smaller_than_a_pixel_are_measured() -> None:
    stack = torch.full((1, 1, 16, 16), LUNG)
    stack[0, 0, 0, 0] = stack[0, 0, 8, 8] = TUMOUR

    assert tumour_mm3(stack, [[(0, 0, 0.4, 0.4), (8.2, 8.2, 8.6, 8.6)]], 1, 1) == 2


def test_a_tumour_that_fills_its_boxes_and_one_that_does_not_are_told_apart() -> None:
    stack, boxes = ball(2)
    small, _ = ball(2, scale=0.8)

    whole, part = measure_stack(stack, boxes, 1, 2), measure_stack(small, boxes, 1, 2)
    assert whole.tumour_mm3 / whole.boxes_mm3 == pytest.approx(1, abs=0.05)
    assert part.tumour_mm3 / part.boxes_mm3 == pytest.approx(0.8**3, abs=0.05)
    assert measure_stack(stack, [[] for _ in boxes], 1, 2).boxes_mm3 == 0


def test_neighbours_of_another_series_are_less_alike_than_its_own() -> None:
    stack, _ = ball(1)
    noise = torch.rand(stack.shape, generator=torch.Generator().manual_seed(0))

    own, other = neighbour_similarity(stack), neighbour_similarity(noise)
    assert own.shape == (99,)
    assert own.min() > 0.8
    assert other.max() < 0.3


def test_a_real_series_is_compared_at_the_spacing_of_the_synthetic_one() -> None:
    assert slices_at([0, 1, 2, 3, 4, 5, 6], 3) == [0, 3, 6]
    assert slices_at([-10, 0, 10], 3) == [0, 1, 2]  # each slice once
    assert slices_at([math.pi * number for number in range(100)], 10 * math.pi) == list(range(0, 100, 10))
