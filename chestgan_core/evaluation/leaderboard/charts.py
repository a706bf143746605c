"""The figures of a leaderboard, as PNG: the images of each experiment beside its KID by every extractor.

In: a Group. Out: PNG bytes, drawn without a display. All images are synthetic: with real ones the page would be as
confidential as the reports.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chestgan_core.evaluation.comparison.charts import DPI, strip, wrapped
from chestgan_core.evaluation.leaderboard.board import Group
from chestgan_core.evaluation.leaderboard.entries import Entry
from chestgan_core.evaluation.leaderboard.tables import gate_of
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.standing import (
    Place,
    is_relative,
    opinions,
    short_name,
    trained_against,
)
from chestgan_core.imaging.figures import DARK_GREY, GREY, ROLE_COLOURS, figure_png, style

# Inches.
RANK, NAMES, STRIP, PANEL, APART, GAP, TOP, BOTTOM = 0.5, 1.7, 3.2, 1.25, 0.18, 0.07, 0.45, 0.35
MAX_PANELS, MAX_ROWS = 3, 12


def group_pngs(group: Group) -> list[bytes]:
    """A row per experiment, at most MAX_ROWS in a figure. Rows of one rank share a grey field."""
    found = group.places
    return [_png(group, found[at : at + MAX_ROWS]) for at in range(0, len(found), MAX_ROWS)]


def _png(group: Group, places: Sequence[Place[Entry]]) -> bytes:
    extractors = group.extractors[:MAX_PANELS]
    strips = [strip(one.report.samples) for one in places]
    high = max(STRIP * one.height / one.width for one in strips)
    inner = len(places) * (high + GAP)
    wide, total = RANK + NAMES + STRIP + len(extractors) * (APART + PANEL) + APART, TOP + inner + BOTTOM
    with style(9):
        figure = Figure(figsize=(wide, total), dpi=DPI)

        def place(left: float, top: float, across: float, down: float) -> Axes:
            """Axes by inches from the upper left corner."""
            return figure.add_axes((left / wide, 1 - (top + down) / total, across / wide, down / total))

        _ranks(place(0, TOP, wide, inner), places, RANK / 2 / wide)
        for at, (one, image) in enumerate(zip(places, strips, strict=True)):
            top = TOP + at * (high + GAP) + GAP / 2
            ax = place(RANK + NAMES, top, STRIP, high)
            ax.imshow(
                np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto"
            )
            ax.set_axis_off()
            middle, left = 1 - (top + high / 2) / total, RANK / wide
            figure.text(
                left, middle + 0.003, wrapped(one.report.name), va="bottom", fontsize=8.5, weight="bold"
            )
            figure.text(left, middle - 0.005, _remark(one.report), va="top", fontsize=7, color=DARK_GREY)
        for at, extractor in enumerate(extractors):
            left = RANK + NAMES + STRIP + APART + at * (PANEL + APART)
            _panel(place(left, TOP, PANEL, inner), places, extractor, first=at == 0)
    return figure_png(figure)


def _ranks(ax: Axes, places: Sequence[Place[Entry]], middle: float) -> None:
    """The rank in front of the rows that have it, which lie on one field."""
    ax.set_xlim(0, 1)
    ax.set_ylim(len(places), 0)
    ax.set_axis_off()
    first = 0
    for number, (rank, members) in enumerate(groupby(places, lambda one: one.rank)):
        last = first + len(list(members))
        if number % 2 == 0:
            ax.axhspan(first, last, color="#f0f2f5", linewidth=0)
        for row in range(first, last):
            ax.text(
                middle, row + 0.5, "-" if rank is None else f"{rank}", ha="center", va="center", fontsize=13,
                color=DARK_GREY if rank is None else "black",
            )  # fmt: skip
        first = last


def _panel(ax: Axes, places: Sequence[Place[Entry]], extractor: str, *, first: bool) -> None:
    """KID x 1000 by an extractor: dots with intervals, hollow for what was refused, and the floors as dashed lines."""
    rows = [opinions(one.report.payload, "KID").get(extractor) for one in places]
    for at, (one, row) in enumerate(zip(places, rows, strict=True)):
        if row is None or row.value is None:
            ax.text(0.02, at + 0.5, "none", transform=ax.get_yaxis_transform(), va="center", fontsize=7.5)
            continue
        _dot(
            ax,
            at + 0.5,
            row,
            one.report,
            relative=is_relative(extractor, trained_against(one.report.payload)),
        )
    floors = {row.floor for row in rows if row is not None and row.floor is not None}
    for floor in sorted(floors)[:: max(1, len(floors) - 1)]:
        ax.axvline(1000 * floor, color=GREY, linestyle="--", linewidth=1, zorder=0)
    ax.set_ylim(len(places), 0)
    ax.set_yticks([])
    ax.patch.set_alpha(0)
    low, high = ax.get_xlim()
    ax.set_xlim(min(0, low), high + 0.12 * (high - low))
    ax.set_title(f"KID x 1000\n{short_name(extractor)}", fontsize=8, weight="bold" if first else "normal")
    ax.locator_params(axis="x", nbins=3)
    ax.xaxis.set_major_formatter(lambda value, _: _short(value))
    ax.tick_params(labelsize=7)
    ax.grid(axis="x", alpha=0.25)


def _dot(ax: Axes, height: float, row: MetricRow, one: Entry, *, relative: bool) -> None:
    value, colour = 1000 * (row.value or 0.0), GREY if relative else ROLE_COLOURS["synthetic"]
    if row.ends:
        ax.plot([1000 * end for end in row.ends], [height] * 2, color=colour, linewidth=1.5, zorder=2)
    filled = colour if one.payload.gate.passed else "white"
    ax.plot(value, height, "o", color=colour, markerfacecolor=filled, markersize=5.5, zorder=3)
    ax.annotate(_short(value), (value, height), (0, 6), textcoords="offset points", ha="center", fontsize=7)


def _short(value: float) -> str:
    """`407`, `140k`: scales differ by extractor."""
    return f"{value:.0f}" if abs(value) < 10_000 else f"{value / 1000:,.0f}k"


def _remark(one: Entry) -> str:
    network = trained_against(one.payload)
    lines = [gate_of(one.payload.gate).partition(":")[0].partition(",")[0], one.day]
    return "\n".join([", ".join(lines), *([f"trained against {network}"] if network else [])])
