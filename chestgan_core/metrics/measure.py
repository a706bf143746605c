"""A value with its 95 % interval over patients, and what one can say of two of them.

In: counts per image, or a function of how often each image was drawn. Out: `Measure`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chestgan_core.metrics.bootstrap import Interval, Resampling

Counts = NDArray[np.int64] | NDArray[np.float64]
Weighted = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""How often each image was drawn, (B, N), to the measure of each draw, (B,); NaN where it is not defined."""

# Draws at once: bounds the memory, which is so many times the number of detections.
AT_ONCE = 50


@dataclass(frozen=True)
class Measure:
    """value, and its interval: None where one patient says nothing about others.

    draws: (DRAWS,) of the bootstrap over `patients`, NaN where not defined. Two measures of the same images and seed
    were drawn alike, so that they can be compared draw by draw.
    """

    value: float
    interval: Interval | None
    draws: NDArray[np.float64] = field(repr=False, compare=False)
    patients: Resampling = field(repr=False, compare=False)

    def minus(self, other: "Measure") -> "Measure":
        """The difference, with the interval of the paired draws."""
        return _of(self.value - other.value, self.draws - other.draws, self.patients)

    def over(self, other: "Measure") -> "Measure | None":
        """The ratio; None where the other is 0. Draws in which it is 0 do not count."""
        if not other.value:
            return None
        return _of(self.value / other.value, ratios(self.draws, other.draws), self.patients)


def measured(function: Weighted, patients: Resampling, most: float = np.inf) -> Measure:
    """A measure of the images of these patients, and its draws; from 0 to `most`, beyond which no interval reaches."""
    value = float(function(np.ones((1, len(patients.groups))))[0])
    draws = [
        function(weights[:, patients.groups])
        for weights in np.array_split(patients.weights, max(len(patients.weights) // AT_ONCE, 1))
    ]
    return _of(value, np.concatenate(draws), patients, (0.0, most))


def share(parts: Counts, wholes: Counts, patients: Resampling, most: float = 1.0) -> Measure | None:
    """The sum of the parts over the sum of the wholes, (N,) each; None where the wholes are nothing. most: see
    `measured`.

    Examples:
        >>> from chestgan_core.metrics.bootstrap import resampling
        >>> found = share(np.array([1, 0, 2]), np.array([1, 1, 2]), resampling(["P1", "P2", "P3"], seed=0))
        >>> found.value
        0.75
    """
    if not wholes.sum():
        return None
    return measured(lambda weights: ratios(weights @ parts, weights @ wholes), patients, most)


def ratios(parts: NDArray[np.float64], wholes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) each -> (B,); NaN where the whole is 0."""
    found: NDArray[np.float64] = np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)
    return found


def _of(
    value: float,
    draws: NDArray[np.float64],
    patients: Resampling,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Measure:
    interval = patients.interval(draws)
    if interval is not None:
        # It is widened for few patients, which may lead beyond what the measure can be.
        interval = (max(interval[0], bounds[0]), min(interval[1], bounds[1]))
    return Measure(value, interval, draws, patients)
