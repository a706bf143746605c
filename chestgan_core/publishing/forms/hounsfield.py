"""Levels as whole HU, and back where every level has HU of its own.

In: levels of a set whose window is in HU. Out: int16. A level of 8 bits is several HU, so it comes back exactly; one of
16 bits is a fraction of a HU, and does not.
"""

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput
from chestgan_core.publishing.forms.items import levels_dtype
from chestgan_core.publishing.reader.levels import Levels, hounsfield_of, max_level
from chestgan_core.publishing.reader.manifest import SetFacts


class HounsfieldLevels:
    """The HU of each level of a set. is_exact: whether no two levels have the same."""

    def __init__(self, facts: SetFacts) -> None:
        self._levels: Levels = np.arange(max_level(facts.bits) + 1).astype(levels_dtype(facts.bits))
        self._hounsfield = hounsfield_of(self._levels, facts.window, facts.bits)
        self.is_exact = bool((np.diff(self._hounsfield.astype(np.int32)) > 0).all())

    def hounsfield(self, levels: Levels) -> NDArray[np.int16]:
        """Levels, of any shape, to int16 in HU."""
        found: NDArray[np.int16] = self._hounsfield[levels]
        return found

    def levels(self, hounsfield: NDArray[np.int16]) -> Levels:
        """The inverse, where it is exact. Raises ValueError: HU that no level has."""
        at = np.searchsorted(self._hounsfield, hounsfield).clip(max=len(self._levels) - 1)
        if not np.array_equal(self._hounsfield[at], hounsfield):
            raise ValueError("has HU that no level of its set has")
        found: Levels = self._levels[at]
        return found


def require_hounsfield(facts: SetFacts) -> None:
    """Refuse a set without HU. Raises BadInput."""
    if facts.window.unit != "HU":
        cause = "was made from images without Hounsfield units"
        raise BadInput(facts.name, cause, "use the form npz, or png: they hold grey levels")
    low, high = facts.window.ends
    if not (np.iinfo(np.int16).min <= low and high <= np.iinfo(np.int16).max):
        raise BadInput(facts.name, f"has a window of {facts.window}, beyond int16", "use the form npz")


def require_exact(facts: SetFacts) -> None:
    """Refuse the way back where levels share HU. Raises BadInput."""
    require_hounsfield(facts)
    if not HounsfieldLevels(facts).is_exact:
        step = facts.window_width / max_level(facts.bits)
        cause = (
            f"cannot be converted back from HU: a level is {step:.2g} HU, and whole HU cannot tell them apart"
        )
        raise BadInput(facts.name, cause, "convert from the set, or from the form png, tar or npz")
