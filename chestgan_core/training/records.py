"""What a training leaves for people to look at: the history of its losses, and pictures from fixed seeds.

In: a training state. Out: `history.parquet` (one row every `sample_images`, means since the row before),
`samples.png` (seeds 0 to 63 from the averaged weights), `progress.png` (seeds 0 to 7, a line a kept row, the
latest at the bottom). The pictures show what publication makes of the same seeds.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from chestgan_core.atomic import replacing
from chestgan_core.pictures import image_grid, save_png
from chestgan_core.training.average import calibrate
from chestgan_core.training.checkpoints import LoadedGenerator
from chestgan_core.training.generation import generate
from chestgan_core.training.state import TrainingState

SAMPLES, COLUMNS = 64, 8
MOST_ROWS = 16
MEANS = ("loss_d", "loss_g", "d_real", "d_fake")


def tick(state: TrainingState) -> None:
    """Close a row of the history, and keep a line of pictures.

    Of the lines, those of every 1st, 2nd, 4th, ... row are kept, so that there are never more than MOST_ROWS.
    """
    state.history.append(_row(state))
    state.totals.zero_()
    state.steps = 0
    number, every = len(state.history), 1
    while number // every > MOST_ROWS:
        every *= 2
    if number % every == 0:
        state.rows[number] = samples(state, COLUMNS).half()
    state.rows = {kept: line for kept, line in state.rows.items() if kept % every == 0}


def write_records(state: TrainingState, out: Path) -> dict[str, float]:
    """Write the three files; returns the last row of the history.

    Steps since the last row make one more, in the file only: a training that goes on must not find it.
    """
    rows = [*state.history, *([_row(state)] if state.steps else [])]
    with replacing(out / "history.parquet") as path:
        pq.write_table(pa.Table.from_pylist(rows), path)
    latest = samples(state, SAMPLES)
    save_png(image_grid(latest, COLUMNS), out / "samples.png")
    lines = [line.float() for line in state.rows.values()]
    if state.steps or not lines:
        lines.append(latest[:COLUMNS])
    save_png(image_grid(torch.cat(lines), COLUMNS), out / "progress.png")
    return rows[-1]


def samples(state: TrainingState, count: int) -> Tensor:
    """(count, 1, R, R) float32 on the CPU: seeds 0, 1, ... from the averaged weights as they are now."""
    calibrate(state.average, state.experiment.network.latent)
    return generate(LoadedGenerator(state.average, state.experiment, "", state.device), range(count))


def _row(state: TrainingState) -> dict[str, float]:
    former = state.history[-1] if state.history else {"images_seen": 0, "seconds": 0.0}
    means = (state.totals / state.steps).tolist()
    rate = (state.images_seen - former["images_seen"]) / max(state.seconds - former["seconds"], 1e-9)
    return {
        "images_seen": state.images_seen,
        "seconds": state.seconds,
        "images_per_second": rate,
        **dict(zip(MEANS, means, strict=True)),
    }
