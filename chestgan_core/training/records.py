"""What a training leaves for people to look at: the history of its losses, and pictures from fixed seeds.

In: a training state. Out: `history.parquet` (one row every `sample_every_images`, means since the row before),
`looks.parquet` (the KID of each look), `curves.png` (both drawn), `samples.png` (seeds 0 to 63 from the generator
that is kept), `progress.png` (seeds 0 to 7, a line a kept row, the latest at the bottom) and `progress.gif` (seeds 0
to 15 over time). The pictures show what publication makes of the same seeds.
"""

import io
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import matplotlib as mpl
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from chestgan_core.imaging.pictures import image_grid, save_png
from chestgan_core.local.files import replacing
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.ema import calibrate
from chestgan_core.training.generation import generate
from chestgan_core.training.validation import require_variety
from chestgan_core.training.weights import LoadedGenerator

Kept = TypeVar("Kept")

SAMPLES, COLUMNS = 64, 8
SHOWN = 16  # seeds of a kept row
MOST_ROWS = 16
FRAME_MS, LAST_MS = 300, 2000
MEANS = ("loss_d", "penalty", "d_real", "d_fake")
_NUMBER: pa.DataType = pa.float64()
LOOKS = pa.schema({"images_seen": _NUMBER, "seconds": _NUMBER, "kid": _NUMBER})


def tick(state: TrainingState, real_spread: float) -> Tensor:
    """Close a row of the history, and keep its pictures; returns them: (SHOWN, 1, R, R) float32.

    Of the rows, every 1st, 2nd, 4th, ... keeps its pictures, so that there are never more than MOST_ROWS.
    Raises TrainingCollapsed.
    """
    pictures = samples(state, SHOWN)
    row = _row(state)
    state.history.append(row)
    row["spread"] = require_variety(state, pictures, real_spread)
    state.totals_d.zero_()
    state.total_g.zero_()
    state.steps = 0
    number = len(state.history)
    if number % thinning(number, MOST_ROWS) == 0:
        state.rows[number] = pictures.half()
    state.rows = thinned(state.rows, number, MOST_ROWS)
    return pictures


def keep_generator(state: TrainingState) -> None:
    """Keep the averaged generator of this moment, and of earlier ones every 1st, 2nd, 4th, ... as the plan wants."""
    most, number = state.experiment.training.snapshots, len(state.history)
    if most and number % thinning(number, most) == 0:
        calibrate(state.average, state.experiment)
        state.snapshots[number] = state.averaged()
        state.snapshots = thinned(state.snapshots, number, most)


def thinning(number: int, most: int) -> int:
    """The power of 2 that leaves at most `most` of the numbers 1 to `number`."""
    every = 1
    while number // every > most:
        every *= 2
    return every


def thinned(kept: dict[int, Kept], number: int, most: int) -> dict[int, Kept]:
    """Those of numbered things that stay when `number` of them were seen."""
    every = thinning(number, most)
    return {place: thing for place, thing in kept.items() if place % every == 0}


def write_records(state: TrainingState, out: Path, final: Tensor) -> dict[str, float | None]:
    """Write the files; returns the last row of the history. final: (SAMPLES, 1, R, R) of the generator that is kept.

    Steps since the last row make one more, in the file only: a training that goes on must not find it.
    """
    rows = [*state.history, *([_row(state)] if state.steps else [])]
    with replacing(out / "history.parquet") as path:
        pq.write_table(pa.Table.from_pylist(rows), path)
    with replacing(out / "looks.parquet") as path:
        pq.write_table(pa.Table.from_pylist(state.looks, schema=LOOKS), path)
    with replacing(out / "curves.png") as path:
        path.write_bytes(curves_png(rows, state.looks, state.loss.as_probability))
    save_png(image_grid(final, COLUMNS), out / "samples.png")
    lines = [line.float() for line in state.rows.values()]
    if state.steps or not lines:
        lines.append(samples(state, SHOWN))
    save_png(image_grid(torch.cat([line[:COLUMNS] for line in lines]), COLUMNS), out / "progress.png")
    with replacing(out / "progress.gif") as path:
        path.write_bytes(_gif(lines))
    return rows[-1]


def samples(state: TrainingState, count: int) -> Tensor:
    """(count, 1, R, R) float32 on the CPU: seeds 0, 1, ... from the averaged weights as they are now."""
    calibrate(state.average, state.experiment)
    return generate(LoadedGenerator(state.average, state.experiment, "", state.device), range(count))


def _gif(lines: Sequence[Tensor]) -> bytes:
    frames = [image_grid(line, SHOWN // 4) for line in lines]
    stream = io.BytesIO()
    waits = [*[FRAME_MS] * (len(frames) - 1), LAST_MS]
    frames[0].save(
        stream, "GIF", save_all=True, append_images=frames[1:], duration=waits, loop=0, optimize=False
    )
    return stream.getvalue()


def _row(state: TrainingState) -> dict[str, float | None]:
    former = state.history[-1] if state.history else {"images_seen": 0, "seconds": 0.0}
    steps = state.experiment.training.critic_steps * state.steps
    means = (state.totals_d / steps).tolist()
    images, seconds = former["images_seen"] or 0, former["seconds"] or 0.0
    return {
        "images_seen": state.images_seen,
        "seconds": state.seconds,
        "images_per_second": (state.images_seen - images) / max(state.seconds - seconds, 1e-9),
        **dict(zip(MEANS, means, strict=True)),
        "loss_g": float(state.total_g / state.steps),
        "spread": None,
    }


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
