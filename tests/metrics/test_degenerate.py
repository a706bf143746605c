"""Images that show nothing are found, and images that show something are not taken for them."""

import numpy as np
import pytest

from chestgan_core.metrics.degenerate import degenerate, is_noise, neighbour_correlation

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.uniform(-1, 1, (20, 1, 32, 32))
SMOOTH = np.cumsum(np.cumsum(RANDOM.standard_normal((20, 1, 32, 32)), axis=-1), axis=-2) / 100


def constant(count: int) -> np.ndarray:
    return np.concatenate([np.full((count, 1, 32, 32), 0.3), SMOOTH[count:]])


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (SMOOTH, ""),
        (NOISE, ""),
        (constant(5), ""),
        (constant(10), ""),
        (constant(11), "are of one value (11 of 20)"),
        (constant(20), "are of one value (20 of 20)"),
        (np.full((20, 32, 32), -1.0) + 0.001 * NOISE[:, 0], "are of one value (20 of 20)"),
        (np.repeat(SMOOTH[:1], 20, axis=0), "are all the same"),
        (np.repeat(SMOOTH[:1], 20, axis=0) + 0.001 * NOISE, "are all the same"),
        (SMOOTH[:1], ""),
        (SMOOTH[:0], ""),
    ],
)
def test_images_that_show_nothing(images: np.ndarray, found: str) -> None:
    assert degenerate(images) == found


def test_noise_is_told_from_images_and_shuffled_pixels_are_noise() -> None:
    shuffled = RANDOM.permuted(SMOOTH.reshape(20, -1), axis=1).reshape(SMOOTH.shape)
    assert is_noise(NOISE, SMOOTH)
    assert is_noise(shuffled, SMOOTH)
    assert not is_noise(SMOOTH, SMOOTH)
    assert not is_noise(SMOOTH + 0.1 * NOISE, SMOOTH)
    assert not is_noise(NOISE, NOISE)  # nothing here is an image
    assert not is_noise(constant(20), SMOOTH)


def test_the_correlation_of_neighbours() -> None:
    assert neighbour_correlation(NOISE) == pytest.approx(0, abs=0.1)
    assert neighbour_correlation(np.tile(np.linspace(-1, 1, 32), (3, 32, 1))) == pytest.approx(1)
    assert np.isnan(neighbour_correlation(np.zeros((3, 8, 8))))
