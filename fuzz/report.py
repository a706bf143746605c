"""Counts of verdicts as a table, and violations with how to repeat them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

from chestgan_core.escaping import escaped
from fuzz.kind import ACCEPTED, LEFT_OUT, REFUSED
from fuzz.runner import Verdict

_SHOWN = 5  # seeds of one problem


@dataclass
class Tally:
    """The verdicts of one kind."""

    kind: str
    counts: Counter[str] = field(default_factory=Counter)
    found: dict[str, list[Verdict]] = field(default_factory=dict)
    slowest: float = 0.0
    memory: int = 0

    HEAD: ClassVar[str] = (
        "| input | tried | used whole | parts left out | refused | violations | slowest | most memory |\n"
        + 8 * "|---"
        + "|"
    )

    def add(self, verdict: Verdict) -> None:
        """Count one input."""
        self.counts[verdict.result] += 1
        self.slowest = max(self.slowest, verdict.seconds)
        self.memory = max(self.memory, verdict.memory)
        if verdict.problem:
            self.found.setdefault(verdict.problem, []).append(verdict)

    def row(self) -> str:
        """One row of the table."""
        counts = [self.counts[result] for result in (ACCEPTED, LEFT_OUT, REFUSED)]
        broken = sum(map(len, self.found.values()))
        numbers = [f"{number:,}" for number in (sum(counts), *counts, broken)]
        return f"| {' | '.join([self.kind, *numbers, f'{self.slowest:.1f} s', f'{self.memory >> 20} MiB'])} |"

    def violations(self) -> str:
        """Each kind of violation, most frequent first, with its seeds and the traceback of one; empty without any."""
        blocks = []
        for problem, verdicts in sorted(self.found.items(), key=lambda item: -len(item[1])):
            seeds = ", ".join(str(one.seed) for one in verdicts[:_SHOWN])
            more = f" and {len(verdicts) - _SHOWN} more" if len(verdicts) > _SHOWN else ""
            first = verdicts[0]
            lines = [
                f"{self.kind}: {escaped(problem)}: seed {seeds}{more}",
                f"  python -m fuzz --kind {self.kind} --seed {first.seed} --count 1 --keep FOLDER",
                *(f"    {escaped(line)}" for line in first.details.splitlines()[-25:]),
            ]
            blocks.append("\n".join(lines))
        return "\n".join(blocks)
