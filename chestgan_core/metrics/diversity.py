"""Diversity of a set of images: mean MS-SSIM over random pairs, and distances between the images of the set.

In: (N, 1, H, W) images in [-1, 1], or (N, d) vectors. Out: the similarity of each pair, 1 for one image from all seeds
(Wang et al. 2003; of sets: Odena et al. 2017); the distances of each image to all others and to the nearest one. A
generator that repeats few images has a small mean distance, or a small distance to the nearest other image, or both.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

# Of the five scales of Wang et al. 2003, the finest first. Images of 64 pixels have room for three, renormalized.
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
PAIRS = 500
# Pairs at once, and rows of a matrix of distances: bounds the memory.
BATCH = 64
ROWS = 256


def scale_count(size: int) -> int:
    """How many scales images of size x size pixels have: the window must fit into the coarsest."""
    return min(len(EXPONENTS), max(1, (size // WINDOW).bit_length()))


def pair_ms_ssim(images: Tensor, seed: int, pairs: int = PAIRS) -> NDArray[np.float64]:
    """MS-SSIM of random pairs; no image is in two of them, so that they are independent.

    Args:
        images: (N, 1, H, W) in [-1, 1], N at least 2.
        seed: Of the pairs.
        pairs: At most so many.

    Returns:
        (P,) from 0 to 1; 1 is equal.

    Examples:
        >>> same = torch.zeros(1, 1, 64, 64).expand(8, -1, -1, -1)
        >>> pair_ms_ssim(same, seed=0).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    count = min(pairs, len(images) // 2)
    first, second = order[:count], order[count : 2 * count]
    found = [
        ms_ssim(images[left], images[right])
        for left, right in zip(torch.split(first, BATCH), torch.split(second, BATCH), strict=True)
    ]
    return torch.cat(found).double().numpy()


@dataclass(frozen=True)
class OtherDistances:
    """mean: (N,) of each image the mean distance to all others; nearest: (N,) that to the nearest other one."""

    mean: NDArray[np.float64]
    nearest: NDArray[np.float64]


def other_distances(vectors: NDArray[np.floating]) -> OtherDistances:
    """Euclidean distances of each vector to the others of its set. Memory: ROWS x N.

    Args:
        vectors: (N, d), N at least 2.

    Examples:
        >>> found = other_distances(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]]))
        >>> found.mean.tolist(), found.nearest.tolist()
        ([5.0, 2.5, 2.5], [5.0, 0.0, 0.0])
    """
    if len(vectors) < 2:
        raise ValueError(f"needs two vectors or more, found {len(vectors)}")
    # Distances do not change with the origin; near it, what is nearly equal loses no digits.
    points = (vectors - vectors.mean(axis=0, dtype=np.float64)).astype(np.float64)
    norms = np.einsum("nd,nd->n", points, points)
    mean, nearest = np.empty(len(points)), np.empty(len(points))
    for start in range(0, len(points), ROWS):
        rows = np.arange(start, min(start + ROWS, len(points)))
        squared = np.maximum(norms[rows, None] + norms - 2 * points[rows] @ points.T, 0)
        squared[rows - start, rows] = 0
        found = np.sqrt(squared)
        mean[rows] = found.sum(axis=1) / (len(points) - 1)
        found[rows - start, rows] = np.inf
        nearest[rows] = found.min(axis=1)
    return OtherDistances(mean, nearest)


def median_interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """95 % interval of the median of independent values, by order statistics; None of fewer than six values."""
    if len(values) < 6:
        return None
    ordered, half = np.sort(values), 0.98 * np.sqrt(len(values))
    low, high = np.floor(len(values) / 2 - half), np.ceil(len(values) / 2 + half)
    return float(ordered[max(int(low), 0)]), float(ordered[min(int(high), len(values) - 1)])


@torch.inference_mode()
def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """(B,) multi-scale structural similarity of x and y, (B, 1, H, W) each in [-1, 1], H and W at least WINDOW.

    Contrast and structure at each scale, luminance at the coarsest; a negative structure counts as none.
    """
    x, y = x.float(), y.float()
    scales = scale_count(min(x.shape[-2:]))
    exponents = torch.tensor(EXPONENTS[:scales]) / sum(EXPONENTS[:scales])
    similarity = torch.ones(len(x))
    for scale in range(scales):
        luminance, structure = _ssim_terms(x, y)
        last = scale == scales - 1
        term = luminance * structure if last else structure
        similarity = similarity * term.mean(dim=(1, 2, 3)).clamp(min=0) ** exponents[scale]
        if not last:
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return similarity


def _ssim_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, at each position where the whole window fits (Wang et al. 2004)."""
    span = 2.0  # from -1 to 1
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    cov = _blurred(x * y) - mean_x * mean_y
    return (
        (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1),
        (2 * cov + c2) / (var_x + var_y + c2),
    )


def _blurred(images: Tensor) -> Tensor:
    """Means under the Gaussian window: a matrix product per axis, ten times as fast as a convolution of one channel."""
    down, across = (_bands(size) for size in images.shape[-2:])
    return down @ images @ across.T


def _bands(size: int) -> Tensor:
    """(size - WINDOW + 1, size): the window at each position where it fits."""
    line = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    bands = torch.zeros(size - WINDOW + 1, size)
    for at, row in enumerate(bands):
        row[at : at + WINDOW] = line / line.sum()
    return bands
