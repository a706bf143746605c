"""Which slices of a series show the lungs: one interval, from their base to their apex.

In: what each slice shows (imaging/lung_mask.py), in order along the body. Out: `LungRegion`.

Lungs are one region of the body, so the slices vote together. The interval is the one whose slices exceed the minimum
lung fraction by most in total (the maximum-sum segment, found in one pass: Bentley, Commun ACM 27(9), 1984). A slice in
the middle of the chest belongs to it although consolidation has filled its lungs, because those above and below it
outweigh it. Stool, bowel gas or the mastoid that look like lung do not, because the slices without lung between them
and the lungs cost more than they bring.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chestgan_core.imaging.lung_mask import Chest

DARK_PART = 1 / 4  # of the lungs, from which their tip may look like gas: a half of one lung


@dataclass(frozen=True)
class LungRegion:
    """slices: indices of those that show the lungs; empty where there is no such interval. doubtful: indices, in and
    outside of it, of those that a person should look at.
    """

    slices: range
    doubtful: tuple[int, ...]


def find_lung_region(chests: Sequence[Chest | None], min_fraction: float) -> LungRegion:
    """The interval of slices that show the lungs.

    Args:
        chests: What each slice shows, from the lowest to the highest or the reverse; None: no body, or not readable.
        min_fraction: Area of lung less that of gas, over the body's, from which a slice alone counts as chest; 0:
            every slice does.

    Returns:
        The interval. Doubtful are
        slices in it that show less than twice the minimum, and slices outside of it with half the minimum of what may
        be lung.

    Examples:
        >>> lung = Chest(lung_fraction=0.3, dark_fraction=0, gas_fraction=0, top=0, bottom=9, left=0, right=9)
        >>> bowel = Chest(lung_fraction=0.07, dark_fraction=0, gas_fraction=0.1, top=0, bottom=9, left=0, right=9)
        >>> filled = Chest(lung_fraction=0, dark_fraction=0, gas_fraction=0, top=0, bottom=9, left=0, right=9)
        >>> find_lung_region([bowel, None, lung, filled, filled, lung, None], min_fraction=0.03)
        LungRegion(slices=range(2, 6), doubtful=(0, 3, 4))
    """
    if not min_fraction:
        return LungRegion(range(len(chests)), ())
    shares = [_share(chest) for chest in chests]
    # What a slice without lung costs does not grow with its gas: a pneumothorax may lie between two lung slices.
    interval = _maximum_sum([max(share, 0.0) - min_fraction for share in shares])
    if interval:
        below = _grown(chests, range(interval.start, -1, -1), min_fraction)
        above = _grown(chests, range(interval.stop - 1, len(chests)), min_fraction)
        interval = range(interval.start - below, interval.stop + above)
    doubtful = tuple(
        index
        for index, chest in enumerate(chests)
        if (shares[index] < 2 * min_fraction if index in interval else may_show_lung(chest, min_fraction))
    )
    return LungRegion(interval, doubtful)


def may_show_lung(chest: Chest | None, min_fraction: float) -> bool:
    """Whether a slice may belong to the lungs, or be doubtful, by what it shows itself."""
    return chest is not None and chest.lung_fraction >= min_fraction / 2


def _share(chest: Chest | None) -> float:
    """Area of lung less that of gas, over the body's. Where most air is gas, it is an abdomen or a neck."""
    return 0.0 if chest is None else chest.lung_fraction - chest.gas_fraction


def _grown(chests: Sequence[Chest | None], indices: Sequence[int], min_fraction: float) -> int:
    """How many slices beyond an end of the lungs belong to them. indices: the last slice within, then those beyond.

    Dark lungs (emphysema, a pneumothorax, a phantom of air) look like gas where they end in a tip. So beyond a slice
    with dark lungs, gas counts as lung as long as there is not more of it than in the slice before.
    """
    last = chests[indices[0]]
    if last is None or last.dark_fraction < DARK_PART * last.lung_fraction:
        return 0
    before = last.lung_fraction + last.gas_fraction
    for count, index in enumerate(indices[1:]):
        chest = chests[index]
        air = 0.0 if chest is None else chest.lung_fraction + chest.gas_fraction
        if not min_fraction <= air <= before:
            return count
        before = air
    return len(indices) - 1


def _maximum_sum(gains: Sequence[float]) -> range:
    """The indices of the neighbouring gains with the largest sum; empty where none is positive."""
    best, found = 0.0, range(0)
    total, start = 0.0, 0
    for index, gain in enumerate(gains):
        if total <= 0:
            total, start = 0.0, index
        total += gain
        if total > best:
            best, found = total, range(start, index + 1)
    return found
