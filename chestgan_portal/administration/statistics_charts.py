"""The charts of the statistics as PNG. The same numbers stand beside them in tables.

In: Statistics. Out: PNG bytes, drawn without a display, one chart at a time: matplotlib's style is that of the process.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import date

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chestgan_core.imaging.figures import BLUE, DARK_GREY, figure_png, style
from chestgan_portal.administration.statistics import Statistics

DPI = 144
_MAX_DAYS = 92  # bars; longer periods have one bar per month
_FONT = 9.0  # points
_PALETTE = 64  # colours
_lock = threading.Lock()


def draw(name: str, numbers: Statistics, titles: Mapping[str, str]) -> bytes:
    """The chart `ratings`, `days` or `seconds`. titles: of its axes, in the language of the page: x and y."""
    with _lock, style(_FONT):
        figure = Figure(figsize=(6.0, 2.6), dpi=DPI, layout="constrained")
        ax = figure.add_subplot()
        CHARTS[name](ax, numbers)
        ax.set_xlabel(titles["x"])
        ax.set_ylabel(titles["y"])
        ax.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
        ax.grid(axis="y", linewidth=0.4)
        ax.set_axisbelow(True)
        ax.set_ylim(bottom=0, top=None if numbers.answers else 1)
        return figure_png(figure, _PALETTE)


def _ratings(ax: Axes, numbers: Statistics) -> None:
    counts = numbers.ratings
    ax.bar(list(counts), list(counts.values()), width=0.8, color=BLUE)
    ax.set_xticks(list(counts))
    if (mean := numbers.total.rating) is not None:
        ax.axvline(mean, color=DARK_GREY, linewidth=1, linestyle="--")


def _seconds(ax: Axes, numbers: Statistics) -> None:
    counts = numbers.seconds
    ax.bar(list(counts), list(counts.values()), width=0.9, color=BLUE)


def _days(ax: Axes, numbers: Statistics) -> None:
    counts: dict[date, int] = dict.fromkeys(numbers.period.days, 0)
    for day, of_day in numbers.by_day.items():
        counts[day] = of_day.answers
    labels = [f"{day:%Y-%m-%d}" for day in counts]
    values = list(counts.values())
    if len(counts) > _MAX_DAYS:
        by_month: dict[str, int] = {}
        for day, value in counts.items():
            by_month[f"{day:%Y-%m}"] = by_month.get(f"{day:%Y-%m}", 0) + value
        labels, values = list(by_month), list(by_month.values())
    ax.bar(range(len(values)), values, width=0.8, color=BLUE)
    # Eight labels at most: they must not run into each other.
    at = range(0, len(labels), max(1, -(-len(labels) // 6)))
    ax.set_xticks(list(at), [labels[n] for n in at])


CHARTS: Mapping[str, Callable[[Axes, Statistics], None]] = {
    "ratings": _ratings,
    "days": _days,
    "seconds": _seconds,
}
