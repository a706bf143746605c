"""Precision, recall, density and coverage: is every synthetic image realistic, and every kind of real image generated?

In: (N, d) features of real images, (M, d) of synthetic ones. Out: fractions. A set's manifold is the union of balls
around its points; the radius of a ball is the distance to the point's k-th nearest neighbour in the same set.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
NEIGHBOURS = 5
# Rows of the distance matrix held at once; bounds the memory to about ROWS x N x 8 bytes.
ROWS = 512


@dataclass(frozen=True)
class PrecisionRecall:
    """precision: fraction of synthetic images in a real ball. recall: fraction of real images in a synthetic ball.

    density: how many real balls a synthetic image lies in, divided by k; not bounded by 1. coverage: fraction of real
    balls that contain a synthetic image; low after mode collapse. per_real_image: (N,) each, of which recall, density
    and coverage are the means.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    per_real_image: dict[str, NDArray[np.float64]] = field(default_factory=dict, compare=False, repr=False)


def precision_recall(real: Features, fake: Features, k: int = NEIGHBOURS) -> PrecisionRecall:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Args:
        real: (N, d) features, N above k.
        fake: (M, d) features, M above k.
        k: Which neighbour is on the border of a ball; the border belongs to it.

    Raises:
        ValueError: k points or fewer on a side.

    Examples:
        >>> real = np.random.default_rng(0).standard_normal((50, 4))
        >>> precision_recall(real, real[:1].repeat(50, axis=0)).precision  # one good image from all seeds
        1.0
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"needs more than {k} vectors on each side, found {len(real)} and {len(fake)}")
    x, y = real.astype(np.float64), fake.astype(np.float64)
    real_radii, fake_radii = _radii(x, k), _radii(y, k)
    balls_around = np.zeros(len(y), dtype=np.int64)
    contained, recalled = np.zeros(len(x)), np.zeros(len(x))
    for rows, distances in _distances(x, y):
        inside = distances <= real_radii[rows, None]
        balls_around += inside.sum(axis=0)
        contained[rows] = inside.sum(axis=1)
        recalled[rows] = (distances <= fake_radii[None]).any(axis=1)
    per_real_image = {
        "recall": recalled,
        "density": contained * (len(x) / (k * len(y))),
        "coverage": (contained > 0).astype(np.float64),
    }
    means = {name: float(values.mean()) for name, values in per_real_image.items()}
    return PrecisionRecall(precision=float((balls_around > 0).mean()), **means, per_real_image=per_real_image)


def _radii(points: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(N,) squared distance of each point to its k-th nearest other point."""
    radii = np.empty(len(points))
    for rows, distances in _distances(points, points):
        # The point itself is the nearest, at distance 0.
        radii[rows] = np.partition(distances, k, axis=1)[:, k]
    return radii


def _distances(x: NDArray[np.float64], y: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Squared distances of ROWS points of x at a time to all of y; rounding never makes one negative."""
    y_norms = (y**2).sum(axis=1)
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        squared = (block**2).sum(axis=1)[:, None] + y_norms[None] - 2 * block @ y.T
        yield slice(start, start + len(block)), np.maximum(squared, 0)
