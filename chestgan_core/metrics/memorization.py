"""Memorization: is a synthetic image nearer to the images trained on than to those held out?

In: vectors (features or pixels) of synthetic, training and held-out images. Out: distances to the nearest of each
patient, the share that is nearer to the training side. After Alaa 2021 (authenticity) and Meehan 2020 (data copying).
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


def nearest(queries: Vectors, candidates: Vectors, of: NDArray[np.int64], count: int) -> Nearest:
    """The nearest candidates (N, d) of the queries (M, d), by group. of: (N,) the group of each, 0 to count - 1, all of
    which occur. Memory: ROWS x N, and M x count.
    """
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(count))
    there = (candidates[order] if count > 1 else candidates).astype(np.float32, copy=False)
    norms = np.einsum("nd,nd->n", there, there, dtype=np.float64)
    squared, index = np.empty((len(queries), count)), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), ROWS):
        block = queries[start : start + ROWS].astype(np.float32)
        own = (block.astype(np.float64) ** 2).sum(axis=1)
        distances = np.maximum(own[:, None] + norms - 2 * (block @ there.T).astype(np.float64), 0)
        squared[start : start + ROWS] = np.minimum.reduceat(distances, starts, axis=1)
        index[start : start + ROWS] = order[distances.argmin(axis=1)]
    return Nearest(squared, index)


def nearer_fraction(train: Nearest, held_out: Nearest) -> float:
    """The share of the queries that are nearer to the training side; equal distances count half. 0.5 where neither side
    was seen, given as many candidates of as many patients on each.
    """
    return float(_nearer(train.squared.min(axis=1), held_out.squared.min(axis=1)).mean())


def nearer_interval(
    train: Nearest, held_out: Nearest, train_patients: Resampling, held_out_patients: Resampling
) -> Interval | None:
    """Of nearer_fraction, over the patients of both sides; None where one side has one patient."""
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
