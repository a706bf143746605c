"""The picture of a month, as PNG: the newest images of each experiment, with KID before and now.

In: a Month. Out: PNG bytes, drawn without a display; empty for a month without reports.
"""

import numpy as np
from matplotlib.figure import Figure

from chestgan_core.evaluation.comparison.charts import DPI, strip, wrapped
from chestgan_core.evaluation.monthly.month import Month
from chestgan_core.imaging.figures import DARK_GREY, ROLE_COLOURS, figure_png, style

# Inches. Experiments beyond MAX_EXPERIMENTS are in the tables only: the picture must fit the first page.
NAMES, STRIP, DOTS, APART, GAP, TOP, BOTTOM = 1.7, 3.9, 2.2, 0.3, 0.08, 0.35, 0.4
MAX_EXPERIMENTS = 10


def month_png(month: Month) -> bytes:
    """A row per experiment."""
    shown = month.reports[:MAX_EXPERIMENTS]
    if not shown:
        return b""
    strips = [strip(one.samples) for one in shown]
    high = max(STRIP * one.height / one.width for one in strips)
    inner = len(shown) * (high + GAP) - GAP
    wide, total = NAMES + STRIP + APART + DOTS + APART, TOP + inner + BOTTOM
    with style(9):
        figure = Figure(figsize=(wide, total), dpi=DPI)
        dots = figure.add_axes(((NAMES + STRIP + APART) / wide, BOTTOM / total, DOTS / wide, inner / total))
        for at, (one, image) in enumerate(zip(shown, strips, strict=True)):
            top = TOP + at * (high + GAP)
            ax = figure.add_axes((NAMES / wide, 1 - (top + high) / total, STRIP / wide, high / total))
            ax.imshow(
                np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto"
            )
            ax.set_axis_off()
            middle = 1 - (top + high / 2) / total
            figure.text(0.01, middle + 0.01, wrapped(one.report.name), va="bottom", fontsize=9, weight="bold")
            figure.text(0.01, middle - 0.01, one.day, va="top", fontsize=7.5, color=DARK_GREY)
            centre = (top - TOP + high / 2) / inner
            now, then = (
                one.report.row("KID"),
                one.before.row("KID") if one.before and not one.reasons else None,
            )
            half = high / inner / 2
            if now and now.floor is not None:
                dots.plot(
                    [1000 * now.floor] * 2, [centre - half, centre + half], "--", color=DARK_GREY, linewidth=1
                )
            if now and then and now.value is not None and then.value is not None:
                dots.plot(
                    [1000 * then.value, 1000 * now.value],
                    [centre] * 2,
                    color=ROLE_COLOURS["other"],
                    linewidth=1,
                )
                dots.plot(1000 * then.value, centre, "o", color=ROLE_COLOURS["other"], markersize=5)
            if now and now.value is not None:
                dots.plot(1000 * now.value, centre, "o", color=ROLE_COLOURS["synthetic"], markersize=6)
                dots.annotate(
                    f"{1000 * now.value:.0f}", (1000 * now.value, centre), (0, 7), textcoords="offset points",
                    ha="center", fontsize=8,
                )  # fmt: skip
        dots.set_ylim(1, 0)
        dots.set_yticks([])
        dots.set_xlim(left=min(0, dots.get_xlim()[0]))
        dots.set_title("KID x 1000: before, now", fontsize=9)
        dots.tick_params(labelsize=7.5)
        dots.grid(axis="x", alpha=0.25)
    return figure_png(figure)
