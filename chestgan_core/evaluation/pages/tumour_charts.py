"""The figures about tumours: where they were asked for and what the detector finds, pairs, FROC and the curve of few
patients, as PNG.

In: pictures and block of a report. Out: PNG bytes, drawn without a display. What matters is told by more than colour:
line styles, markers, letters.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.scoring.tumour_block import (
    ALL,
    AUGMENTED,
    BOTH,
    REAL,
    SYNTHETIC,
    Estimate,
    Source,
    TumourBlock,
)
from chestgan_core.imaging.figures import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, figure_png, style
from chestgan_core.imaging.pictures import image_grid, to_grey

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.evaluation.scoring.subject_metrics import SubjectPictures
    from chestgan_core.evaluation.scoring.tumour_sides import Pairs
    from chestgan_core.evaluation.scoring.tumours import Examples, TumourPictures
    from chestgan_core.layouts.layout import Edges

COLUMNS, GAP = 8, 2
# Inches of a picture, and of the words before a row.
CELL, NAMES = 0.95, 1.75
FOUND, MISSED, OTHER = GREEN, RED, ORANGE
# Of what a detector was trained on: colour, marker, line.
LOOK: dict[Source, tuple[str, str, str]] = {
    REAL: (BLUE, "o", "-"),
    SYNTHETIC: (RED, "s", "--"),
    BOTH: (PURPLE, "D", "-"),
    AUGMENTED: (GREEN, "^", "-."),
    ALL: (BLACK, "v", ":"),
}


def examples_png(pictures: "TumourPictures", kind: ImageKind) -> bytes:
    """Rows of images with the boxes that were asked for, and what the detector finds."""
    rows = (
        ("synthetic,\ntumour asked for", pictures.asked),
        ("synthetic,\nnone asked for", pictures.none_asked),
        (f"{kind}, held out,\nannotated", pictures.real),
    )
    shown = [(label, some) for label, some in rows if some is not None]
    figure, axes = _rows(len(shown), legend=True)
    with style(9):
        for ax, (label, some) in zip(axes, shown, strict=True):
            size = _strip(ax, some.images, label)
            for at in range(len(some.images)):
                _marks(ax, some, at, at * (size + GAP))
        legend = [
            (FOUND, "-", "tumour, found"),
            (MISSED, "--", "tumour, missed"),
            (OTHER, ":", "found where no tumour is"),
        ]
        handles = [
            Rectangle((0, 0), 1, 1, fill=False, edgecolor=colour, linestyle=line, linewidth=1.4, label=text)
            for colour, line, text in legend
        ]
        figure.legend(handles=handles, loc="lower left", ncols=3, frameon=False, fontsize=8.5)
    return figure_png(figure)


def pairs_png(pairs: "Pairs") -> bytes:
    """Rows of images with the asked tumour, of the same seeds without it, and of the difference."""
    count = min(COLUMNS, len(pairs.boxes))
    some = [at * len(pairs.boxes) // count for at in range(count)]
    figure, axes = _rows(3, legend=False)
    with style(9):
        size = _strip(axes[0], pairs.shown[some], "with the tumour")
        _strip(axes[1], pairs.without[some], "without")
        change = pairs.shown[some] - pairs.without[some]
        # Grey is no change; what is denser with the tumour is bright. The whole scale is a difference of the window.
        _strip(axes[2], change / 2, "difference\n(grey: none)")
        for ax in axes:
            for at, row in enumerate(some):
                for box in pairs.boxes[row]:
                    _frame(ax, box, at * (size + GAP), FOUND, "-")
    return figure_png(figure)


def subjects_png(subjects: "SubjectPictures", kind: ImageKind) -> bytes:
    """A row of neighbouring slices of one synthetic patient, above one of a held-out one."""
    figure, axes = _rows(1 if subjects.real is None else 2, legend=False)
    with style(9):
        size = _strip(axes[0], subjects.synthetic, "one synthetic\npatient")
        for at, some in enumerate(subjects.boxes):
            for box in some:
                _frame(axes[0], box, at * (size + GAP), FOUND, "-")
        if subjects.real is not None:
            _strip(axes[1], subjects.real, f"one held-out\n{kind} patient")
    return figure_png(figure)


def froc_png(block: TumourBlock) -> bytes:
    """Sensitivity over false positives per image, of the detectors that were trained on all patients."""
    with style(9.5):
        figure = Figure(figsize=(4.6, 4.0), dpi=150, layout="constrained")
        ax = figure.subplots()
        sources = [source for source in LOOK if block.of(source)]
        for at, source in enumerate(sources):
            one = block.of(source)
            if one is None:
                continue
            places = [float(np.log2(point.rate)) + 0.06 * (at - (len(sources) - 1) / 2) for point in one.froc]
            _line(ax, places, [point.found for point in one.froc], source, _named(source, block))
        first = block.learned[0].froc
        ax.set_xticks([np.log2(point.rate) for point in first], [f"{point.rate:g}" for point in first])
        ax.set_xlabel("false positives per image")
        ax.set_ylabel("tumours found")
        ax.set_ylim(-0.03, 1.03)
        _finish(figure, ax)
    return figure_png(figure)


def curve_png(block: TumourBlock) -> bytes:
    """Average precision over the number of real patients."""
    counts = block.patient_counts
    with style(9.5):
        figure = Figure(figsize=(4.6, 4.0), dpi=150, layout="constrained")
        ax = figure.subplots()
        if (alone := block.of(SYNTHETIC)) is not None:
            colour, _, line = LOOK[SYNTHETIC]
            label = f"synthetic, no {block.image_kind} patient"
            ax.axhline(
                alone.average_precision.value, color=colour, linestyle=line, linewidth=1.2, label=label
            )
            low, high = alone.average_precision.low, alone.average_precision.high
            if low is not None and high is not None:
                ax.axhspan(low, high, color=colour, alpha=0.08, linewidth=0)
        for at, source in enumerate((REAL, BOTH, AUGMENTED, ALL)):
            found = [(place, one) for place, n in enumerate(counts) if (one := block.of(source, n))]
            places = [place + 0.07 * (at - 1.5) for place, _ in found]
            _line(ax, places, [one.average_precision for _, one in found], source, _named(source, block))
        ax.set_xticks(range(len(counts)), [f"{n}" for n in counts[:-1]] + [f"all {counts[-1]}"])
        ax.set_xlabel(f"{block.image_kind} patients in the training of the detector")
        ax.set_ylabel("average precision")
        ax.set_ylim(-0.03, 1.03)
        _finish(figure, ax)
    return figure_png(figure)


def _named(source: Source, block: TumourBlock) -> str:
    """A source with the word for images that are not synthetic."""
    return source.replace("real", block.image_kind)


def _line(ax: Axes, places: Sequence[float], found: Sequence[Estimate], source: Source, label: str) -> None:
    colour, marker, line = LOOK[source]
    values = [one.value for one in found]
    ax.plot(
        places, values, color=colour, marker=marker, markersize=5, linestyle=line, linewidth=1.4, label=label
    )
    for place, one in zip(places, found, strict=True):
        if one.low is not None and one.high is not None:
            ax.plot([place, place], [one.low, one.high], color=colour, linewidth=0.9, alpha=0.7)


def _finish(figure: Figure, ax: Axes) -> None:
    ax.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)


def _rows(count: int, legend: bool) -> tuple[Figure, list[Axes]]:
    width, below = NAMES + COLUMNS * CELL, 0.35 if legend else 0.05
    height = count * (CELL + 0.08) + below
    with style(9):
        figure = Figure(figsize=(width, height), dpi=150)
        figure.subplots_adjust(left=NAMES / width, right=0.995, top=0.99, bottom=below / height, hspace=0.06)
        axes = np.atleast_1d(figure.subplots(count))
    return figure, axes.tolist()


def _strip(ax: Axes, images: "Tensor", label: str) -> int:
    """One row as one picture: matplotlib takes 15 ms for each of its axes. Returns the side of an image."""
    size = images.shape[-1]
    cells: NDArray[np.float32] = np.ones((COLUMNS, size, size), np.float32)
    cells[: len(images)] = to_grey(images) / 127.5 - 1
    ax.imshow(
        np.asarray(image_grid(cells, COLUMNS, gap=GAP)),
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6)
    return size


def _marks(ax: Axes, some: "Examples", at: int, left: float) -> None:
    """The boxes of one image, found or missed, and finds that are none."""
    for box, hit in zip(some.boxes[at], some.hit(at), strict=True):
        _frame(ax, box, left, FOUND if hit else MISSED, "-" if hit else "--")
    for one in some.wrong(at):
        _frame(ax, one.box, left, OTHER, ":")


def _frame(ax: Axes, box: "Edges", left: float, colour: str, line: str) -> None:
    """A frame around a box, a pixel away from it: a tumour of four pixels must stay visible."""
    x0, y0, x1, y1 = box
    # Pixel 0 is drawn from -0.5 to 0.5.
    corner = (left + x0 - 1.5, y0 - 1.5)
    ax.add_patch(
        Rectangle(
            corner, x1 - x0 + 2, y1 - y0 + 2, fill=False, edgecolor=colour, linestyle=line, linewidth=1.1
        )
    )
