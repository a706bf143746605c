"""Distances between two sets of feature vectors: KID and FID.

In: (N, d) and (M, d) float arrays. Out: floats. Everything is computed in float64, except the products of float32
vectors inside a kernel; kernels in blocks of rows, so that memory does not grow with N x N.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chestgan_core.metrics.bootstrap import Interval, Resampling

Features = NDArray[np.floating]
HALVES = 50
# Rows of a kernel held at once.
ROWS = 512
SMALL = 256


@dataclass(frozen=True)
class Kid:
    """value: unbiased MMD^2, may be slightly negative. sd: its standard error, as if images were independent.
    interval: over the patients of x; None without patients, or with one.
    """

    value: float
    sd: float
    interval: Interval | None = None


def kid(x: Features, y: Features, seed: int, patients: Resampling | None = None) -> Kid:
    """Kernel inception distance (Binkowski et al. 2018): unbiased MMD^2 with k(a, b) = (a.b / d + 1)^3.

    The value uses all pairs, of which the usual mean over subsets is an estimate. The standard error comes from HALVES
    random halves: a half drawn without replacement varies around the whole by as much as the whole varies around the
    truth (half-sampling).

    Args:
        x: (N, d) features, N at least 4.
        y: (M, d) features, M at least 4.
        seed: Of the random halves.
        patients: Of the images of x, for the interval.

    Returns:
        The distance (reports show it times 1000), its standard error, and an interval over the patients of x.

    Raises:
        ValueError: Fewer vectors, or different d.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((200, 8)), rng.standard_normal((200, 8))
        >>> abs(kid(x, y, seed=0).value) < 0.05  # the same distribution
        True
        >>> kid(x, y + 1, seed=0).value > 0.5
        True
    """
    _check(x, y, at_least=4)
    rng = np.random.default_rng(seed)
    half_x, half_y = _halves(len(x), rng), _halves(len(y), rng)
    groups = np.zeros((len(x), 0)) if patients is None else patients.one_hot
    xx = _row_sums(x, x, np.hstack([np.ones((len(x), 1)), half_x, groups]))
    yy = _row_sums(y, y, np.hstack([np.ones((len(y), 1)), half_y]))
    xy = _row_sums(x, y, np.hstack([np.ones((len(y), 1)), half_y]))
    self_x, self_y = _with_itself(x), _with_itself(y)
    within_y = _within(yy[:, 0], self_y, np.ones(len(y)))
    halves = [
        _within(xx[:, 1 + at], self_x, half_x[:, at])
        + _within(yy[:, 1 + at], self_y, half_y[:, at])
        - 2 * float(half_x[:, at] @ xy[:, 1 + at]) / (half_x[:, at].sum() * half_y[:, at].sum())
        for at in range(HALVES)
    ]
    value = _within(xx[:, 0], self_x, np.ones(len(x))) + within_y - 2 * xy[:, 0].mean() / len(y)
    interval = None
    if patients is not None:
        pairs = groups.T @ xx[:, 1 + HALVES :] - np.diag(groups.T @ self_x)
        cross = groups.T @ xy[:, 0] / len(y)
        interval = patients.interval(kid_draws(pairs, cross, patients) + within_y)
    return Kid(float(value), float(np.std(halves, ddof=1)), interval)


def mmd2(x: Features, y: Features) -> float:
    """Unbiased squared maximum mean discrepancy under the polynomial kernel (Gretton 2012, lemma 6)."""
    ones_x, ones_y = np.ones(len(x)), np.ones(len(y))
    return (
        _within(_row_sums(x, x, ones_x[:, None])[:, 0], _with_itself(x), ones_x)
        + _within(_row_sums(y, y, ones_y[:, None])[:, 0], _with_itself(y), ones_y)
        - 2 * float(_row_sums(x, y, ones_y[:, None]).mean()) / len(y)
    )


def kernel(x: Features, y: Features) -> NDArray[np.float64]:
    """(N, d), (M, d) -> (N, M): (x.y / d + 1)^3."""
    plus = (x @ y.T).astype(np.float64) / x.shape[1] + 1
    # numpy's power of an array takes ten times as long as two products.
    powers: NDArray[np.float64] = plus * plus * plus
    return powers


def _row_sums(x: Features, y: Features, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, S): for each vector of x the sum over y of its kernels, weighted by each column of (M, S)."""
    sums = np.empty((len(x), weights.shape[1]))
    for start in range(0, len(x), ROWS):
        sums[start : start + ROWS] = kernel(x[start : start + ROWS], y) @ weights
    return sums


