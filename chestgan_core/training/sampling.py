"""Which slices a batch is made of: drawn on the device, with replacement, by weights.

In: patients and classes of the slices. Out: weights, and from them indices. A data loader would cost more than it
gives: all slices lie on the device.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from chestgan_core.config.training_plan import Sampling


def weights_of(patients: Sequence[str], classes: Tensor | None, told: Sampling) -> Tensor | None:
    """(N,) float64 that sum to 1; None where all are alike.

    A patient with more than max_slices_per_patient slices weighs as if it had so many. Balanced, the slices of each
    class weigh as much as those of another together.
    """
    slices = Counter(patients)
    most = told.max_slices_per_patient or len(patients)
    weights = torch.tensor([min(1.0, most / slices[patient]) for patient in patients], dtype=torch.float64)
    if told.balance == "classes" and classes is not None:
        of_class = torch.zeros(int(classes.max()) + 1, dtype=torch.float64).index_add_(0, classes, weights)
        weights = weights / of_class[classes]
    weights = weights / weights.sum()
    return None if bool((weights == weights[0]).all()) else weights


class Draw:
    """Draws indices (count,) int64 on one device."""

    def __init__(self, count: int, weights: Tensor | None, device: torch.device) -> None:
        self._count, self._device = count, device
        # float32 is enough to choose among a million, and MPS has no more.
        self._bounds = None if weights is None else weights.cumsum(0).float().to(device)

    def __call__(self, count: int, random: torch.Generator) -> Tensor:
        """As many indices as asked for."""
        if self._bounds is None:
            return torch.randint(self._count, (count,), generator=random, device=self._device)
        places = torch.rand(count, generator=random, device=self._device)
        return torch.searchsorted(self._bounds, places).clamp(max=self._count - 1)
