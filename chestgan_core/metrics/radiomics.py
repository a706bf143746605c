"""Radiomic features: numbers about grey levels and texture in the body and in the lungs, without any network.

In: (N, 1, H, W) images in [-1, 1] and their window. Out: (N, d) features: first order, co-occurrence of grey levels
(Haralick 1973), runs of one grey level (Galloway 1975), energies of Haar wavelets (Mallat 1989). No training of ours
sees them, and they share nothing with networks that learned from photographs: a second opinion.

The idea of comparing sets of images by radiomic features is that of Konz, Osuala et al., "Fréchet Radiomic Distance"
(arXiv 2412.01496). This is not FRD: other features, fewer of them, and other distances.
"""

from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.errors import NotAvailable
from chestgan_core.imaging.lung_mask import chest_pixels, coarse_step
from chestgan_core.imaging.windows import Window
from chestgan_core.local.progress import Progress

# Raise when a feature changes: features of two versions must not be compared.
RADIOMICS = 1
LEVELS, RUN_LEVELS = 32, 16  # grey levels of co-occurrence and of runs; with more, noise leaves no run
DISTANCES = (1, 2)  # pixels between the two of a pair
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
SCALES = 3  # of the wavelets; each halves the image
BATCH_PIXELS = 64 * 64 * 256  # of the images computed at once: bounds the memory
DARK = -0.9  # in pictures without Hounsfield units, what is darker is no body
FARTHEST = 5.0  # standard deviations; what is farther off is equally far off

Features = NDArray[np.float32]
Values = NDArray[np.float64]
Masks = NDArray[np.bool_]

_FIRST_ORDER = (
    "mean", "deviation", "skewness", "kurtosis", "10th percentile", "median", "90th percentile", "entropy",
    "uniformity",
)  # fmt: skip
_PAIRS = (
    "contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy", "cluster shade",
    "cluster prominence",
)  # fmt: skip
_RUNS = (
    "short runs", "long runs", "grey level non-uniformity", "run length non-uniformity", "run percentage", "dark runs",
    "bright runs",
)  # fmt: skip
_BANDS = ("horizontal", "vertical", "diagonal")


def feature_names(window: Window | None) -> tuple[str, ...]:
    """The names of the features, in their order."""
    regions = ("body", "lung") if _shows_lungs(window) else ("body",)
    of_region = (
        "area",
        *_FIRST_ORDER,
        *(f"{name} at {distance}" for distance in DISTANCES for name in _PAIRS),
        *_RUNS,
        *(f"wavelet {band} {2**scale}" for scale in range(1, SCALES + 1) for band in _BANDS),
    )
    return tuple(f"{region}: {name}" for region in regions for name in of_region)


class Radiomics:
    """An Extractor (feature_extractors.py) of radiomic features.

    window: the one through which the images are seen. With Hounsfield units there are two regions, the lungs and the
    body around and with them; without, the body alone, which is what is not black.
    """

    def __init__(self, window: Window | None = None) -> None:
        self._window = window
        self.dimension = len(feature_names(window))
        region = f"lungs and body at {window}" if _shows_lungs(window) else "body"
        self.id = f"radiomics:{RADIOMICS}:{region}"
        self.about = (
            f"{self.dimension} radiomic features (first order, co-occurrence, runs, wavelets; {region}), without a "
            "network; not the Fréchet Radiomic Distance (Konz 2024), whose idea they follow"
        )

    def features(self, images: Tensor, label: str | None = "features") -> Features:
        """(N, 1, H, W) float32 in [-1, 1] to (N, d) float32, finite for every image."""
        if images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(f"images must be (N, 1, H, W), not {tuple(images.shape)}")
        out = np.empty((len(images), self.dimension), np.float32)
        batch = max(BATCH_PIXELS // (images.shape[2] * images.shape[3]), 1)
        progress = None if label is None else Progress(label, total=len(images), unit="images")
        with progress or nullcontext():
            for start in range(0, len(images), batch):
                some = torch.nan_to_num(images[start : start + batch, 0].detach().float().cpu()).clamp(-1, 1)
                out[start : start + batch] = self._batch(some.numpy())
                if progress:
                    progress.step(len(some))
        return out

    def comparable(self, features: Features, reference: Features) -> Features:
        """(N, d) features in standard deviations from the mean of the reference's (M, d): their units are as different
        as area and entropy. A feature that the reference always has alike counts for nothing.
        """
        mean, deviation = reference.mean(0, dtype=np.float64), reference.std(0, dtype=np.float64)
        varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-3)
        scores = (features - mean) / np.where(varies, deviation, 1.0) * varies
        clipped: Features = scores.clip(-FARTHEST, FARTHEST).astype(np.float32)
        return clipped

    def class_logits(self, features: Features) -> Features:
        """Raises NotAvailable."""
        raise NotAvailable(f"extractor {self.id}", "it has no classification layer", "measure with a network")

    def _batch(self, grey: NDArray[np.float32]) -> Values:
        """(B, H, W) in [-1, 1] -> (B, d)."""
        if self._window is not None and _shows_lungs(self._window):
            regions = _chest_masks(self._window.from_unit(grey))
        else:
            regions = [grey > DARK]
        return np.concatenate([_of_region(grey.astype(np.float64), mask) for mask in regions], axis=1)


