"""Fractions of densities on images whose HU are known, and what a window hides."""

import numpy as np
import pytest
import torch

from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.metrics.plausibility import clipping_note, densities, ks_statistic, reason_unmeasurable

LUNG, WIDE, GREY = WINDOWS["lung"], WINDOWS["wide"], WINDOWS["grey"]


def chest(size: int = 64) -> np.ndarray:
    """A body of water with two lungs in air: (size, size) HU."""
    y, x = np.mgrid[:size, :size]
    hu = np.full((size, size), -1000.0)
    hu[(x - 32) ** 2 / 28**2 + (y - 32) ** 2 / 22**2 < 1] = 40
    for centre in (20, 44):
        hu[(x - centre) ** 2 / 8**2 + (y - 32) ** 2 / 12**2 < 1] = -850
    return hu


def images(hu: np.ndarray, window: object = LUNG) -> torch.Tensor:
    return window.to_unit(torch.from_numpy(hu))[None, None]  # type: ignore[attr-defined,no-any-return]


def test_fractions_are_those_of_the_pixels() -> None:
    hu = chest()
    found = densities(images(hu), LUNG).fractions
    assert found["air fraction"][0] == pytest.approx((hu < -950).mean())
    assert found["lung fraction"][0] == pytest.approx((hu == -850).mean())
    assert found["soft tissue fraction"][0] == pytest.approx((hu == 40).mean())
    assert found["lung area"][0] == pytest.approx((hu == -850).sum() / (hu > -950).sum(), abs=0.01)


def test_an_image_without_a_body_has_no_lung() -> None:
    assert densities(torch.full((1, 1, 64, 64), -1.0), LUNG).fractions["lung area"][0] == 0


def test_a_window_that_ends_below_bone_says_so_and_a_wide_one_shows_it() -> None:
    assert reason_unmeasurable("bone fraction", LUNG) == "the window ends at 150 HU, and this begins at 200"
    assert "bone fraction" not in densities(images(chest()), LUNG).fractions
    assert reason_unmeasurable("bone fraction", WIDE) is None
    assert densities(images(np.full((64, 64), 300.0), WIDE), WIDE).fractions["bone fraction"][0] == 1
    assert clipping_note("soft tissue fraction", LUNG) == "with all that is denser: the window ends at 150 HU"


def test_pictures_have_grey_levels_and_no_fractions() -> None:
    found = densities(torch.zeros(2, 1, 32, 32), GREY)
    assert found.fractions == {}
    assert found.levels.sum(axis=1).tolist() == [1024, 1024]


def test_the_largest_gap_is_zero_to_itself_and_one_between_black_and_white() -> None:
    black, white = (densities(torch.full((1, 1, 8, 8), value), GREY).levels[0] for value in (-1.0, 1.0))
    assert ks_statistic(black, black) == 0
    assert ks_statistic(black, white) == 1
    assert ks_statistic(black + white, white) == pytest.approx(0.5)
