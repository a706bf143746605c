"""Bar charts as places in a drawing: a page draws them as SVG, in its own colours, without a script or a picture.

In: rows of one measure of several experiments. Out: bars, intervals and floor as parts of the width, 0 to 100. The
numbers stand beside the bars as text, so the drawing itself says nothing that the text does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chestgan_core.evaluation.pages.verdict import bare
from chestgan_core.evaluation.scoring.metric_rows import MetricRow

_AIR = 1.04  # the longest bar ends a little before the edge


@dataclass(frozen=True)
class Bar:
    """start, length, low, high: percent of the width; low None without an interval. text: value; interval: its ends."""

    name: str
    text: str
    interval: str
    start: float
    length: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Chart:
    """measure: its name. better: which values are. unit: of all numbers. floor: place of the dashed line, or None.

    floor_text: the floor as text.
    """

    measure: str
    better: str
    unit: str
    bars: tuple[Bar, ...]
    floor: float | None
    floor_text: str


def chart_of(measure: str, named: Sequence[tuple[str, MetricRow | None]]) -> Chart | None:
    """The chart of a measure; None where nobody has a value. named: name of the experiment, and its row."""
    rows = [(name, row) for name, row in named if row is not None]
    values = [row.value for _, row in rows if row.value is not None]
    if not values:
        return None
    first = rows[0][1]
    floors = sorted({row.floor for _, row in rows if row.floor is not None})
    ends = [end for _, row in rows if row.value is not None for end in (row.ends or ())]
    lowest, highest = min(0.0, *values, *floors, *ends), max(0.0, *values, *floors, *ends)
    span = (highest - lowest) * _AIR or 1.0

    def place(value: float) -> float:
        return round(100 * (value - lowest) / span, 2)

    bars = []
    for name, row in rows:
        if row.value is None:
            bars.append(Bar(name, "", "", 0, 0, None, None))
            continue
        start, end = sorted((place(0.0), place(row.value)))
        low, high = (place(row.ends[0]), place(row.ends[1])) if row.ends else (None, None)
        text = bare(row.number(row.value, row.sd))
        bars.append(Bar(name, text, bare(row.interval), start, round(end - start, 2), low, high))
    several = [bare(first.number(floor)) for floor in floors]
    return Chart(
        measure=measure,
        better=first.better,
        unit="x 1000" if first.number(first.value or 0.0).endswith(" x 1000") else "",
        bars=tuple(bars),
        floor=place(floors[-1]) if floors else None,
        floor_text=" to ".join(dict.fromkeys((several[0], several[-1]))) if several else "",
    )


def shares(named: Sequence[tuple[str, float]]) -> Chart:
    """Fractions, 0 to 1, as a chart: importances of parameters."""
    longest = max((value for _, value in named), default=0.0) * _AIR or 1.0
    bars = tuple(
        Bar(name, f"{value:.0%}", "", 0, round(100 * max(value, 0.0) / longest, 2), None, None)
        for name, value in named
    )
    return Chart("", "higher", "", bars, None, "")
