"""The curves of a training: losses, what the discriminator says, and KID where it is validated.

In: rows of the history and validations. Out: PNG, of a training that has ended, or smaller of one that runs.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chestgan_core.imaging.figures import BLUE, GREEN, RED, figure_png, style

Row = Mapping[str, float | None]
Validation = Mapping[str, float]

# A picture that is drawn again and again while a training runs: so many points of a line, and colours.
LIVE_POINTS, LIVE_COLOURS = 300, 24


def curves_png(rows: Sequence[Row], validations: Sequence[Validation], as_probability: bool) -> bytes:
    """Losses, D(x) and D(G(z)), and KID over the training. as_probability: whether D(x) is a probability."""
    with style(10):
        figure = Figure(figsize=(11, 3.4), dpi=110)
        # Fixed, as all titles are one line: layout="constrained" draws everything twice.
        figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.16, wspace=0.16)
        _draw(figure, rows, validations, as_probability)
    return figure_png(figure)


def live_curves_png(rows: Sequence[Row], validations: Sequence[Validation], as_probability: bool) -> bytes:
    """The same of a training that runs: at most 30 KB, however long it has run. rows: at least one."""
    with style(8):
        figure = Figure(figsize=(8.6, 2.3), dpi=90)
        figure.subplots_adjust(left=0.06, right=0.99, top=0.88, bottom=0.2, wspace=0.2)
        _draw(figure, thinned_rows(rows), thinned_rows(validations), as_probability)
    return figure_png(figure, LIVE_COLOURS)


def thinned_rows(rows: Sequence[Mapping[str, float | None]]) -> list[Mapping[str, float | None]]:
    """At most LIVE_POINTS of them, evenly, the last one among them."""
    every = -(-len(rows) // LIVE_POINTS) or 1
    return list(rows[::-1][::every][::-1])


def _draw(figure: Figure, rows: Sequence[Row], validations: Sequence[Row], as_probability: bool) -> None:
    axes: list[Axes] = list(figure.subplots(1, 3 if validations else 2))
    for name, label, colour in (("loss_d", "discriminator", BLUE), ("loss_g", "generator", RED)):
        _line(axes[0], rows, name, label, colour)
    axes[0].set_title("losses")
    for name, label, colour in (
        ("d_real", "D(x), training slices", BLUE),
        ("d_fake", "D(G(z)), generated", RED),
    ):
        _line(axes[1], rows, name, label, colour)
    axes[1].set_title("probability of real, by D" if as_probability else "score, by D")
    if as_probability:
        axes[1].set_ylim(0, 1)
    if validations:
        axes[2].plot(
            [(row["images_seen"] or 0) / 1000 for row in validations],
            [(row["kid"] or 0) * 1000 for row in validations],
            color=GREEN,
            marker="o",
            markersize=3,
            label="held-out patients",
        )
        axes[2].set_title("KID x 1000")
        axes[2].set_ylim(bottom=0)
    for ax in axes:
        ax.set_xlabel("images seen, thousands")
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)


def _line(ax: Axes, rows: Sequence[Row], name: str, label: str, colour: str) -> None:
    ax.plot(
        [(row["images_seen"] or 0) / 1000 for row in rows],
        [row[name] or 0 for row in rows],
        color=colour,
        label=label,
        linewidth=1.5,
        marker="o" if len(rows) < 3 else "",
    )
