"""What one kind of fault did: how often, and what did not hold afterwards.

In: counts and broken promises, one at a time. Out: a row of the table.
"""

from collections import Counter
from dataclasses import dataclass, field

_SHOWN = 5


@dataclass
class Tally:
    """name: the fault. promise: what must hold. left_out: why it could not be tried here, "" if it was."""

    name: str
    promise: str
    seed: int
    tried: int = 0
    faults: int = 0
    confirmed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    left_out: str = ""

    def require(self, holds: bool, what: str) -> None:
        """Note a broken promise. what: with the number of the try, so that the seed finds it again."""
        if not holds:
            self.broken.append(f"try {self.tried} of seed {self.seed}: {what}")

    def row(self) -> str:
        """A row of a Markdown table."""
        verdict = f"left out: {self.left_out}" if self.left_out else "BROKEN" if self.broken else "held"
        refused = sum(self.refused.values())
        return (
            f"| {self.name} | {self.tried} | {self.faults} | {self.confirmed} | {refused} | {len(self.broken)} "
            f"| {self.promise} | {verdict} |"
        )

    def details(self) -> str:
        """The causes of refusals, and the first broken promises."""
        lines = [f"  {count:5} x {cause}" for cause, count in self.refused.most_common(_SHOWN)]
        lines += [f"  BROKEN {line}" for line in self.broken[:_SHOWN]]
        return "\n".join([f"{self.name}:", *lines]) if lines else ""
