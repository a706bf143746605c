"""The figure about groups of patients: coverage and nearest distance of each group, with intervals, as PNG.

In: a GroupBlock. Out: PNG bytes, drawn without a display. A group that is worse than the rest has another marker, not
only another colour.
"""

from collections.abc import Callable, Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chestgan_core.evaluation.scoring.group_block import Group, GroupBlock, GroupSide
from chestgan_core.evaluation.scoring.tumour_block import Estimate
from chestgan_core.imaging.figures import BLUE, DARK_GREY, GREY, RED, figure_png, style

# Inches of a line, and of what is around the lines.
LINE, AROUND = 0.2, 1.05
MAX_NAME = 34


def groups_png(block: GroupBlock) -> bytes:
    """A line per group, the kinds one below the other; the last line has a dot for each single patient."""
    lines = list(_lines(block))
    measures: tuple[tuple[str, Callable[[GroupSide], Estimate | None]], ...] = (
        ("coverage: share of images with a synthetic one nearby", lambda side: side.coverage),
        ("nearest synthetic image / nearest other patient", lambda side: side.distance),
    )
    with style(9):
        figure = Figure(figsize=(9.4, AROUND + LINE * len(lines)), dpi=150, layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (title, measure) in zip(axes, measures, strict=True):
            for at, (_, groups, worse) in enumerate(lines):
                _draw(ax, at, groups, measure, worse)
            ax.set_xlabel(title)
            ax.grid(axis="x", alpha=0.25)
            ax.set_xlim(left=0)
        axes[0].set_xlim(-0.03, 1.03)
        axes[0].set_yticks(range(len(lines)), [name for name, _, _ in lines])
        for label, (_, groups, _) in zip(axes[0].get_yticklabels(), lines, strict=True):
            if not groups:
                label.set_fontweight("bold")
        axes[0].set_ylim(len(lines) - 0.5, -0.5)
        handles = [
            axes[1].plot([], [], marker, color=colour, label=label, markersize=4.5)[0]
            for marker, colour, label in (
                ("o", BLUE, "held out"),
                ("s", RED, "held out, worse than the rest"),
                ("|", GREY, "trained on"),
            )
        ]
        figure.legend(handles=handles, loc="outside upper right", ncols=3, frameon=False)
    return figure_png(figure)


def _lines(block: GroupBlock) -> Iterator[tuple[str, tuple[Group, ...], bool]]:
    """Name, groups drawn on the line, whether it is worse; a line without groups is a heading."""
    worse = {(one.kind, one.name) for one in block.worse}
    for grouping in block.groupings:
        yield grouping.kind, (), False
        for group in grouping.groups:
            name = group.name if len(group.name) <= MAX_NAME else f"{group.name[: MAX_NAME - 3]}..."
            yield f"{name}  ({group.held_out.patients})", (group,), (grouping.kind, group.name) in worse
    if block.single:
        yield "single patients", (), False
        yield f"one dot each  ({len(block.single)})", block.single, False


def _draw(
    ax: Axes, at: int, groups: tuple[Group, ...], measure: Callable[[GroupSide], Estimate | None], worse: bool
) -> None:
    for group in groups:
        found = measure(group.held_out)
        if found is None:
            continue
        colour, marker = (RED, "s") if worse else (BLUE, "o")
        if found.low is not None and found.high is not None:
            ax.plot([found.low, found.high], [at, at], color=colour, linewidth=1.4)
        single = len(groups) > 1
        ax.plot(
            [found.value], [at], marker, color=DARK_GREY if single else colour,
            markersize=3.5 if single else 4.5, alpha=0.6 if single else 1,
        )  # fmt: skip
        trained = measure(group.train) if group.train else None
        if trained is not None:
            ax.plot([trained.value], [at], "|", color=GREY, markersize=9, markeredgewidth=1.6)
