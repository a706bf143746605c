"""95 % intervals by bootstrap over patients (Efron 1979): images of one person are no independent evidence.

In: the patient of each image, and sums by patient of what a measure adds up. Out: intervals. Nothing is measured
again: a draw only weights the patients' sums, so that hundreds of draws cost less than a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 500
# Beyond so many, whole patients are drawn in bundles: memory and time stay flat, the interval hardly moves.
MOST_GROUPS = 200

Interval = tuple[float, float]


@dataclass(frozen=True)
class Resampling:
    """of: (N,) int64, the group of each image, 0 to count - 1; a group is one patient or a bundle of whole patients.
    weights: (DRAWS, count) float64, how often each group was drawn. patients: how many there are.
    """

    of: NDArray[np.int64]
    count: int
    patients: int
    weights: NDArray[np.float64]

    @property
    def one_hot(self) -> NDArray[np.float64]:
        """(N, count): 1 where an image is of a group."""
        return np.eye(self.count)[self.of]

    @property
    def sizes(self) -> NDArray[np.float64]:
        """(count,) images of each group."""
        return np.bincount(self.of, minlength=self.count).astype(np.float64)

    def interval(self, values: NDArray[np.float64]) -> Interval | None:
        """The middle 95 % of a measure over the draws. values: (DRAWS,), nan where a draw could not be measured.

        None with one group, which says nothing about others. The draws of G groups vary by too little, by the root of
        (G - 1) / G; they are spread accordingly.
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
        np.add.at(sums, self.of, values.astype(np.float64))
        total = (self.weights @ self.sizes).reshape(-1, *[1] * (values.ndim - 1))
        means: NDArray[np.float64] = np.tensordot(self.weights, sums, axes=1) / total
        return means


def resampling(patients: Sequence[str], seed: int) -> Resampling:
    """Draws with replacement of as many patients as there are. patients: of each image, N keys."""
    names, of = np.unique(np.array(patients), return_inverse=True)
    count = min(len(names), MOST_GROUPS)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    return Resampling(of.astype(np.int64) % count, count, len(names), weights.astype(np.float64))