def _with_itself(x: Features) -> NDArray[np.float64]:
    """(N,): the kernel of each vector with itself."""
    plus: NDArray[np.float64] = (x.astype(np.float64) ** 2).mean(axis=1) + 1
    return plus**3


def _within(sums: NDArray[np.float64], itself: NDArray[np.float64], chosen: NDArray[np.float64]) -> float:
    """Mean kernel of two different chosen vectors. chosen: (N,) of 0 and 1; sums: row sums over the chosen ones."""
    count = chosen.sum()
    return float(chosen @ (sums - itself * chosen) / (count * (count - 1)))


def kid_draws(
    pairs: NDArray[np.float64], cross: NDArray[np.float64], patients: Resampling
) -> NDArray[np.float64]:
    """(DRAWS,): what of KID depends on x, for each draw of its patients.

    pairs: (G, G) kernels between different images of two patients. A patient drawn twice is not compared with its own
    copy, whose distance is 0: pairs within a patient count as often as the patient, not its square.
    """
    weights, sizes = patients.weights, patients.sizes
    counts = np.outer(sizes, sizes) - np.diag(sizes)

    def summed(table: NDArray[np.float64]) -> NDArray[np.float64]:
        within = np.diag(table)
        total: NDArray[np.float64] = ((weights @ table) * weights).sum(axis=1) - (
            weights**2 - weights
        ) @ within
        return total

    with np.errstate(invalid="ignore", divide="ignore"):
        means: NDArray[np.float64] = summed(pairs) / summed(counts) - 2 * (weights @ cross) / (
            weights @ sizes
        )
    return means


def _halves(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count, HALVES) of 0 and 1: random halves without replacement."""
    chosen = np.zeros((count, HALVES))
    for at in range(HALVES):
        chosen[rng.choice(count, count // 2, replace=False), at] = 1
    return chosen


def fid(x: Features, y: Features) -> float:
    """Fréchet inception distance: of Gaussians fitted to the features (Heusel et al. 2017); biased upwards at small N.

    |mu1 - mu2|^2 + Tr(S1) + Tr(S2) - 2 Tr((S1 S2)^(1/2)). With S1 = A'A and S2 = B'B, where A and B are the centred
    features over sqrt(N - 1), the last trace is the sum of the singular values of A B': without the square root of a
    matrix and its rounding errors, and with N < d on N x N instead of d x d.

    Args:
        x: (N, d) features, N at least 2.
        y: (M, d) features, M at least 2.

    Returns:
        The distance, 0 or more.

    Raises:
        ValueError: Fewer vectors, or different d.

    Examples:
        >>> x = np.random.default_rng(0).standard_normal((200, 8))
        >>> round(fid(x, x + 2), 6)  # equal covariances: the squared distance of the means
        32.0
    """
    _check(x, y, at_least=2)
    a, b = _root(x), _root(y)
    mean_gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
    return max(0.0, float(mean_gap @ mean_gap + (a**2).sum() + (b**2).sum() - 2 * _nuclear(a @ b.T)))


def _nuclear(matrix: NDArray[np.float64]) -> float:
    """Sum of the singular values. Of a large matrix as roots of eigenvalues: five times as fast, with errors of at most
    1e-8 of the largest.
    """
    if min(matrix.shape) <= SMALL:
        return float(np.linalg.svd(matrix, compute_uv=False).sum())
    gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    return float(np.sqrt(np.linalg.eigvalsh(gram).clip(0)).sum())


def _root(features: Features) -> NDArray[np.float64]:
    """R with R'R = covariance: (min(N, d), d)."""
    centred: NDArray[np.float64] = features.astype(np.float64)
    centred = (centred - centred.mean(axis=0)) / np.sqrt(len(features) - 1)
    return centred if len(centred) <= centred.shape[1] else np.linalg.qr(centred).R


def _check(x: Features, y: Features, at_least: int) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features must be (N, d) and (M, d), not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < at_least:
        raise ValueError(f"needs at least {at_least} vectors on each side, found {len(x)} and {len(y)}")
