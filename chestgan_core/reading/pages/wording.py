"""Numbers of a result in the words of its report. What is unknown is `none`, never a number."""

from chestgan_core.reading.analysis.result import Estimate, Proportion

NONE = "none"


def counted(number: int, what: str) -> str:
    """`1 reader`, `3 readers`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def percent(found: Proportion) -> str:
    """`62.9% (58.5 to 67.1)`."""
    if found.value is None or found.interval is None:
        return NONE
    return f"{found.value:.1%} ({100 * found.interval.low:.1f} to {100 * found.interval.high:.1f})"


def percent_of_estimate(found: Estimate | None) -> str:
    """`62.9% (95% 58.5% to 67.1%)`."""
    if found is None:
        return NONE
    return f"{found.value:.1%} ({interval(found, percent=True) or 'without an interval'})"


def interval(found: Estimate, percent: bool = False) -> str:
    """`95% 0.51 to 0.63`, or empty."""
    ends = found.interval
    if ends is None:
        return ""
    return f"95% {ends.low:.1%} to {ends.high:.1%}" if percent else f"95% {ends.low:.2f} to {ends.high:.2f}"


def number(value: float | None) -> str:
    """One decimal, or `none`."""
    return NONE if value is None else f"{value:.1f}"


def signed(value: float | None) -> str:
    """One decimal with its sign, or `none`."""
    return NONE if value is None else f"{value:+.1f}"


def change_of_share(found: Estimate | None) -> str:
    """`+2.1 percentage points (95% interval -1.0 to +5.2)`."""
    return _changed(found, 100, " percentage points")


def change(found: Estimate | None) -> str:
    """Of a rating: `+0.3 (95% interval -0.1 to +0.7)`."""
    return _changed(found, 1, "")


def _changed(found: Estimate | None, scale: int, unit: str) -> str:
    if found is None:
        return "too few answers"
    ends = found.interval
    within = "" if ends is None else f" (95% interval {scale * ends.low:+.1f} to {scale * ends.high:+.1f})"
    return f"{scale * found.value:+.1f}{unit}{within}"
