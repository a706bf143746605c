"""Distances between two sets of feature vectors: KID and FID.

In: (N, d) and (M, d) float arrays. Out: floats. Everything is computed in float64.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
SUBSET = 1000
SUBSETS = 50


@dataclass(frozen=True)
class Kid:
    """value: unbiased MMD^2, may be slightly negative. sd: its standard error, over slices. spread: how sd
    was found.
    """

    value: float
    sd: float
    spread: str


def kid(x: Features, y: Features, seed: int, subset: int = SUBSET, subsets: int = SUBSETS) -> Kid:
    """Kernel inception distance (Binkowski 2018): unbiased MMD^2 with k(a, b) = (a.b / d + 1)^3.

    x: (N, d), y: (M, d), at least 4 vectors each. With at most `subset` vectors the value uses all of them,
    and sd comes from random halves: a half drawn without replacement varies around the whole by as much as
    the whole varies around the truth (half-sampling). With more, value and sd are mean and deviation over
    random subsets, as usual. seed: of the draws. Raises ValueError on fewer vectors or different d.
    """
    _check(x, y, at_least=4)
    rng = np.random.default_rng(seed)
    size = min(len(x), len(y))
    if size > subset:
        draws = [
            mmd2(_draw(x, subset, rng), _draw(y, subset, rng))
            for _ in range(subsets)
        ]  # fmt: skip
        return Kid(
            float(np.mean(draws)),
            float(np.std(draws, ddof=1)),
            f"deviation over {subsets} subsets of {subset}",
        )
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    halves = []
    for _ in range(subsets):
        i = rng.choice(len(x), len(x) // 2, replace=False)
        j = rng.choice(len(y), len(y) // 2, replace=False)
        halves.append(_mmd2(xx[np.ix_(i, i)], yy[np.ix_(j, j)], xy[np.ix_(i, j)]))
    return Kid(
        _mmd2(xx, yy, xy),
        float(np.std(halves, ddof=1)),
        f"deviation over {subsets} random halves of the images",
    )


def mmd2(x: Features, y: Features) -> float:
    """Unbiased squared maximum mean discrepancy under the polynomial kernel (Gretton 2012, lemma 6)."""
    return _mmd2(kernel(x, x), kernel(y, y), kernel(x, y))


def kernel(x: Features, y: Features) -> NDArray[np.float64]:
    """(N, d), (M, d) -> (N, M): (x.y / d + 1)^3."""
    x64, y64 = x.astype(np.float64), y.astype(np.float64)
    powers: NDArray[np.float64] = (x64 @ y64.T / x64.shape[1] + 1) ** 3
    return powers


def _mmd2(xx: NDArray[np.float64], yy: NDArray[np.float64], xy: NDArray[np.float64]) -> float:
    n, m = len(xx), len(yy)
    within_x = (xx.sum() - np.trace(xx)) / (n * (n - 1))
    within_y = (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within_x + within_y - 2 * xy.mean())


def fid(x: Features, y: Features) -> float:
    """Fréchet distance of two Gaussians fitted to the features (Heusel 2017); (N, d), (M, d), at least 2
    each.

    |mu1 - mu2|^2 + Tr(S1) + Tr(S2) - 2 Tr((S1 S2)^(1/2)). With S1 = A'A and S2 = B'B, where A and B are the
    centred features over sqrt(N - 1), the last trace is the sum of the singular values of A B': no square
    root of a matrix, none of its rounding errors, and with N < d it works on N x N instead of d x d. Biased
    upwards at small N.
    """
    _check(x, y, at_least=2)
    a, b = _root(x), _root(y)
    mean_gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float(mean_gap @ mean_gap + (a**2).sum() + (b**2).sum() - 2 * cross))


def _root(features: Features) -> NDArray[np.float64]:
    """R with R'R = covariance: (min(N, d), d)."""
    centred: NDArray[np.float64] = features.astype(np.float64)
    centred = (centred - centred.mean(axis=0)) / np.sqrt(len(features) - 1)
    return centred if len(centred) <= centred.shape[1] else np.linalg.qr(centred).R


def _draw(features: Features, count: int, rng: np.random.Generator) -> Features:
    return features[rng.choice(len(features), count, replace=False)]


def _check(x: Features, y: Features, at_least: int) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features must be (N, d) and (M, d), not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < at_least:
        raise ValueError(f"needs at least {at_least} vectors on each side, found {len(x)} and {len(y)}")
