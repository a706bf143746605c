"""Scores of membership attacks on synthetic images: the higher, the likelier an image was trained on.

In: vectors (features or pixels) of the images that are asked about, of the synthetic ones, and of reference images
that nobody trained on. Out: one score per image. Whoever attacks so has images, and needs no network.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]
Scores = NDArray[np.float64]
# Of the plane in which densities are estimated: in more dimensions an estimate from some hundred images is noise.
COMPONENTS = 8
# A distance counts as at least this part of a usual one: copies would have a logarithm without end.
SMALLEST = 1e-3
# Rows of the distances to a density held at once.
ROWS = 512


@dataclass(frozen=True)
class Distances:
    """squared: (Q, M) from each asked image to each synthetic one. to_reference: (Q,) to the nearest reference one."""

    squared: NDArray[np.float32]
    to_reference: Scores

    @property
    def to_synthetic(self) -> Scores:
        """(Q,) to the nearest synthetic image."""
        nearest: Scores = np.sqrt(self.squared.min(axis=1).astype(np.float64))
        return nearest


def distances(asked: Vectors, synthetic: Vectors, reference: Vectors) -> Distances:
    """Euclidean distances. Memory: Q x (M + R) float32.

    Args:
        asked: (Q, d).
        synthetic: (M, d).
        reference: (R, d).

    Examples:
        >>> found = distances(np.array([[0.0]]), np.array([[3.0], [5.0]]), np.array([[1.0], [2.0]]))
        >>> found.to_synthetic.tolist(), found.to_reference.tolist()
        ([3.0], [1.0])
    """
    to_reference = np.sqrt(_squared(asked, reference).min(axis=1).astype(np.float64))
    return Distances(_squared(asked, synthetic), to_reference)


def nearest_score(found: Distances) -> Scores:
    """How near the nearest synthetic image is (GAN-Leaks, arXiv 1909.03935, attack on the generator as a black box).

    Images of common kinds have near neighbours whoever was trained on: `calibrated_score` takes that off.
    """
    return -_logarithm(found.to_synthetic)


def calibrated_score(found: Distances) -> Scores:
    """How much nearer the nearest synthetic image is than the nearest reference image.

    GAN-Leaks takes off the distance to images of a reference generator. Here it is the distance to images of other
    patients, which needs no second training; and logarithms are compared, so that no unit is left.
    """
    return _logarithm(found.to_reference) - _logarithm(found.to_synthetic)


def monte_carlo_score(found: Distances) -> Scores:
    """Which fraction of the synthetic images lies within a radius (Hilprecht 2019, Monte Carlo attack).

    The radius is the median of the distances to the nearest synthetic image, as proposed there.
    """
    radius = np.median(found.squared.min(axis=1))
    within: Scores = (found.squared <= radius).mean(axis=1, dtype=np.float64)
    return within


def blind_score(found: Distances) -> Scores:
    """How near the nearest reference image is: an attack that has seen nothing of the generator.

    It tells two groups of patients apart only if they differ for other reasons, such as another scanner (after Das et
    al. 2024, arXiv 2406.16201).
    """
    return -_logarithm(found.to_reference)


def density_score(asked: Vectors, synthetic: Vectors, reference: Vectors) -> Scores:
    """Density of the synthetic images over that of the reference, as a logarithm (DOMIAS, arXiv 2302.12580).

    Both by Gaussian kernels of Scott's bandwidth, on at most COMPONENTS principal components of synthetic and reference
    images, each group with the same weight, scaled to unit variance.

    Args:
        asked: (Q, d).
        synthetic: (M, d).
        reference: (R, d), 2 or more.

    Examples:
        >>> draw = np.random.default_rng(0)
        >>> reference, synthetic = draw.normal(size=(2, 200, 3))
        >>> synthetic[:100] = 2.5  # a generator that repeats one image
        >>> told, other = density_score(np.array([[2.5] * 3, [0.0] * 3]), synthetic, reference)
        >>> bool(told > other)
        True
    """
    axes, mean = _principal(synthetic, reference)
    projected = [(of.astype(np.float64) - mean) @ axes for of in (asked, synthetic, reference)]
    return _log_density(projected[0], projected[1]) - _log_density(projected[0], projected[2])


def _logarithm(distance: Scores) -> Scores:
    """Of a distance; a copy is at SMALLEST of the usual one."""
    least = SMALLEST * max(float(np.median(distance)), float(np.finfo(np.float32).tiny))
    logarithm: Scores = np.log(np.maximum(distance, least))
    return logarithm


def _squared(asked: Vectors, others: Vectors) -> NDArray[np.float32]:
    """(Q, N) squared distances; centred, so that single precision is enough."""
    middle = others.mean(axis=0, dtype=np.float64).astype(np.float32)
    left, right = (of.astype(np.float32) - middle for of in (asked, others))
    squared: NDArray[np.float32] = left @ right.T
    squared *= -2
    squared += np.einsum("nd,nd->n", left, left)[:, None]
    squared += np.einsum("nd,nd->n", right, right)[None, :]
    return np.maximum(squared, 0, out=squared)


def _principal(synthetic: Vectors, reference: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes (d, k) that map to unit variance, and the mean (d,). From the smaller of d x d and n x n products."""
    both = [of.astype(np.float64) for of in (synthetic, reference)]
    mean = sum(of.mean(axis=0) for of in both) / 2
    centred = np.concatenate([(of - mean) / math.sqrt(2 * len(of)) for of in both])
    count, dimension = centred.shape
    gram = centred.T @ centred if dimension <= count else centred @ centred.T
    variances, vectors = np.linalg.eigh(gram)
    kept = min(COMPONENTS, int((variances > 1e-9 * max(float(variances[-1]), 1e-30)).sum()))
    variances, vectors = variances[::-1][:kept], vectors[:, ::-1][:, :kept]
    # Of the n x n product, the axes are the data times its vectors, which have the length of the deviation.
    axes = vectors if dimension <= count else centred.T @ vectors / np.sqrt(variances)
    return axes / np.sqrt(variances), mean


def _log_density(asked: NDArray[np.float64], data: NDArray[np.float64]) -> Scores:
    """(Q,) logarithm of the density of the data, but for a constant that is the same for all."""
    count, dimension = data.shape
    bandwidth = count ** (-1 / (dimension + 4))
    found = np.empty(len(asked))
    norms = (data**2).sum(axis=1)
    for start in range(0, len(asked), ROWS):
        block = asked[start : start + ROWS]
        squared = (block**2).sum(axis=1)[:, None] + norms - 2 * block @ data.T
        exponent = -np.maximum(squared, 0) / (2 * bandwidth**2)
        top = exponent.max(axis=1)
        found[start : start + ROWS] = top + np.log(np.exp(exponent - top[:, None]).sum(axis=1))
    density: Scores = found - math.log(count) - dimension * math.log(bandwidth)
    return density
