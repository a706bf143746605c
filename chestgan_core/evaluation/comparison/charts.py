"""The figures of a comparison, as PNG: samples of each experiment beside its measures, and curves.

In: a Comparison. Out: PNG bytes, drawn without a display.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from chestgan_core.evaluation.comparison.comparison import ComparedExperiment, Comparison
from chestgan_core.evaluation.pages.figures import COLUMNS, GAP
from chestgan_core.evaluation.scoring.provenance import duration
from chestgan_core.imaging.figures import BLACK, DARK_GREY, GREY, LINES, ROLE_COLOURS, figure_png, style

BARS = ("KID", "FID", "coverage")
# Inches.
NAMES, STRIP, BAR, APART, LINE_GAP, TOP, BOTTOM = 1.5, 3.9, 1.05, 0.2, 0.05, 0.45, 0.32
DPI = 170
PANEL, PANELS_PER_ROW = (2.75, 2.3), 4


def samples_png(comparison: Comparison) -> bytes:
    """A row of images per experiment; where numbers are comparable, with real images above them, and KID, FID and
    coverage as bars in the same row, with their intervals and the floor as a dashed line.
    """
    found = comparison.experiments
    measures = (
        [] if comparison.reasons else [name for name in BARS if any(_measured(one, name) for one in found)]
    )
    # Experiments that are not comparable have no real side in common.
    real = [] if comparison.reasons else [found[0].real]
    strips = [strip(grid) for grid in (*real, *(one.synthetic for one in found))]
    high = STRIP * strips[0].height / strips[0].width
    above = TOP if measures else BOTTOM / 4
    below = BOTTOM if measures else BOTTOM / 4
    inner = len(strips) * (high + LINE_GAP) - LINE_GAP
    total = above + inner + below
    wide = NAMES + STRIP + len(measures) * (APART + BAR) + APART
    with style(9):
        figure = Figure(figsize=(wide, total), dpi=DPI)

        def place(left: float, top: float, across: float, down: float) -> Axes:
            """Axes by inches from the upper left corner."""
            return figure.add_axes((left / wide, 1 - (top + down) / total, across / wide, down / total))

        tops = [above + at * (high + LINE_GAP) for at in range(len(strips))]
        labels = [(f"{comparison.image_kind}, held-out", "patients")] * len(real)
        labels += [(one.name, _training(one)) for one in found]
        for line, top, (name, remark) in zip(strips, tops, labels, strict=True):
            ax = place(NAMES, top, STRIP, high)
            ax.imshow(np.asarray(line), cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
            ax.set_axis_off()
            middle = 1 - (top + high / 2) / total
            figure.text(0.01, middle + 0.002, wrapped(name), va="bottom", fontsize=9, weight="bold")
            figure.text(0.01, middle - 0.004, remark, va="top", fontsize=7.5, color=DARK_GREY)
        for at, name in enumerate(measures):
            left = NAMES + STRIP + APART + at * (BAR + APART)
            centres = [(top - above + high / 2) / inner for top in tops]
            _bars(place(left, above, BAR, inner), comparison, name, centres, high / inner * 0.5)
    return figure_png(figure)


def curves_png(comparison: Comparison) -> bytes:
    """The losses of each run in its own panel, as different losses have no common scale; then, in one panel, the KID of
    all runs with validation, where numbers are comparable.
    """
    found = comparison.experiments
    validated = [one for one in found if one.validations and not comparison.reasons]
    count = len(found) + bool(validated)
    places = count + bool(validated)  # one place for the legend
    across = min(places, PANELS_PER_ROW + (places % PANELS_PER_ROW == 1))
    down = -(-places // across)
    with style(9):
        figure = Figure(figsize=(PANEL[0] * across, PANEL[1] * down), dpi=130, layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).flatten().tolist()
        for ax, one in zip(axes, found, strict=False):
            seen = [(row["images_seen"] or 0) / 1000 for row in one.history]
            for name, label, colour in (
                ("loss_d", "discriminator", LINES[0]),
                ("loss_g", "generator", LINES[1]),
            ):
                ax.plot(
                    seen, [row[name] or 0 for row in one.history], color=colour, label=label, linewidth=1.2
                )
            ax.set_title(one.name, fontsize=9)
        axes[0].legend(frameon=False, fontsize=7.5)
        if validated:
            ax = axes[len(found)]
            for at, one in enumerate(validated):
                ax.plot(
                    [validation["images_seen"] / 1000 for validation in one.validations],
                    [validation["kid"] * 1000 for validation in one.validations],
                    color=LINES[at % len(LINES)], linestyle="-" if at < len(LINES) else "--", linewidth=1.2,
                    marker="o", markersize=2.5, label=one.name,
                )  # fmt: skip
            ax.set_title("KID x 1000 at validations", fontsize=9)
            ax.set_ylim(bottom=0)
            axes[count].legend(handles=ax.lines, frameon=False, fontsize=7.5, loc="upper left")
        for ax in axes[:count]:
            ax.set_xlabel("images seen, thousands", fontsize=8)
            ax.grid(alpha=0.25)
        for ax in axes[count:]:
            ax.set_axis_off()
    return figure_png(figure)


def _bars(ax: Axes, comparison: Comparison, measure: str, centres: Sequence[float], thick: float) -> None:
    """The floor beside the real images, then one bar per experiment."""
    found = comparison.experiments
    rows = [row for one in found if (row := one.row(measure))]
    scale = {"KID": 1000.0, "coverage": 100.0}.get(measure, 1.0)
    floors = comparison.floors(measure)
    largest = max([abs(row.value or 0) for row in rows] + floors + [1e-9]) * scale
    if floors:
        low, high = floors[0] * scale, floors[-1] * scale
        ax.barh(centres[0], high, thick, color=GREY)
        ax.axvline(high, color=GREY, linestyle="--", linewidth=1)
        label = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        ax.text(max(high, 0) + 0.04 * largest, centres[0], label, va="center", fontsize=8, color=DARK_GREY)
    for one, centre in zip(found, centres[1:], strict=True):
        row = one.row(measure)
        if row is None or row.value is None:
            ax.text(0, centre, " none", va="center", fontsize=8)
            continue
        value = row.value * scale
        low, high = (scale * end for end in row.ends or (row.value, row.value))
        ax.barh(centre, value, thick, color=ROLE_COLOURS["synthetic"])
        if high > low:
            ax.plot([low, high], [centre, centre], color=BLACK, linewidth=1.2, solid_capstyle="butt")
        ax.text(max(value, high, 0) + 0.04 * largest, centre, _shown(value), va="center", fontsize=8)
    unit = {"KID": " x 1000", "coverage": ", %"}.get(measure, "")
    better = rows[0].better if rows else ""
    ax.set_title(f"{measure}{unit}\n{better} is better", fontsize=9)
    ax.set_ylim(1, 0)
    ax.set_xlim(min(0, *(scale * (row.value or 0) for row in rows)), 1.35 * largest)
    ax.set_yticks([])
    ax.locator_params(axis="x", nbins=3)
    ax.tick_params(labelsize=7.5)


def _measured(one: ComparedExperiment, measure: str) -> bool:
    row = one.row(measure)
    return row is not None and row.value is not None


def strip(grid: bytes) -> Image.Image:
    """The first row of a plain grid; large images are averaged down, or the figure would drop pixels."""
    image = Image.open(BytesIO(grid)).convert("L")
    side = (image.width - (COLUMNS - 1) * GAP) // COLUMNS
    line = image.crop((0, 0, image.width, side))
    return line.reduce(max(1, line.width // int(STRIP * DPI)))


def _training(one: ComparedExperiment) -> str:
    run = one.payload.run
    return f"{run.images_seen:,} images seen\n{duration(run.seconds)} on {run.device}"


def wrapped(name: str, width: int = 20) -> str:
    """A name in lines of at most `width` characters, broken at a dash where there is one."""
    if len(name) <= width:
        return name
    at = name.rfind("-", 0, width) + 1 or width
    return f"{name[:at]}\n{wrapped(name[at:], width)}"


def _shown(value: float) -> str:
    """Three digits without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
