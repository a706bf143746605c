"""The figures of a study: score and learning curve of each trial, importance of parameters, values.

In: the table of a study. Out: PNG bytes by file name, drawn without a display.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chestgan_core.imaging.figures import BLACK, BLUE, GREEN, GREY, RED, figure_png, style
from chestgan_core.tuning.space import Choice, Parameter
from chestgan_core.tuning.table import StudyTable, TrialRow

HISTORY, LEARNING, IMPORTANCE, PARALLEL = "history.png", "learning.png", "importance.png", "parallel.png"
# From good to poor, each darker than the page.
SHADES = ("#2b1d5e", "#27698d", "#2f9f7f", "#b9b84a", "#d9d3b0")
# Colours of a picture: few, so that it is small enough for Dagster's history to keep them
# (chestgan_assets/metadata.py).
PALETTE = 128
LOG_FROM = 10.0  # ratio of the highest to the lowest score from which the scale is logarithmic


def draw(table: StudyTable) -> dict[str, bytes]:
    """All figures for which there are enough trials; none without any score."""
    scored = [row for row in table.rows if row.lowest_kid is not None]
    if not scored:
        return {}
    drawn = {HISTORY: _history(table, scored), LEARNING: _learning(table, scored)}
    if table.importances:
        drawn[IMPORTANCE] = _importance(table)
    if sum(row.kid is not None for row in table.rows) > 1:
        drawn[PARALLEL] = _parallel(table)
    return drawn


def _history(table: StudyTable, scored: Sequence[TrialRow]) -> bytes:
    figure, ax = _figure(8.6, 4.2)
    complete = [row for row in scored if row.kid is not None]
    pruned = [row for row in scored if row.kid is None]
    silent = [row.number for row in table.rows if row.lowest_kid is None]
    ax.scatter(
        [row.number for row in complete],
        _scores(complete),
        s=34,
        color=BLUE,
        label="completed",
        zorder=3,
    )
    if pruned:
        label = "pruned, its lowest KID"
        ax.scatter([row.number for row in pruned], _scores(pruned), s=34, marker="x", color=GREY, label=label)
    if complete:
        best = np.minimum.accumulate(_scores(complete))
        places = [row.number for row in complete]
        places, best = [*places, max(row.number for row in table.rows)], np.append(best, best[-1])
        ax.step(places, best, where="post", color=BLUE, linewidth=1.4, label="best so far")
    _floor(ax, table)
    _mark(ax, table)
    _scale(ax, _scores(scored).tolist())
    if silent:
        low = ax.get_ylim()[0]
        ax.scatter(silent, [low] * len(silent), marker="|", s=120, color=RED, label="no score", clip_on=False)
    ax.set_xlabel("trial")
    ax.set_ylabel("KID x 1000, held-out patients")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    _legend(ax)
    return figure_png(figure, PALETTE)


def _learning(table: StudyTable, scored: Sequence[TrialRow]) -> bytes:
    figure, ax = _figure(8.6, 4.2)
    values: list[float] = []
    named = {"best trial": table.best, "unchanged experiment": table.initial}
    if table.best is table.initial:
        named.pop("best trial")
    for row in scored:
        values += [1000 * kid for kid in row.validations]
        if row not in named.values():
            colour, marker = (BLUE, ".") if row.kid is not None else (GREY, "x")
            _learning_curve(ax, table, row, color=colour, marker=marker, linewidth=1, markersize=4, alpha=0.5)
    for label, trial in reversed(named.items()):
        colour = GREEN if trial is table.best else RED
        if trial is not None:
            _learning_curve(
                ax,
                table,
                trial,
                color=colour,
                marker="o",
                linewidth=2.2,
                label=f"{label} (trial {trial.number})",
            )
    ax.plot([], [], color=BLUE, alpha=0.5, marker=".", label="other trials")
    if table.pruned:
        ax.plot([], [], color=GREY, marker="x", markersize=4, label="pruned")
    _floor(ax, table)
    _scale(ax, values)
    ax.set_xlabel(f"fraction of a trial's budget ({table.plan.budget})")
    ax.set_ylabel("KID x 1000, held-out patients")
    ax.xaxis.set_major_formatter(ticker.PercentFormatter(1.0))
    _legend(ax)
    return figure_png(figure, PALETTE)


def _learning_curve(ax: Axes, table: StudyTable, row: TrialRow, **style: Any) -> None:
    spent = np.array(row.steps) / table.plan.validations
    ax.plot(spent, [1000 * kid for kid in row.validations], **{"markersize": 4, **style})


def _importance(table: StudyTable) -> bytes:
    ordered = sorted(table.importances.items(), key=lambda item: item[1])
    figure, ax = _figure(7.6, 0.9 + 0.36 * len(ordered))
    bars = ax.barh(
        [_short(path) for path, _ in ordered], [fraction for _, fraction in ordered], color=BLUE, height=0.6
    )
    ax.bar_label(bars, [f"{fraction:.0%}" for _, fraction in ordered], padding=4)
    ax.set_xlim(0, 1.12 * max(fraction for _, fraction in ordered))
    ax.xaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
    ax.set_xlabel("importance: fraction of what puts a trial among the best quarter")
    ax.grid(axis="y", visible=False)
    return figure_png(figure, PALETTE)


def _parallel(table: StudyTable) -> bytes:
    """One axis per parameter, the most important first; one line per completed trial."""
    rows = sorted((row for row in table.rows if row.kid is not None), key=lambda row: -(row.kid or 0.0))
    paths = sorted(table.plan.space.parameters, key=lambda path: -table.importances.get(path, 0.0))
    scales = [_Scale(table.plan.space.parameters[path]) for path in paths]
    figure, ax = _figure(max(7.0, 1.6 * len(paths) + 1.6), 4.8)
    kids = 1000 * np.array([row.kid for row in rows], dtype=np.float64)
    # Outliers would take all the colours, and good trials would look alike.
    highest = float(np.quantile(kids, 0.75)) if len(kids) > 4 else float(kids.max())
    colours = Normalize(float(kids.min()), highest, clip=True)
    shades = LinearSegmentedColormap.from_list("good to poor", SHADES)
    # Else lines through the same choice would overlap.
    spread = np.random.default_rng(0).uniform(-0.5, 0.5, (len(rows), len(paths)))
    for number, (row, kid) in enumerate(zip(rows, kids, strict=True)):
        is_best = row is table.best
        places = [place for place, path in enumerate(paths) if path in row.drawn]
        heights = [
            scales[place].height(row.drawn[paths[place]], float(spread[number, place])) for place in places
        ]
        ax.plot(
            places,
            heights,
            color=RED if is_best else shades(colours(kid)),
            linewidth=2.6 if is_best else 1.3,
            marker="o",
            markersize=5 if is_best else 3,
            zorder=4 if is_best else 2 + number / len(rows),
            label=f"best trial ({row.number})" if is_best else None,
        )
    for place, scale in enumerate(scales):
        ax.axvline(place, color=BLACK, linewidth=0.8, zorder=1)
        for height, label in scale.ticks:
            ax.annotate(
                label,
                (place, height),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                zorder=5,
                bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
    ax.set_xticks(range(len(paths)), [_short(path) for path in paths])
    ax.set_yticks([])
    ax.set_xlim(-0.15, len(paths) - 1 + 0.6)
    ax.set_ylim(-0.06, 1.06)
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False)
    further = "max" if len(kids) > 4 else "neither"
    bar = figure.colorbar(ScalarMappable(colours, shades), ax=ax, pad=0.01, extend=further)
    bar.set_label("KID x 1000")
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure_png(figure, PALETTE)


class _Scale:
    """Where a value lies on its axis, from 0 at the bottom to 1."""

    def __init__(self, parameter: Parameter) -> None:
        self._names = list(parameter.choices) if isinstance(parameter, Choice) else []
        if isinstance(parameter, Choice):
            self.ticks = [(self.height(name, 0.0), name) for name in self._names]
            return
        self._log = parameter.log
        self._low, self._high = self._place(parameter.low), self._place(parameter.high)
        digits = 2 if self._log else 3
        points = np.linspace(self._low, self._high, 5)
        shown = [float(np.exp(point)) if self._log else float(point) for point in points]
        self.ticks = [
            ((p - self._low) / (self._high - self._low), f"{v:.{digits}g}")
            for p, v in zip(points, shown, strict=True)
        ]
        if all(value >= 10 for value in shown):
            self.ticks = [
                (height, f"{value:.0f}") for (height, _), value in zip(self.ticks, shown, strict=True)
            ]

    def height(self, value: float | str, offset: float) -> float:
        if self._names:
            return (self._names.index(str(value)) + 0.5 + 0.4 * offset) / len(self._names)
        return (self._place(float(value)) - self._low) / (self._high - self._low)

    def _place(self, value: float) -> float:
        return float(np.log(value)) if self._log else float(value)


def _scores(rows: Sequence[TrialRow]) -> NDArray[np.float64]:
    return 1000 * np.array([row.lowest_kid for row in rows], dtype=np.float64)


def _floor(ax: Axes, table: StudyTable) -> None:
    image_kind = table.plan.data.image_kind
    ax.axhline(
        1000 * table.floor.kid,
        color=BLACK,
        linestyle="--",
        linewidth=1,
        label=f"{image_kind} against {image_kind}",
    )


def _mark(ax: Axes, table: StudyTable) -> None:
    best, initial = table.best, table.initial
    marks = [(initial, RED, "unchanged experiment")]
    if best is not None:
        named = "best trial: the unchanged experiment" if best is initial else f"best trial ({best.number})"
        marks = [*(marks if best is not initial else []), (best, GREEN, named)]
    for row, colour, label in marks:
        if row is not None and row.lowest_kid is not None:
            style: dict[str, Any] = {"s": 120, "facecolors": "none", "linewidths": 2, "zorder": 4}
            ax.scatter([row.number], [1000 * row.lowest_kid], edgecolors=colour, label=label, **style)


def _scale(ax: Axes, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    if low > 0 and high > LOG_FROM * low:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(ticker.LogLocator(10, subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())
    else:
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))


def _legend(ax: Axes) -> None:
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _short(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    with style(10.5):
        figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
        ax = figure.subplots()
    ax.grid(alpha=0.25)
    return figure, ax
