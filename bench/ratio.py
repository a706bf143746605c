"""One row of the bench table: our rate beside the rate of what it is measured against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """ours and theirs in `unit`, the same work on the same machine, interleaved; wanted: the least ratio."""

    name: str
    ours: float
    theirs: float
    unit: str
    wanted: float
    note: str = ""

    @property
    def ratio(self) -> float:
        """ours / theirs; more is better where the unit is a rate."""
        return self.ours / self.theirs
