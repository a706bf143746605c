"""LPIPS of pairs of images: their distance in the feature maps of a network (Zhang et al. 2018).

In: N pairs of images, and the perceptual distance that selects slices too (slices/likeness.py). Out: N numbers.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.slices.likeness import BATCH, Likeness, open_likeness

NETWORK = "lpips-alex"


def open_lpips() -> Likeness:
    """LPIPS 0.1 on AlexNet. Raises NotAvailable: the weights are not here; says where they belong."""
    return open_likeness(NETWORK)


def perceptual_distances(first: Tensor, second: Tensor, likeness: Likeness) -> NDArray[np.float64]:
    """first, second: (N, 1, H, W) float32 in [-1, 1] -> (N,) distances, 0 for equal images.

    Memory is that of one batch, whatever N: the vectors of an image have some 2 MB.
    """
    if first.shape != second.shape:
        raise ValueError(f"pairs must have one shape, not {tuple(first.shape)} and {tuple(second.shape)}")
    found = [np.empty(0)]
    for start in range(0, len(first), BATCH):
        part = slice(start, start + BATCH)
        ones, others = (likeness.vectors(images[part].cpu()) for images in (first, second))
        found.append(np.square(ones - others).sum(axis=1, dtype=np.float64))
    return np.concatenate(found)
