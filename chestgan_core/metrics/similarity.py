"""SSIM and PSNR: how alike two images are, pixel by pixel.

In: N pairs of images. Out: N numbers. Made for a picture and its degraded copy. Between two people the pixels do not
lie on each other, and the smoother image wins whatever it shows: here they are for continuity with the thesis only.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

RANGE = 2.0  # of the values: from -1 to 1
EQUAL_DB = 100.0  # PSNR of equal images, which has no bound; 8-bit images that differ in one level have 48


def ssim(first: Tensor, second: Tensor) -> NDArray[np.float64]:
    """Structural similarity (Wang et al. 2004) of each pair, scikit-image's with a uniform window of 7 x 7 pixels.

    first, second: (N, 1, H, W) float32 in [-1, 1], H and W at least 7 -> (N,) in [-1, 1]; 1 is equal.
    """
    from skimage.metrics import structural_similarity

    measured = [
        structural_similarity(one, other, data_range=RANGE)  # type: ignore[no-untyped-call]
        for one, other in _pairs(first, second)
    ]
    return np.array(measured, np.float64)


def psnr(first: Tensor, second: Tensor) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio of each pair in dB: 10 log10(4 / mean squared difference), as the range is 2.

    first, second: (N, 1, H, W) float32 in [-1, 1] -> (N,), at most EQUAL_DB.
    """
    errors = np.array([np.square(one - other).mean() for one, other in _pairs(first, second)])
    decibels: NDArray[np.float64] = 10 * np.log10(RANGE**2 / np.maximum(errors, 1e-300))
    return np.minimum(decibels, EQUAL_DB)


def _pairs(first: Tensor, second: Tensor) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """One pair (H, W) after the other, in float64: the mean of a product of nearly equal numbers has few digits left in
    float32.
    """
    if first.shape != second.shape or first.ndim != 4 or first.shape[1] != 1:
        raise ValueError(f"pairs must be (N, 1, H, W) twice, not {tuple(first.shape)}, {tuple(second.shape)}")
    for one, other in zip(first, second, strict=True):
        yield one[0].cpu().double().numpy(), other[0].cpu().double().numpy()
