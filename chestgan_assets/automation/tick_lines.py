"""The text of a sensor's tick: what matters first, a line each, and the rest as a count.

In: sentences about experiments, patients or datasets. Out: a few lines; the page of a sensor shows about ten of them.
"""

from collections.abc import Mapping, Sequence

MAX_LINES = 12


def lines(sentences: Sequence[str], kind: str = "more") -> str:
    """The sentences, a line each; beyond MAX_LINES only their number. kind: what they are about, "more experiments"."""
    shown = list(sentences[:MAX_LINES])
    if hidden := len(sentences) - len(shown):
        shown.append(f"and {hidden} {kind}")
    return "\n".join(shown)


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
    return "\n".join(filter(None, [lines(remarkable, f"more {kind}"), *counted]))
