"""The curves of a training, as a PNG: losses, what the discriminator says, KID of the looks.

In: rows of the history and looks. Out: PNG bytes, drawn without a display.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that people with a colour deficiency tell apart (Okabe and Ito 2008).
BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"

Row = Mapping[str, float | None]


def curves_png(rows: Sequence[Row], looks: Sequence[Mapping[str, float]], as_probability: bool) -> bytes:
    """rows: of records.py. looks: images_seen and kid. as_probability: whether D(x) is one."""
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 3.4), dpi=110, layout="constrained")
        axes: list[Axes] = list(figure.subplots(1, 3 if looks else 2))
        for name, label, colour in (("loss_d", "discriminator", BLUE), ("loss_g", "generator", RED)):
            _line(axes[0], rows, name, label, colour)
        axes[0].set_title("losses")
        for name, label, colour in (("d_real", "training slices", BLUE), ("d_fake", "generated", RED)):
            _line(axes[1], rows, name, label, colour)
        axes[1].set_title("D says real" if as_probability else "score of D")
        if as_probability:
            axes[1].set_ylim(0, 1)
        if looks:
            axes[2].plot(
                [look["images_seen"] / 1000 for look in looks], [look["kid"] * 1000 for look in looks],
                color=GREEN, marker="o", markersize=3, label="held-out patients",
            )  # fmt: skip
            axes[2].set_title("KID x 1000")
            axes[2].set_ylim(bottom=0)
        for ax in axes:
            ax.set_xlabel("images seen, thousands")
            ax.grid(alpha=0.25)
            ax.legend(frameon=False)
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _line(ax: Axes, rows: Sequence[Row], name: str, label: str, colour: str) -> None:
    ax.plot(
        [(row["images_seen"] or 0) / 1000 for row in rows],
        [row[name] or 0 for row in rows],
        color=colour,
        label=label,
        linewidth=1.5,
        marker="o" if len(rows) < 3 else "",
    )
