"""One row of the bench table: our figure beside the one it is measured against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """ours and theirs in `unit`, the same work on the same machine, interleaved.

    wanted: the least ratio, or with at_most the largest.
    """

    name: str
    ours: float
    theirs: float
    unit: str
    wanted: float
    note: str = ""
    at_most: bool = False

    @property
    def ratio(self) -> float:
        """ours / theirs."""
        return self.ours / self.theirs

    @property
    def reached(self) -> bool:
        """Whether the ratio is what is wanted."""
        return self.ratio <= self.wanted if self.at_most else self.ratio >= self.wanted

    def row(self) -> str:
        """A row of a Markdown table."""
        sign = "at most" if self.at_most else "at least"
        verdict = "reached" if self.reached else "MISSED"
        numbers = (
            f"{self.ours:.4g} | {self.theirs:.4g} | {self.unit} | {self.ratio:.2f} | {sign} {self.wanted:g}"
        )
        return f"| {self.name} | {numbers} | {verdict} | {self.note} |"
