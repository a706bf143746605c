"""One row of the bench table: our figure, and the baseline it is compared with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """ours and theirs in `unit`, the same work on the same machine, interleaved.

    target: the minimum of the ratio, with at_most the maximum.
    """

    name: str
    ours: float
    theirs: float
    unit: str
    target: float
    note: str = ""
    at_most: bool = False

    @property
    def ratio(self) -> float:
        """ours / theirs."""
        return self.ours / self.theirs

    @property
    def reached(self) -> bool:
        """Whether the ratio meets its target."""
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def row(self) -> str:
        """A row of a Markdown table."""
        sign = "at most" if self.at_most else "at least"
        verdict = "reached" if self.reached else "MISSED"
        numbers = (
            f"{self.ours:.4g} | {self.theirs:.4g} | {self.unit} | {self.ratio:.2f} | {sign} {self.target:g}"
        )
        return f"| {self.name} | {numbers} | {verdict} | {self.note} |"
