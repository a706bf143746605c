"""Which difference of KID so many patients can show, before anything is trained.

In: features of real images with their patients, and of images that stand in for those of generators. Out: the interval
that a report would have at any KID, the smallest difference that two reports tell apart, and how many patients a
difference takes.

Two reports on the same patients are told apart where their 95 % intervals over the patients do not overlap. The
smallest difference is that of which this is seen in 80 of 100 draws of patients: both half-widths, and 0.84 standard
errors of what differs from them (patients, generated images, the widths themselves).

To first order the KID of a generator varies over patients by twice the witness function, whose variance grows with the
distance and falls with the number P of patients; at the distance 0 what is left falls with its square (Gretton et al.
2012, section 4.2 and theorem 8). So the squared half-width is taken as a / P^2 + b KID / P, fitted to the stand-ins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chestgan_core.metrics.bootstrap import Resampling
from chestgan_core.metrics.distances import Features, kernel, kid_draws

Z_95, Z_80 = 1.959964, 0.841621  # of a 95 % interval, of a power of 80 %
MAX_PATIENTS = 100_000


@dataclass(frozen=True)
class Spread:
    """KID of some images, not times 1000, and half of its 95 % interval over patients, by the bootstrap of reports.

    images_error: standard error from the finite number of the images. draws: (DRAWS,) of the KID over patients.
    """

    kid: float
    half_width: float
    images_error: float
    draws: NDArray[np.float64] = field(repr=False, compare=False)


def spread_of(x: Features, y: Features, patients: Resampling) -> Spread | None:
    """How the KID of y varies over the patients of x; None where there are no two patients.

    Args:
        x: (N, d) features of real images.
        y: (M, d) features of images that stand in for those of a generator.
        patients: Of the images of x.
    """
    groups, n, m = patients.one_hot, len(x), len(y)
    within_x, within_y, between = kernel(x, x), kernel(y, y), kernel(x, y)
    np.fill_diagonal(within_x, 0)
    np.fill_diagonal(within_y, 0)
    pairs = groups.T @ within_x @ groups
    mean_y = float(within_y.sum() / (m * (m - 1)))
    draws = kid_draws(pairs, groups.T @ between.mean(axis=1), patients) + mean_y
    interval = patients.interval(draws)
    if interval is None:
        return None
    witness = within_y.sum(axis=1) / (m - 1) - between.mean(axis=0)
    return Spread(
        kid=float(within_x.sum() / (n * (n - 1)) + mean_y - 2 * between.mean()),
        half_width=(interval[1] - interval[0]) / 2,
        images_error=float(2 * witness.std(ddof=1) / math.sqrt(m)),
        draws=draws,
    )


@dataclass(frozen=True)
class Detectable:
    """What patients like these can show. All KID not times 1000.

    patients: on whom it was measured. base, slope: squared half-width = base + slope KID with so many patients; base
    falls with the square of their number, slope with their number.
    images_slope: squared standard error from the number of generated images = images_slope KID. correlation: of the KID
    of two generators over draws of patients. largest: KID of the farthest stand-in; beyond it all is extrapolated.
    """

    patients: int
    base: float
    slope: float
    images_slope: float
    correlation: float
    largest: float

    def half_width(self, kid: float, patients: int) -> float:
        """Half of the 95 % interval of a report at this KID."""
        fewer = self.patients / patients
        return math.sqrt(self.base * fewer**2 + self.slope * max(kid, 0.0) * fewer)

    def smallest(self, kid: float, patients: int) -> float | None:
        """By how much a second generator must be better than this KID to be told apart; None: no generator is."""
        if patients < 2 or self._excess(kid, kid, patients) < 0:
            return None
        low, high = 0.0, kid
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self._excess(kid, middle, patients) >= 0 else (middle, high)
        return high

    def patients_for(self, difference: float, kid: float) -> int | None:
        """How many patients it takes to tell a generator apart that is better by this; None: none would do, or it is
        more than the whole KID.
        """
        if difference > kid or self._excess(kid, difference, MAX_PATIENTS) < 0:
            return None
        low, high = 1, MAX_PATIENTS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._excess(kid, difference, middle) >= 0 else (middle, high)
        return high

    def _excess(self, kid: float, difference: float, patients: int) -> float:
        """By how much a difference exceeds the smallest one."""
        one, other = self.half_width(kid, patients), self.half_width(kid - difference, patients)
        over_patients = (one**2 + other**2 - 2 * self.correlation * one * other) / Z_95**2
        over_images = self.images_slope * (2 * kid - difference)
        # Half-widths are measured on the same patients, and vary as a standard deviation of so many values does.
        of_widths = (one + other) ** 2 / (2 * max(patients - 1, 1))
        error = math.sqrt(max(over_patients, 0.0) + over_images + of_widths)
        return difference - (one + other + Z_80 * error)


def detectable(spreads: Sequence[Spread], patients: int) -> Detectable:
    """Fitted to stand-ins at several distances.

    Args:
        spreads: Of at least two stand-ins, against the same patients and drawn by the same seed.
        patients: How many there are.

    Raises:
        ValueError: Fewer than two stand-ins.

    Examples:
        >>> from chestgan_core.metrics.bootstrap import resampling
        >>> rng = np.random.default_rng(0)
        >>> patients = [f"P{number // 10}" for number in range(120)]
        >>> centres = np.repeat(rng.standard_normal((12, 8)), 10, axis=0)  # what a patient's slices have in common
        >>> x, y = centres + rng.standard_normal((120, 8)), 1.4 * rng.standard_normal((200, 8))
        >>> drawn = resampling(patients, seed=0)
        >>> found = detectable([spread_of(x, y + shift, drawn) for shift in (0.2, 0.4, 0.8)], patients=12)
        >>> found.smallest(1.0, patients=12) > found.smallest(1.0, patients=48)
        True
    """
    if len(spreads) < 2:
        raise ValueError("needs stand-ins at two distances or more")
    ordered = sorted(spreads, key=lambda one: one.kid)
    kids = np.array([max(one.kid, 0.0) for one in ordered])
    base, slope = _line(kids, np.array([one.half_width**2 for one in ordered]))
    of_images = np.array([one.images_error**2 for one in ordered])
    together = [
        np.asarray(np.corrcoef(_known(one.draws, other.draws)))[0, 1] for one, other in pairwise(ordered)
    ]
    return Detectable(
        patients=patients,
        base=base,
        slope=slope,
        images_slope=float(kids @ of_images / max(kids @ kids, 1e-30)),
        correlation=float(np.clip(np.mean(together), 0, 1)),
        largest=ordered[-1].kid,
    )


def _known(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    both = np.stack([one, other])
    found: NDArray[np.float64] = both[:, np.isfinite(both).all(axis=0)]
    return found


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Intercept and slope by least squares, neither below 0."""
    slope, base = np.polyfit(x, y, 1)
    if slope < 0:
        return float(y.mean()), 0.0
    if base < 0:
        return 0.0, float(x @ y / (x @ x))
    return float(base), float(slope)
