"""The area under the ROC curve of several readers of the same images, with intervals over readers and images.

In: scores of readers, in few ordered steps, higher for "synthetic". Out: the area of each reader and their mean, with
a 95 % interval that takes readers as drawn from more readers and images from more images: by a bootstrap over both, and
by the analysis of variance of Obuchowski and Rockette (1995) with the degrees of freedom of Hillis (2007).

Real images of one patient are alike, so patients are drawn, with all their images. Of n readers (patients, synthetic
images) n - 1 are drawn each time: a bootstrap that draws n takes the spread of a few readers as smaller than it is (Rao
and Wu 1988).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 2000
CURVES = 400  # of the resamples: the band around the mean curve
GRID = np.linspace(0, 1, 51)  # false positive fractions of the mean curve
SMALLEST, LARGEST = 2.5, 97.5  # percentiles of a 95 % interval


@dataclass(frozen=True)
class Scores:
    """values: (readers, images) steps from 0 to steps - 1; -1 where a reader has not scored an image.

    synthetic: (images,). units: (images,) what is drawn: the number of the patient, or of the synthetic image itself.
    """

    values: NDArray[np.int64]
    synthetic: NDArray[np.bool_]
    units: NDArray[np.int64]
    steps: int

    def one_hot(self) -> Floats:
        """(readers, images, steps); all 0 where there is no score."""
        return np.asarray(self.values[..., None] == np.arange(self.steps), dtype=np.float64)

    def of(self, readers: NDArray[np.bool_]) -> "Scores":
        """Those of some readers."""
        return Scores(self.values[readers], self.synthetic, self.units, self.steps)


@dataclass(frozen=True)
class Draws:
    """How often each reader (resamples, readers) and each image (resamples, images) was drawn."""

    readers: Floats
    images: Floats

    def counts(self, one_hot: Floats, side: NDArray[np.bool_]) -> Floats:
        """(readers, images, steps) to (resamples, readers, steps): how often each step was given on one side."""
        drawn = self.images[:, side]
        return np.stack([drawn @ one_hot[reader][side] for reader in range(len(one_hot))], axis=1)

    def mean(self, values: Floats) -> Floats:
        """(resamples, readers) to (resamples,): the mean over the drawn readers that have a value."""
        weights = np.where(np.isnan(values), 0.0, self.readers)
        total = weights.sum(axis=1)
        found: Floats = np.divide(
            (weights * np.nan_to_num(values)).sum(axis=1),
            total,
            out=np.full(len(values), np.nan),
            where=total > 0,
        )
        return found


@dataclass(frozen=True)
class Variance:
    """The analysis of variance: standard error of the mean area, degrees of freedom, 95 % interval, and its parts.

    between_readers: mean square of the areas of readers. covariance: of the areas of two readers, by the images that
    they share.
    """

    standard_error: float
    degrees_of_freedom: float
    low: float
    high: float
    between_readers: float
    covariance: float


def areas(synthetic: Floats, real: Floats) -> Floats:
    """(..., steps) counts of both sides to (...) areas: a synthetic image has the higher score, ties count a half.

    NaN where a side is empty.
    """
    pairs = synthetic.sum(axis=-1) * real.sum(axis=-1)
    above = (synthetic * (np.cumsum(real, axis=-1) - real / 2)).sum(axis=-1)
    found: Floats = np.divide(above, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)
    return found


def draw(
    readers: int,
    synthetic: NDArray[np.bool_],
    units: NDArray[np.int64],
    seed: int,
    resamples: int = RESAMPLES,
) -> Draws | None:
    """Resamples over readers and images. None where there are no two patients, or no two synthetic images.

    A single reader is drawn each time: the interval is then about this reader.
    """
    generator = np.random.default_rng(seed)
    images = np.zeros((resamples, len(units)))
    for side in (synthetic, ~synthetic):
        names, at = np.unique(units[side], return_inverse=True)
        if len(names) < 2:
            return None
        images[:, side] = _drawn(len(names), resamples, generator)[:, at]
    return Draws(_drawn(readers, resamples, generator), images)


def _drawn(count: int, resamples: int, generator: np.random.Generator) -> Floats:
    if count == 1:
        return np.ones((resamples, 1))
    at = generator.integers(count, size=(resamples, count - 1)) + count * np.arange(resamples)[:, None]
    return np.bincount(at.ravel(), minlength=count * resamples).reshape(resamples, count).astype(np.float64)


def ends(values: Floats) -> tuple[float, float] | None:
    """The 95 % interval by percentiles; None where fewer than half of the resamples have a value."""
    known = values[~np.isnan(values)]
    if 2 * len(known) < len(values) or not len(known):
        return None
    low, high = np.percentile(known, [SMALLEST, LARGEST])
    return float(low), float(high)


def variance(scores: Scores) -> Variance | None:
    """The analysis of variance of the mean area, from a jackknife over patients and synthetic images.

    The formulas for one modality are those of Hillis, Statistics in Medicine 26 (2007), 596-619, section 5.3. None
    for fewer than two readers, or where no two units are.
    """
    one_hot, synthetic = scores.one_hot(), scores.synthetic
    readers, (_, at) = len(one_hot), np.unique(scores.units, return_inverse=True)
    units = int(at.max()) + 1 if len(at) else 0
    if readers < 2 or units < 2:
        return None
    per_unit = np.zeros((2, readers, units, scores.steps))
    for side, chosen in enumerate((synthetic, ~synthetic)):
        for reader in range(readers):
            np.add.at(per_unit[side, reader], at[chosen], one_hot[reader][chosen])
    total = per_unit.sum(axis=2)
    whole = areas(total[0], total[1])
    without = areas(total[0][:, None] - per_unit[0], total[1][:, None] - per_unit[1])
    if np.isnan(without).any() or np.isnan(whole).any():
        return None
    apart = without - without.mean(axis=1, keepdims=True)
    covariances = (units - 1) / units * (apart @ apart.T)
    covariance = float((covariances.sum() - np.trace(covariances)) / (readers * (readers - 1)))
    between = float(whole.var(ddof=1))
    error = between + readers * max(covariance, 0.0)
    standard_error = math.sqrt(error / readers)
    freedom = (readers - 1) * (error / between) ** 2 if between > 0 else math.inf
    half, mean = t_quantile(freedom) * standard_error, float(whole.mean())
    return Variance(
        standard_error, freedom, max(0.0, mean - half), min(1.0, mean + half), between, covariance
    )


def t_quantile(freedom: float) -> float:
    """The 97.5 % quantile of Student's t distribution, by numerical integration. freedom: at least 1, may be broken.

    With t = sqrt(freedom) tan(angle), the density is proportional to cos(angle) to the power of freedom - 1.
    """
    if freedom > 1000:
        return 1.959964 * (1 + (1.959964**2 + 1) / (4 * min(freedom, 1e12)))
    angles = np.linspace(0, math.pi / 2, 200_001)
    density = np.cos(angles) ** (max(freedom, 1.0) - 1)
    below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return math.sqrt(freedom) * math.tan(float(np.interp(0.95 * below[-1], below, angles)))


def curve(synthetic: Floats, real: Floats) -> tuple[Floats, Floats]:
    """(steps,) counts of both sides to the corners of the curve: false and true positive fractions, from 0 to 1."""
    return tuple(  # type: ignore[return-value]  # two of them
        np.concatenate([[0.0], np.cumsum(side[::-1]) / side.sum()]) for side in (real, synthetic)
    )


def mean_curve(synthetic: Floats, real: Floats, weights: Floats | None = None) -> Floats:
    """(readers, steps) counts to the mean over readers of true positive fractions, at the fractions of GRID.

    Readers without images on a side are left out; all NaN where none is left. weights: of readers.
    """
    weights = np.ones(len(real)) if weights is None else weights
    used = (weights > 0) & (real.sum(axis=-1) > 0) & (synthetic.sum(axis=-1) > 0)
    if not used.any():
        return np.full(len(GRID), np.nan)
    curves = [np.interp(GRID, *curve(synthetic[one], real[one])) for one in np.flatnonzero(used)]
    found: Floats = np.average(curves, axis=0, weights=weights[used])
    return found