def _shows_lungs(window: Window | None) -> bool:
    return window is not None and window.unit == "HU"


def _chest_masks(hu: NDArray[np.int16]) -> list[Masks]:
    """(B, H, W) bool each: body and lungs, found on a coarse grid."""
    step = coarse_step(*hu.shape[1:])
    found = [chest_pixels(image) for image in hu[:, ::step, ::step]]
    masks = [np.stack([pair[at] for pair in found]) for at in range(2)]
    height, width = hu.shape[1:]
    return [mask.repeat(step, 1).repeat(step, 2)[:, :height, :width] for mask in masks]


def _of_region(grey: Values, mask: Masks) -> Values:
    """(B, H, W) -> (B, features) of the pixels in the mask; 0 where it is empty, except for the wavelets' logarithm."""
    levels = ((grey + 1) * (LEVELS / 2)).astype(np.int64).clip(0, LEVELS - 1)
    parts = [mask.mean((1, 2))[:, None], first_order(grey, mask)]
    parts += [co_occurrence(levels, mask, distance) for distance in DISTANCES]
    parts += [run_lengths(levels * RUN_LEVELS // LEVELS, mask), wavelet_energies(grey, mask)]
    return np.concatenate(parts, axis=1)


def first_order(grey: Values, mask: Masks) -> Values:
    """(B, H, W) grey levels -> (B, 9): of their distribution inside the mask; percentiles to a 256th of the range."""
    image, values = np.nonzero(mask)[0], grey[mask]
    count = mask.sum((1, 2))
    some = np.maximum(count, 1)

    def mean_of(powers: Values) -> Values:
        means: Values = np.bincount(image, powers, minlength=len(grey)) / some
        return means

    mean = mean_of(values)
    centred = values - mean[image]
    square = centred * centred
    variance, third, fourth = mean_of(square), mean_of(square * centred), mean_of(square * square)
    deviation = np.sqrt(variance)
    unit = np.maximum(deviation, 1e-6)
    codes = image * 256 + ((values + 1) * 128).astype(np.int64).clip(0, 255)
    fine = np.bincount(codes, minlength=len(grey) * 256).reshape(-1, 256)
    cumulated = fine.cumsum(1)
    percentiles = [
        ((cumulated < part * count[:, None]).sum(1) / 128 - 1) * (count > 0) for part in (0.1, 0.5, 0.9)
    ]
    shares = fine.reshape(-1, LEVELS, 256 // LEVELS).sum(2) / some[:, None]
    columns = (mean, deviation, third / unit**3, fourth / unit**4, *percentiles)
    return np.stack([*columns, _entropy(shares), (shares**2).sum(1)], axis=1)


def co_occurrence(levels: NDArray[np.int64], mask: Masks, distance: int) -> Values:
    """(B, H, W) levels from 0 to LEVELS - 1 -> (B, 8): of the matrix of pairs of pixels, so many pixels apart in four
    directions, both in the mask; both orders count.
    """
    # A border outside of the mask, so that a step beyond an edge of the flat array ends in it.
    border = ((0, 0), (0, distance), (0, distance))
    inside, flat = np.pad(mask, border).ravel(), np.pad(levels, border).ravel()
    height, width = (size + distance for size in levels.shape[1:])
    places = np.flatnonzero(inside)
    first = flat[places] * LEVELS + places // (height * width) * LEVELS**2
    matrix = np.zeros(len(levels) * LEVELS**2)
    for down, right in DIRECTIONS:
        others = places + (down * width + right) * distance
        both = inside[others]
        matrix += np.bincount(first[both] + flat[others[both]], minlength=len(matrix))
    square = matrix.reshape(-1, LEVELS, LEVELS)
    p = (square + square.transpose(0, 2, 1)).reshape(-1, LEVELS**2)
    pairs = p.sum(1)
    p /= np.maximum(pairs, 1)[:, None]
    contrast, apart, near, product, mean, squared, *sums = (p @ _PAIR_WEIGHTS).T
    variance = squared - mean**2
    # A region of one level is as correlated as can be: the choice of scikit-image, too.
    correlation = np.where(variance > 1e-9, (product - mean**2) / np.maximum(variance, 1e-9), 1.0)
    second, third, fourth = sums
    middle = 2 * mean  # of the sum of both levels, whose central moments are shade and prominence
    shade = third - 3 * middle * second + 2 * middle**3
    prominence = fourth - 4 * middle * third + 6 * middle**2 * second - 3 * middle**4
    columns = (
        contrast,
        apart,
        near,
        np.sqrt((p**2).sum(1)),
        correlation * (pairs > 0),
        _entropy(p),
        np.cbrt(shade),  # roots, so that few images do not decide a distance
        np.maximum(prominence, 0) ** 0.25,
    )
    return np.stack(columns, axis=1)


def _pair_weights() -> Values:
    """(LEVELS * LEVELS, 9): what is averaged over the pairs of levels i, j."""
    i, j = np.indices((LEVELS, LEVELS)).reshape(2, -1)
    apart, total = np.abs(i - j), (i + j).astype(np.float64)
    return np.stack(
        [apart**2, apart, 1 / (1 + apart**2), i * j, i, i**2, total**2, total**3, total**4], axis=1
    )


_PAIR_WEIGHTS = _pair_weights()


def run_lengths(levels: NDArray[np.int64], mask: Masks) -> Values:
    """(B, H, W) levels from 0 to RUN_LEVELS - 1 -> (B, 7): of the runs of one level inside the mask, along rows and
    along columns.
    """
    count, longest = len(levels), max(levels.shape[1:])
    runs = [_runs(np.where(mask, levels, -1)), _runs(np.where(mask, levels, -1).transpose(0, 2, 1))]
    image, level, length = (np.concatenate([one[at] for one in runs]) for at in range(3))

    def total(weights: Values | None = None) -> Values:
        return np.bincount(image, weights, minlength=count).astype(np.float64)

    def unevenness(kind: NDArray[np.int64], kinds: int) -> Values:
        counts = np.bincount(image * kinds + kind, minlength=count * kinds).reshape(count, kinds)
        squares: Values = (counts.astype(np.float64) ** 2).sum(1)
        return squares

    number = np.maximum(total(), 1)
    square, bright = length.astype(np.float64) ** 2, (level + 1.0) ** 2
    columns = (
        total(1 / square) / number,
        np.log1p(total(square) / number),
        unevenness(level, RUN_LEVELS) / number**2,
        unevenness(length, longest + 1) / number**2,
        total() / np.maximum(2 * mask.sum((1, 2)), 1),
        total(1 / bright) / number,
        total(bright) / number,
    )
    return np.stack(columns, axis=1)


def wavelet_energies(grey: Values, mask: Masks) -> Values:
    """(B, H, W) -> (B, 9): logarithm of the mean square of Haar's details, three directions at three scales, where all
    pixels behind a detail are in the mask.
    """
    columns = []
    for _ in range(SCALES):
        height, width = (size // 2 * 2 for size in grey.shape[1:])
        a, b, c, d = (grey[:, y:height:2, x:width:2] for y in (0, 1) for x in (0, 1))
        whole = np.logical_and.reduce([mask[:, y:height:2, x:width:2] for y in (0, 1) for x in (0, 1)])
        some = np.maximum(whole.sum((1, 2)), 1)
        for detail in (a - b + c - d, a + b - c - d, a - b - c + d):
            columns.append(np.log(1e-6 + ((detail / 2) ** 2 * whole).sum((1, 2)) / some))
        grey, mask = (a + b + c + d) / 2, whole
    return np.stack(columns, axis=1)


def _runs(levels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Runs along the last axis, -1 is no level: image, level and length of each."""
    height, width = levels.shape[1:]
    line = np.pad(levels, ((0, 0), (0, 0), (0, 1)), constant_values=-1).ravel()
    starts = np.flatnonzero(np.diff(line, prepend=-1))
    lengths = np.diff(starts, append=len(line))
    kept = line[starts] >= 0
    starts, lengths = starts[kept], lengths[kept]
    return starts // (height * (width + 1)), line[starts], lengths


def _entropy(shares: Values) -> Values:
    """(B, kinds) fractions -> (B,) in bits."""
    entropy: Values = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(1)
    return entropy
