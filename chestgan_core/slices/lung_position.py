"""Where a slice lies in the lungs: 0 at their base, 1 at their apex.

In: what the slices of one stack show, and where they are in mm. Out: the extent of the lungs in mm, where the scan
shows both of their ends, and from it the position of each slice. A scan that begins or stops within the lungs does not
say where the end that it lacks would be: positions are unknown then, not measured against the end of the scan.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chestgan_core.imaging.lung_mask import Chest
from chestgan_core.slices.lung_region import find_lung_region
from chestgan_core.slices.recipe import LUNG_FRACTION
from chestgan_core.slices.shards import UNKNOWN_POSITION, SliceRow

# A scan may stop right at a tip. In seven series, slices with less than twice the minimum are the last 3 to 9 mm of it.
TIP_FRACTION = 2 * LUNG_FRACTION
MAX_GAP = (
    0.1  # of the extent, between the last slice with lung and the first without: what an end may be wrong by
)
MIN_EXTENT_MM = 50.0  # lungs of newborns; less is a part of the lungs, or something else


@dataclass(frozen=True, slots=True)
class LungExtent:
    """base_mm, apex_mm: position along the body of the lowest and the highest slice that shows lung, base_mm lower."""

    base_mm: float
    apex_mm: float

    def position(self, position_mm: float) -> float:
        """0 at the base to 1 at the apex; UNKNOWN_POSITION for a slice below or above the lungs.

        Examples:
            >>> extent = LungExtent(base_mm=-300.0, apex_mm=-100.0)
            >>> extent.position(-250.0), extent.position(-90.0)
            (0.25, -1.0)
        """
        if not self.base_mm <= position_mm <= self.apex_mm:
            return UNKNOWN_POSITION
        return (position_mm - self.base_mm) / (self.apex_mm - self.base_mm)


def find_lung_extent(positions_mm: Sequence[float], chests: Sequence[Chest | None]) -> LungExtent | None:
    """The extent of the lungs in a stack, None where an end of them is not seen.

    An end is seen where the scan goes on beyond it, with a slice without lung at most MAX_GAP of the extent away, or
    where the last slice shows no more than a tip of the lungs. How much lung a slice must show to be used is another
    matter: the extent does not depend on the recipe.

    Args:
        positions_mm: Of the readable slices, ascending.
        chests: What each of them shows; None: no body.
    """
    lungs = find_lung_region(chests, LUNG_FRACTION).slices
    if not lungs:
        return None
    extent = LungExtent(positions_mm[lungs.start], positions_mm[lungs.stop - 1])
    height_mm = extent.apex_mm - extent.base_mm
    if height_mm < MIN_EXTENT_MM:
        return None
    for last, beyond in ((lungs.start, lungs.start - 1), (lungs.stop - 1, lungs.stop)):
        chest = chests[last]
        if 0 <= beyond < len(chests):
            seen = abs(positions_mm[beyond] - positions_mm[last]) <= MAX_GAP * height_mm
        else:
            seen = chest is not None and chest.lung_fraction < TIP_FRACTION
        if not seen:
            return None
    return extent


def lung_heights(rows: Iterable[SliceRow]) -> Mapping[tuple[str, str, str], float]:
    """(patient, series_uid, stack) -> mm from the base of the lungs to their apex, derived from the rows of slices.

    Stacks with fewer than two slices of known position are absent.

    Examples:
        >>> def row(position_mm, position):
        ...     return SliceRow("P1", "A", "1.2", f"1.2.{position_mm}", position_mm, 0.3, 5.0, position=position)
        >>> lung_heights([row(-275.0, 0.125), row(-200.0, 0.5), row(-50.0, UNKNOWN_POSITION)])
        {('P1', '1.2', ''): 200.0}
    """
    ends = StackEnds()
    for row in rows:
        ends.add(row)
    return ends.heights()


class StackEnds:
    """The lowest and the highest slice of known position of each stack; what `lung_heights` needs of many rows."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str, str], tuple[tuple[float, float], tuple[float, float]]] = {}

    def add(self, row: SliceRow) -> None:
        """One more slice."""
        if row.has_position:
            here, stack = (row.position, row.position_mm), (row.patient, row.series_uid, row.stack)
            low, high = self._ends.get(stack, (here, here))
            self._ends[stack] = min(low, here), max(high, here)

    def heights(self) -> dict[tuple[str, str, str], float]:
        """As `lung_heights` gives them."""
        return {
            stack: (high_mm - low_mm) / (high - low)
            for stack, ((low, low_mm), (high, high_mm)) in self._ends.items()
            if high > low
        }
