"""SSIM and PSNR: how similar two images are, pixel by pixel.

In: N pairs of images. Out: N numbers. Made for an image and its degraded copy. Pixels of two people do not correspond,
and the smoother image wins whatever it shows: they are here for continuity with the thesis system only.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

RANGE = 2.0  # of the values: from -1 to 1
EQUAL_DB = 100.0  # PSNR of equal images, which has no bound; 8-bit images that differ in one level have 48


def ssim(first: Tensor, second: Tensor) -> NDArray[np.float64]:
    """Structural similarity (Wang et al. 2004) of each pair, scikit-image's with a uniform window of 7 x 7 pixels.

    Args:
        first: (N, 1, H, W) float32 in [-1, 1], H and W at least 7.
        second: The other image of each pair.

    Returns:
        (N,) in [-1, 1]; 1 is equal.

    Raises:
        ValueError: Two different shapes, or not (N, 1, H, W).

    Examples:
        >>> import torch
        >>> image = torch.rand(1, 1, 16, 16) * 2 - 1
        >>> ssim(image, image).tolist()
        [1.0]
    """
    from skimage.metrics import structural_similarity

    measured = [
        structural_similarity(one, other, data_range=RANGE)  # type: ignore[no-untyped-call]
        for one, other in _pairs(first, second)
    ]
    return np.array(measured, np.float64)


def psnr(first: Tensor, second: Tensor) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio of each pair in dB: 10 log10(4 / mean squared difference), as the range is 2.

    Args:
        first: (N, 1, H, W) float32 in [-1, 1].
        second: The other image of each pair.

    Returns:
        (N,) in dB; EQUAL_DB for equal images.

    Raises:
        ValueError: Two different shapes, or not (N, 1, H, W).

    Examples:
        >>> import torch
        >>> black, grey = torch.full((1, 1, 8, 8), -1.0), torch.zeros(1, 1, 8, 8)
        >>> psnr(black, grey).round(2).tolist()  # dB
        [6.02]
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
