"""Shares and agreement: Wilson's interval, Cohen's and Fleiss' kappa.

In: counts. Out: numbers; None where they are not defined, such as a kappa where everybody always said the same.
"""

import math

import numpy as np
from numpy.typing import NDArray

from chestgan_core.reading.analysis.result import Interval, Proportion
from chestgan_core.reading.design import Z_95

Floats = NDArray[np.float64]


def proportion(count: int, total: int) -> Proportion:
    """With the score interval of Wilson (1927), 95 %."""
    if not total:
        return Proportion(count=count, total=total)
    share, z = count / total, Z_95**2 / total
    middle = (share + z / 2) / (1 + z)
    half = Z_95 * math.sqrt(share * (1 - share) / total + z / (4 * total)) / (1 + z)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    # At 0 and 1 rounding would leave an end a hair beside the share.
    interval = Interval(low=min(low, share), high=max(high, share))
    return Proportion(count=count, total=total, value=share, interval=interval)


def cohen_kappa(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float | None:
    """Agreement of two answers each, yes or no, beyond chance (Cohen 1960)."""
    if not len(first):
        return None
    observed = float((first == second).mean())
    expected = float(first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean()))
    return None if expected == 1 else (observed - expected) / (1 - expected)


def fleiss(counts: Floats, weights: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """Agreement of many readers beyond chance (Fleiss, Psychological Bulletin 76 (1971), 378-382).

    counts: (images, categories), how many readers chose each; readers may be missing, but each image needs two.
    weights: (resamples, images), how often each image counts. Returns kappa, observed and expected agreement,
    (resamples,) each. Where readers are missing, each image has the same weight in the observed agreement, and each
    verdict in the expected one. kappa is NaN where all verdicts are the same.
    """
    drawn = np.ones((1, len(counts))) if weights is None else weights
    readers = counts.sum(axis=1)
    agree = ((counts**2).sum(axis=1) - readers) / (readers * (readers - 1))
    observed = drawn @ agree / drawn.sum(axis=1)
    chosen = drawn @ counts
    expected = ((chosen / chosen.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    kappa = np.divide(
        observed - expected, 1 - expected, out=np.full(len(drawn), np.nan), where=expected < 1 - 1e-12
    )
    return kappa, observed, expected
