"""Memorization: is a synthetic image nearer to the training images than to held-out ones?

In: vectors (features or pixels) of synthetic, training and held-out images. Out: distances to the nearest image of each
patient, and the fraction that is nearer to the training images. After Alaa et al. 2021 (authenticity) and Meehan et al.
2020 (data copying).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chestgan_core.metrics.bootstrap import Interval, Resampling

Vectors = NDArray[np.floating]
# Rows of the distances held at once.
ROWS = 256


@dataclass(frozen=True)
class Nearest:
    """squared: (M, G) squared distance to the nearest candidate of each group. index: (M,) the nearest of all."""

    squared: NDArray[np.float64]
    index: NDArray[np.int64]


def nearest(queries: Vectors, candidates: Vectors, groups: NDArray[np.int64], count: int) -> Nearest:
    """The nearest candidates of the queries, per group. Memory: ROWS x N, and M x count.

    Args:
        queries: (M, d).
        candidates: (N, d).
        groups: (N,) the group (patient) of each candidate, 0 to count - 1, all of which occur.
        count: How many groups there are.

    Examples:
        >>> found = nearest(np.array([[0.0]]), np.array([[3.0], [1.0]]), groups=np.array([0, 1]), count=2)
        >>> found.squared.tolist(), found.index.tolist()
        ([[9.0, 1.0]], [1])
    """
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(count))
    ordered = (candidates[order] if count > 1 else candidates).astype(np.float32, copy=False)
    norms = np.einsum("nd,nd->n", ordered, ordered, dtype=np.float64)
    squared, index = np.empty((len(queries), count)), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), ROWS):
        block = queries[start : start + ROWS].astype(np.float32)
        own = (block.astype(np.float64) ** 2).sum(axis=1)
        distances = np.maximum(own[:, None] + norms - 2 * (block @ ordered.T).astype(np.float64), 0)
        squared[start : start + ROWS] = np.minimum.reduceat(distances, starts, axis=1)
        index[start : start + ROWS] = order[distances.argmin(axis=1)]
    return Nearest(squared, index)


def nearer_fraction(train: Nearest, held_out: Nearest) -> float:
    """The fraction of the queries that are nearer to a training image than to a held-out one.

    Args:
        train: `nearest` of the synthetic images among the training images.
        held_out: The same among as many held-out images of as many patients.

    Returns:
        0.5 where nothing is memorized, 1 where all images are copies. Equal distances count half.

    Examples:
        >>> synthetic, train, held_out = np.array([[0.0], [5.0]]), np.array([[0.1]]), np.array([[5.0]])
        >>> sides = [nearest(synthetic, side, np.array([0]), 1) for side in (train, held_out)]
        >>> nearer_fraction(*sides)
        0.5
    """
    return float(_nearer(train.squared.min(axis=1), held_out.squared.min(axis=1)).mean())


def nearer_interval(
    train: Nearest, held_out: Nearest, train_patients: Resampling, held_out_patients: Resampling
) -> Interval | None:
    """95 % interval of nearer_fraction over the patients of both sides; None where a side has one patient."""
    if min(train_patients.count, held_out_patients.count) < 2:
        return None
    drawn = [
        _nearer(train.squared[:, a > 0].min(axis=1), held_out.squared[:, b > 0].min(axis=1)).mean()
        for a, b in zip(train_patients.weights, held_out_patients.weights, strict=True)
    ]
    return held_out_patients.interval(np.array(drawn))


def _nearer(train: NDArray[np.float64], held_out: NDArray[np.float64]) -> NDArray[np.float64]:
    nearer: NDArray[np.float64] = (train < held_out) + 0.5 * (train == held_out)
    return nearer
