"""The figure of membership attacks: ROC curves by slice and by patient, beside a control and chance, as PNG.

In: the curves of a report. Out: PNG bytes, drawn without a display. Lines differ in style as well as in colour.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chestgan_core.evaluation.scoring.attack_block import (
    CALIBRATED,
    DENSITY,
    DISCRIMINATOR,
    MONTE_CARLO,
    NEAREST,
    Attack,
    AttackResult,
)
from chestgan_core.imaging.figures import (
    BLUE,
    DARK_GREY,
    GREEN,
    GREY,
    LIGHT_BLUE,
    ORANGE,
    PURPLE,
    RED,
    figure_png,
    style,
)

if TYPE_CHECKING:
    from chestgan_core.evaluation.scoring.attack_metrics import AttackCurves
    from chestgan_core.metrics.attacks.telling import Curve

# The left end of the axis: what an attacker finds who must hardly ever be wrong.
LEFT = 0.01
# Of an attack: colour, line.
LOOK: dict[Attack, tuple[str, str]] = {
    NEAREST: (BLUE, "-"),
    CALIBRATED: (RED, "-"),
    MONTE_CARLO: (GREEN, "-."),
    DENSITY: (PURPLE, "--"),
    DISCRIMINATOR: (ORANGE, "-"),
}
IN_PIXELS = (LIGHT_BLUE, "--")
STEPS = 40  # points of a step


def attacks_png(curves: Sequence["AttackCurves"], best: AttackResult) -> bytes:
    """Two panels, by patient and by slice. best: the attack of the headline, whose control is drawn."""
    with style(9.5):
        figure = Figure(figsize=(8.6, 4.6), dpi=150, layout="constrained")
        first, second = figure.subplots(1, 2, sharey=True)
        for one in curves:
            in_pixels = one.result.space == "pixels" and one.result.attack == CALIBRATED and len(curves) > 1
            colour, line = IN_PIXELS if in_pixels else LOOK[one.result.attack]
            thick = 2.2 if one.result == best else 1.3
            for ax, found, label in ((first, one.by_patient, one.result.title), (second, one.by_slice, "")):
                _draw(ax, found.curve, colour, line, thick, label)
            if one.result == best:
                for ax, found, label in (
                    (first, one.control_by_patient, f"control of: {best.title}"),
                    (second, one.control_by_slice, ""),
                ):
                    _draw(ax, found.curve, GREY, (0, (4, 1.5)), 1.8, label)
        for ax, title in ((first, "by patient"), (second, "by slice")):
            places = np.geomspace(LEFT, 1, 200)
            ax.plot(
                places, places, color=DARK_GREY, linestyle=":", linewidth=1.2, label="chance" * (ax is first)
            )
            ax.set_xscale("log")
            ax.set_xlim(LEFT, 1)
            ax.set_ylim(-0.02, 1.02)
            ax.set_xticks([0.01, 0.03, 0.1, 0.3, 1])
            ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.0%}"))
            ax.xaxis.set_minor_formatter(ticker.NullFormatter())
            ax.set_title(title, fontsize=10)
            ax.set_xlabel("others taken for trained on")
            ax.grid(alpha=0.25)
        first.set_ylabel("trained on, and recognized")
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    return figure_png(figure)


def _draw(
    ax: Axes,
    curve: "Curve",
    colour: str,
    line: "str | tuple[int, tuple[float, float]]",
    width: float,
    label: str,
) -> None:
    """A curve from the left end of the axis on: corners before it are drawn there."""
    # A diagonal step is straight where the axis is linear: here it needs points between its ends.
    places = np.arange(len(curve.false_positives))
    fine = np.linspace(0, places[-1], STEPS * places[-1] + 1)
    across, up = (np.interp(fine, places, of) for of in (curve.false_positives, curve.true_positives))
    ax.plot(np.maximum(across, LEFT), up, color=colour, linestyle=line, linewidth=width, label=label or None)
