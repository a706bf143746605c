"""The charts of a result, as PNG: verdicts, readers, ROC curves, ratings, the course of a sitting.

In: a StudyResult. Out: PNG bytes by file name, drawn without a display; what a result does not have has no chart. The
numbers of each are in a table beside it.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from chestgan_core.imaging.figures import (
    BLACK,
    BLUE,
    DARK_GREY,
    GREY,
    LIGHT_BLUE,
    ROLE_COLOURS,
    figure_png,
    style,
)
from chestgan_core.reading.analysis.result import Confusion, Roc, StudyResult
from chestgan_core.reading.pages.chart_names import CONFUSION, DRIFT, RATINGS, READERS, ROC

DPI = 150
MAX_READERS = 40  # in the chart; the table has all


def draw_charts(result: StudyResult) -> dict[str, bytes]:
    """By file name, in the order of the page."""
    charts = {}
    if result.confusion.accuracy.total:
        charts[CONFUSION] = _confusion(result.confusion)
        charts[READERS] = _readers(result.confusion_by_reader)
    if result.roc is not None:
        charts[ROC] = _roc(result.roc)
    if sum(result.ratings.real.counts) + sum(result.ratings.synthetic.counts):
        charts[RATINGS] = _ratings(result)
    if result.answers:
        charts[DRIFT] = _drift(result)
    return charts


def _confusion(found: Confusion) -> bytes:
    """Rows are the truth, columns the verdict; shade and percentage are shares of the row."""
    counts = np.array(
        [
            [found.synthetic_called_synthetic, found.synthetic_called_real],
            [found.real_called_synthetic, found.real_called_real],
        ]
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with style(11):
        figure = Figure(figsize=(4.6, 3.8), dpi=DPI, layout="constrained")
        ax = figure.subplots()
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(2):
            for column in range(2):
                colour = "white" if shares[row, column] > 0.6 else BLACK
                text = f"{counts[row, column]:,}\n{shares[row, column]:.0%}"
                ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=13)
        ax.set_xticks([0, 1], ["synthetic", "real"])
        ax.set_yticks([0, 1], ["synthetic", "real"])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("called")
        ax.set_ylabel("is")
    return figure_png(figure)


def _readers(found: tuple[Confusion, ...]) -> bytes:
    """Accuracy of each reader, in the order of the table."""
    shown = found[:MAX_READERS]
    with style(10):
        figure = Figure(figsize=(5.2, 1.1 + 0.28 * max(len(shown), 4)), dpi=DPI, layout="constrained")
        ax = figure.subplots()
        for at, one in enumerate(shown):
            ends = one.accuracy.interval
            if one.accuracy.value is None or ends is None:
                continue
            ax.plot([ends.low, ends.high], [at, at], color=BLUE, linewidth=1.5)
            ax.plot(one.accuracy.value, at, "o", color=BLUE, markersize=6)
        ax.axvline(0.5, color=DARK_GREY, linestyle="--", linewidth=1)
        ax.text(0.5, -0.75, "chance", ha="center", va="bottom", fontsize=8.5, color=DARK_GREY)
        ax.set_yticks(range(len(shown)), [one.label for one in shown])
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xlabel("right verdicts, 95% interval")
        ax.grid(alpha=0.25, axis="x")
    return figure_png(figure)


def _roc(roc: Roc) -> bytes:
    """A thin line per reader, a thick one for the mean with its band."""
    with style(11):
        figure = Figure(figsize=(4.8, 4.8), dpi=DPI, layout="constrained")
        ax = figure.subplots()
        ax.plot([0, 1], [0, 1], "--", color=DARK_GREY, linewidth=1, label="chance")
        for one in roc.curves:
            label = "readers" if one is roc.curves[0] else None
            ax.plot(*np.array(one.corners).T, color=GREY, linewidth=0.9, alpha=0.8, label=label)
        mean = roc.mean_curve
        if mean.low:
            ax.fill_between(
                mean.false_fractions,
                mean.low,
                mean.high,
                color=LIGHT_BLUE,
                alpha=0.35,
                linewidth=0,
                label="95% band",
            )
        if roc.readers > 1:
            ax.plot(mean.false_fractions, mean.true_fractions, color=BLUE, linewidth=2.2, label="mean")
        ax.set_aspect("equal")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.005)
        ax.set_xlabel("real images called synthetic")
        ax.set_ylabel("synthetic images called synthetic")
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, loc="lower right", fontsize=9.5)
    return figure_png(figure)


def _ratings(result: StudyResult) -> bytes:
    """Shares, as the sides may have different numbers of answers."""
    with style(11):
        figure = Figure(figsize=(5.6, 3.8), dpi=DPI, layout="constrained")
        ax = figure.subplots()
        for shift, side in ((-0.2, result.ratings.real), (0.2, result.ratings.synthetic)):
            total = sum(side.counts)
            label = f"{side.truth} ({total:,} ratings)"
            places = np.arange(1, 11) + shift
            ax.bar(
                places,
                np.array(side.counts) / max(total, 1),
                0.4,
                color=ROLE_COLOURS[side.truth],
                label=label,
            )
        ax.set_xticks(range(1, 11))
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.locator_params(axis="y", nbins=5)
        ax.set_xlabel("rating: 1 looks synthetic, 10 looks real")
        ax.set_ylabel("share of the ratings")
        figure.legend(frameon=False, loc="outside upper center", ncols=2)
        ax.set_axisbelow(True)
        ax.grid(alpha=0.25, axis="y")
    return figure_png(figure)


def _drift(result: StudyResult) -> bytes:
    """By quarter of each reader's order: right verdicts, ratings, seconds."""
    quarters = result.drift.quarters
    places = [one.quarter for one in quarters]
    asked = result.confusion.accuracy.total > 0
    with style(10):
        figure = Figure(figsize=(8.4 if asked else 5.8, 2.9), dpi=DPI, layout="constrained")
        axes: list[Axes] = list(figure.subplots(1, 3 if asked else 2))
        if asked:
            ax = axes.pop(0)
            known = [one for one in quarters if one.accuracy.interval is not None]
            for one in known:
                ends = one.accuracy.interval
                if ends is not None:
                    ax.plot([one.quarter] * 2, [ends.low, ends.high], color=BLUE, linewidth=1.2)
            ax.plot(
                [one.quarter for one in known], [one.accuracy.value or 0 for one in known], "o-", color=BLUE
            )
            ax.axhline(0.5, color=DARK_GREY, linestyle="--", linewidth=1)
            ax.set_ylim(0, 1)
            ax.yaxis.set_major_formatter(PercentFormatter(1))
            ax.set_title("right verdicts", fontsize=10)
        for values, role in (
            ([one.rating_real for one in quarters], "real"),
            ([one.rating_synthetic for one in quarters], "synthetic"),
        ):
            axes[0].plot(places, _gaps(values), "o-", color=ROLE_COLOURS[role], label=role)
        axes[0].set_ylim(0.7, 10.3)
        axes[0].set_title("mean rating, 1 to 10", fontsize=10)
        axes[0].legend(frameon=False, fontsize=8.5)
        axes[1].plot(places, _gaps([one.seconds for one in quarters]), "o-", color=BLUE)
        axes[1].set_ylim(0, 1.12 * max(one.seconds or 0 for one in quarters) or 1)
        axes[1].set_title("median seconds per image", fontsize=10)
        for ax in figure.axes:
            ax.set_xticks(places)
            ax.set_xlim(0.7, 4.3)
            ax.set_xlabel("quarter of the order")
            ax.grid(alpha=0.25)
    return figure_png(figure)


def _gaps(values: list[float | None]) -> list[float]:
    """A line is broken where there is no value."""
    return [np.nan if value is None else value for value in values]
