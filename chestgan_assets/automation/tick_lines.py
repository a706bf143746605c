"""The text of a sensor's tick: what matters first, a line each, and the rest as a count.

In: sentences about experiments, patients or datasets. Out: a few lines. Dagster joins the lines on the page of a tick:
each of several begins with a dot.
"""

from collections.abc import Mapping, Sequence

MAX_LINES = 12


def lines(sentences: Sequence[str]) -> str:
    """The sentences, a line each; beyond MAX_LINES only their number."""
    return _dotted(_first(sentences, "more"))


def grouped(reasons: Mapping[str, str], unremarkable: Sequence[str] = (), kind: str = "experiments") -> str:
    """`name: reason` for each name; names with an unremarkable reason are only counted, after all others.

    unremarkable: reasons that need no attention, such as that nothing was trained yet.
    """
    remarkable = [f"{name}: {reason}" for name, reason in reasons.items() if reason not in unremarkable]
    counted = [
        f"{number} {kind if number > 1 else kind.removesuffix('s')}: {reason}"
        for reason in unremarkable
        if (number := sum(said == reason for said in reasons.values()))
    ]
    return _dotted([*_first(remarkable, f"more {kind}"), *counted])


def _first(sentences: Sequence[str], kind: str) -> list[str]:
    hidden = len(sentences) - MAX_LINES
    return [*sentences[:MAX_LINES], *([f"and {hidden} {kind}"] if hidden > 0 else [])]


def _dotted(sentences: Sequence[str]) -> str:
    return "\n".join(f"• {line}" for line in sentences) if len(sentences) > 1 else "".join(sentences)
