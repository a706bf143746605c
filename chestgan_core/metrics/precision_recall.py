"""Precision, recall, density and coverage: does every synthetic image look real, is every kind of real image
made?

In: (N, d) features of real images, (M, d) of synthetic ones. Out: shares. A set's manifold is the union of
balls around its points, each as wide as the distance to the point's k-th nearest neighbour in the same set.
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
class Manifolds:
    """precision: share of synthetic images inside a real ball. recall: share of real images inside a
    synthetic ball.

    density: how many real balls a synthetic image lies in, over k; not bounded by 1.
    coverage: share of real balls that hold a synthetic image; stays low when the generator has collapsed.
    of_real: what recall, density and coverage are the means of, by real image, (N,) each.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    of_real: dict[str, NDArray[np.float64]] = field(default_factory=dict, compare=False, repr=False)


def manifolds(real: Features, fake: Features, k: int = NEIGHBOURS) -> Manifolds:
    """Precision and recall (Kynkäänniemi 2019), density and coverage (Naeem 2020); more than k points on each
    side.

    A ball holds its own border. Raises ValueError on k points or fewer.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"needs more than {k} vectors on each side, found {len(real)} and {len(fake)}")
    x, y = real.astype(np.float64), fake.astype(np.float64)
    real_radii, fake_radii = _radii(x, k), _radii(y, k)
    balls_around = np.zeros(len(y), dtype=np.int64)
    held, recalled = np.zeros(len(x)), np.zeros(len(x))
    for rows, distances in _distances(x, y):
        inside = distances <= real_radii[rows, None]
        balls_around += inside.sum(axis=0)
        held[rows] = inside.sum(axis=1)
        recalled[rows] = (distances <= fake_radii[None]).any(axis=1)
    of_real = {
        "recall": recalled,
        "density": held * (len(x) / (k * len(y))),
        "coverage": (held > 0).astype(np.float64),
    }
    means = {name: float(values.mean()) for name, values in of_real.items()}
    return Manifolds(precision=float((balls_around > 0).mean()), **means, of_real=of_real)


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
