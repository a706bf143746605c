"""Which slices a batch is made of: drawn on the device, with replacement, by weights.

In: patients, classes and tumours of the slices. Out: weights, and indices drawn by them. A data loader would cost more
than it gives: all slices are on the device.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from chestgan_core.config.training_plan import Sampling


def sampling_weights(
    patients: Sequence[str], classes: Tensor | None, rules: Sampling, tumours: Tensor | None = None
) -> Tensor | None:
    """(N,) float64 that sum to 1; None where all are equal.

    A patient with more than max_slices_per_patient slices weighs as if it had so many. Balanced, the slices of each
    class together weigh as much as those of any other; and where tumours (N,) bool are given, the slices that show one
    as much as those that do not, within each class.
    """
    slices = Counter(patients)
    cap = rules.max_slices_per_patient or len(patients)
    weights = torch.tensor([min(1.0, cap / slices[patient]) for patient in patients], dtype=torch.float64)
    if rules.balance == "classes" and classes is not None:
        weights = _equal(weights, classes)
    if tumours is not None:
        groups = tumours.long() if classes is None else 2 * classes + tumours
        equal = _equal(weights, groups)
        if (
            classes is not None
        ):  # each class keeps what it weighed, also where all of its slices show a tumour
            equal = _equal(equal, classes) * _sums(weights, classes)[classes]
        weights = equal
    weights = weights / weights.sum()
    return None if bool((weights == weights[0]).all()) else weights


def _equal(weights: Tensor, groups: Tensor) -> Tensor:
    """The weights, scaled so that those of each group (N,) int64 sum to 1."""
    return weights / _sums(weights, groups)[groups]


def _sums(weights: Tensor, groups: Tensor) -> Tensor:
    """(G,) the sum of each group."""
    return torch.zeros(int(groups.max()) + 1, dtype=torch.float64).index_add_(0, groups, weights)


class IndexSampler:
    """Draws indices of slices on one device. weights: (N,) that sum to 1, or None for equal ones."""

    def __init__(self, slices: int, weights: Tensor | None, device: torch.device) -> None:
        self._slices, self._device = slices, device
        # float32 is enough to choose among a million, and MPS has no more.
        self._cumulative = None if weights is None else weights.cumsum(0).float().to(device)

    def __call__(self, count: int, random: torch.Generator) -> Tensor:
        """(count,) int64."""
        if self._cumulative is None:
            return torch.randint(self._slices, (count,), generator=random, device=self._device)
        places = torch.rand(count, generator=random, device=self._device)
        return torch.searchsorted(self._cumulative, places).clamp(max=self._slices - 1)
