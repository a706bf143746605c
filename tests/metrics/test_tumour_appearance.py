"""Contrast, size and rim of discs whose contrast, size and rim are known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.tumour_appearance import Appearance, appearance, appearance_distances, ks_distance

LUNG = WINDOWS["lung"]  # 750 HU per unit
BOX = (20.0, 24.0, 36.0, 36.0)


def disc(
    box: Edges = BOX, soft: float = 1.0, bright: float = 0.2, ground: float = -0.8, part: float = 1.0
) -> Tensor:
    """(1, 1, 64, 64): an ellipse of `part` of the box, its border `soft` pixels wide."""
    middles = torch.arange(64) + 0.5
    half = torch.tensor([box[2] - box[0], box[3] - box[1]]) / 2 * part
    x, y = middles - (box[0] + box[2]) / 2, (middles - (box[1] + box[3]) / 2)[:, None]
    radius = torch.hypot(x / half[0], y / half[1])
    inside = ((1 - radius) * half.mean() / soft + 0.5).clamp(0, 1)
    return (ground + (bright - ground) * inside)[None, None]


def measured(image: Tensor, box: Edges = BOX) -> tuple[float, float, float]:
    found = appearance(image, [[box]], LUNG)
    return float(found.contrast[0]), float(found.size[0]), float(found.rim[0])


def test_contrast_is_that_of_inside_and_around_in_hu() -> None:
    assert measured(disc())[0] == pytest.approx(750)
    assert measured(disc(bright=-0.8, ground=0.2))[0] == pytest.approx(-750)
    assert measured(disc(bright=0.1, ground=0.1))[0] == 0


@pytest.mark.parametrize("part", [0.75, 1.0, 1.3])
def test_size_is_that_of_what_is_bright_in_parts_of_what_was_asked(part: float) -> None:
    assert measured(disc(part=part))[1] == pytest.approx(part, abs=0.03)


def test_size_counts_parts_of_pixels_so_that_small_tumours_have_one() -> None:
    small = (30.3, 30.6, 34.1, 34.2)
    assert measured(disc(small), small)[1] == pytest.approx(1, abs=0.1)


def test_what_is_no_brighter_than_its_surroundings_has_no_size() -> None:
    assert measured(disc(bright=-0.8))[1] == 0
    assert measured(disc(bright=-0.9))[1] == 0


def test_a_blurred_border_has_a_lower_rim_and_none_has_none() -> None:
    sharp, soft, blurred = (measured(disc(soft=soft))[2] for soft in (0.5, 4, 12))
    assert sharp > soft > 1.5 * blurred > 0
    assert measured(disc(bright=-0.8))[2] == 0
    # A fall of 750 HU over 12 pixels.
    assert blurred == pytest.approx(750 / 12, rel=0.2)


def test_numbers_follow_the_window() -> None:
    image = disc()
    narrow, wide = (appearance(image, [[BOX]], WINDOWS[name]) for name in ("lung", "wide"))
    assert wide.contrast / narrow.contrast == pytest.approx(1400 / 1500)
    assert wide.rim / narrow.rim == pytest.approx(1400 / 1500)
    assert wide.size == pytest.approx(narrow.size)


def test_every_box_is_measured_in_the_order_of_images_and_boxes() -> None:
    images = torch.cat([disc(), disc(bright=-0.8), disc(bright=-0.3)])
    found = appearance(images, [[BOX, (2, 2, 8, 8)], [], [BOX]], LUNG)
    assert found.image.tolist() == [0, 0, 2]
    assert found.contrast == pytest.approx([750, 0, 375])


def test_images_without_boxes_give_empty_numbers() -> None:
    for found in (appearance(disc(), [[]], LUNG), appearance(torch.empty(0, 1, 64, 64), [], LUNG)):
        assert [len(values) for values in (found.contrast, found.size, found.rim, found.image)] == [0] * 4


@pytest.mark.parametrize(
    "box",
    [
        (30.0, 30.0, 31.0, 31.0),
        (30.2, 30.2, 30.4, 30.4),
        (0.0, 0.0, 9.0, 7.0),
        (55.0, 50.0, 64.0, 64.0),
        (63.9, 63.9, 64.0, 64.0),
        (10.0, 30.0, 50.0, 31.0),
    ],
)
def test_boxes_of_a_pixel_at_the_border_or_flat_have_finite_numbers(box: Edges) -> None:
    assert np.isfinite(measured(disc(box), box)).all()


def test_a_box_as_large_as_a_tiny_image_has_no_surroundings() -> None:
    """The corners of larger images still are around the ellipse."""
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert np.isfinite(measured(noise, (0, 0, 64, 64))).all()
    assert np.isnan(measured(noise[..., :8, :8], (0, 0, 8, 8))[:2]).all()


def test_boxes_that_are_none_are_refused() -> None:
    with pytest.raises(BadInput, match="no area"):
        measured(disc(), (5, 5, 5, 9))


def test_the_ks_distance_is_the_largest_gap_between_the_distributions() -> None:
    once = np.ones((1, 4))
    values = np.array([1.0, 2, 3, 4])
    assert ks_distance(values, values, once).tolist() == [0]
    assert ks_distance(values, values + 10, once).tolist() == [1]
    assert ks_distance(values, values + 1, once).tolist() == [0.25]
    assert ks_distance(np.array([2.0, 2]), values, once).tolist() == [0.5]
    # An image drawn twice counts twice; draws of nothing are not defined.
    weighted = ks_distance(np.array([1.0]), np.array([1.0, 5]), np.array([[3.0, 1], [0, 0]]))
    assert weighted[0] == 0.25
    assert np.isnan(weighted[1])


def drawn(seed: int, contrast: float, count: int = 200) -> Appearance:
    random = np.random.default_rng(seed)
    values = random.normal(contrast, 50, count)
    return Appearance(values, random.normal(1, 0.1, count), random.normal(80, 10, count), np.arange(count))


def test_tumours_of_one_kind_are_as_near_as_the_floor_and_others_far() -> None:
    patients = [f"P{at // 10}" for at in range(200)]
    near = appearance_distances(drawn(1, 500), drawn(2, 500), patients, seed=0)
    far = appearance_distances(drawn(1, 400), drawn(2, 500), patients, seed=0)
    assert list(near) == ["contrast", "size", "rim"]
    for one in near.values():
        assert one.floor is not None
        assert one.value.value < one.floor + 0.1 < 0.3
    assert far["contrast"].value.value > 0.6
    assert far["contrast"].value.interval is not None
    assert far["contrast"].value.interval[0] > 0.5
    assert far["size"] == near["size"]
    assert (far["contrast"].boxes, far["contrast"].real_boxes) == (200, 200)


def test_boxes_that_cannot_be_measured_are_left_out_and_one_patient_has_no_floor() -> None:
    partly = drawn(1, 500, 20)
    partly.rim[:] = np.nan
    partly.contrast[3] = np.nan
    found = appearance_distances(partly, drawn(2, 500, 20), ["P"] * 20, seed=0)
    assert list(found) == ["contrast", "size"]
    assert found["contrast"].boxes == 19
    assert found["size"].floor is None
    assert found["size"].value.interval is None
