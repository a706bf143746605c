"""95 % intervals by bootstrap over patients (Efron 1979): images of one person are not independent evidence.

In: the patient of each image, and sums per patient of what a metric averages. Out: intervals. Nothing is measured
again: a draw only weights the sums of the patients, so that hundreds of draws cost less than a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 500
# More patients are drawn in bundles of whole ones: memory and time stay constant, the interval hardly changes.
MAX_GROUPS = 200

Interval = tuple[float, float]


@dataclass(frozen=True)
class Resampling:
    """groups: (N,) int64, the group of each image, 0 to count - 1; a group is a patient or a bundle of whole patients.
    weights: (DRAWS, count) float64, how often each group was drawn. patients: how many there are.
    """

    groups: NDArray[np.int64]
    count: int
    patients: int
    weights: NDArray[np.float64]

    @property
    def one_hot(self) -> NDArray[np.float64]:
        """(N, count): 1 where an image belongs to a group."""
        return np.eye(self.count)[self.groups]

    @property
    def sizes(self) -> NDArray[np.float64]:
        """(count,) images of each group."""
        return np.bincount(self.groups, minlength=self.count).astype(np.float64)

    def interval(self, values: NDArray[np.float64]) -> Interval | None:
        """The central 95 % of a metric over the draws. values: (DRAWS,), NaN where it was not defined for a draw.

        None with one group, which says nothing about others. The draws of G groups vary too little, by the square root
        of (G - 1) / G; the interval is widened accordingly.
        """
        found = values[np.isfinite(values)]
        if self.count < 2 or not len(found):
            return None
        low, high = np.quantile(found, (0.025, 0.975))
        middle, wider = np.median(found), np.sqrt(self.count / (self.count - 1))
        return float(middle - (middle - low) * wider), float(middle + (high - middle) * wider)

    def means(self, values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """(N, ...) of each image -> (DRAWS, ...): the mean over the images of the patients drawn."""
        sums = np.zeros((self.count, *values.shape[1:]))
        np.add.at(sums, self.groups, values.astype(np.float64))
        total = (self.weights @ self.sizes).reshape(-1, *[1] * (values.ndim - 1))
        means: NDArray[np.float64] = np.tensordot(self.weights, sums, axes=1) / total
        return means


def resampling(patients: Sequence[str], seed: int) -> Resampling:
    """Draw as many patients as there are, with replacement, DRAWS times.

    Args:
        patients: The patient of each image, N keys.
        seed: Of the draws.

    Examples:
        >>> drawn = resampling(["P1", "P1", "P2", "P3"], seed=0)
        >>> drawn.patients, drawn.weights.shape
        (3, (500, 3))
        >>> low, high = drawn.interval(drawn.means(np.array([0.2, 0.4, 0.6, 0.9])))
        >>> low < 0.525 < high  # around the mean over the images
        True
    """
    names, groups = np.unique(np.array(patients), return_inverse=True)
    count = min(len(names), MAX_GROUPS)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    return Resampling(groups.astype(np.int64) % count, count, len(names), weights.astype(np.float64))
