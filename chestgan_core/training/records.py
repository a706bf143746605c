"""What a training leaves for people: the history of its losses, its validations, and images of fixed seeds.

In: a training state. Out: `history.parquet` (a row every `sample_every_images`, means since the row before),
`validation.parquet` (the KID of each validation), `curves.png` (both drawn), `samples.png` (seeds 0 to 63 of the
generator that is kept), `progress.png` (seeds 0 to 7, a line per kept row, the latest at the bottom) and `progress.gif`
(seeds 0 to 15 over time). They show the images that publication makes of the same seeds.
"""

from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import torch
from torch import Tensor

from chestgan_core.imaging.animations import animation
from chestgan_core.imaging.pictures import image_grid, save_png
from chestgan_core.local.files import replacing
from chestgan_core.local.parquet import write_parquet
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.curves import curves_png
from chestgan_core.training.ema import calibrate_batch_norm
from chestgan_core.training.generation import generate
from chestgan_core.training.validation import require_diversity
from chestgan_core.training.weights import LoadedGenerator

Item = TypeVar("Item")

FINAL_SAMPLES, COLUMNS = 64, 8
ROW_SAMPLES = 16  # seeds per row
MAX_SAMPLED_ROWS = 16
FRAME_MS, LAST_FRAME_MS = 300, 2000
TOTALS_D = ("loss_d", "penalty", "d_real", "d_fake")  # d_real: mean of D(x), d_fake: of D(G(z))
HISTORY_FILE, VALIDATION_FILE = "history.parquet", "validation.parquet"
_NUMBER: pa.DataType = pa.float64()
_VALIDATION_SCHEMA = pa.schema({"images_seen": _NUMBER, "seconds": _NUMBER, "kid": _NUMBER})


def add_row(state: TrainingState, real_spread: float) -> Tensor:
    """Add a row to the history, and keep its images; returns them: (ROW_SAMPLES, 1, R, R) float32.

    Of the rows, every 1st, 2nd, 4th, ... keeps its images, so that there are never more than MAX_SAMPLED_ROWS.
    Raises TrainingCollapsed.
    """
    images = sample(state, ROW_SAMPLES)
    row = _row(state)
    state.history.append(row)
    row["spread"] = require_diversity(state, images, real_spread)
    state.totals_d.zero_()
    state.total_g.zero_()
    state.steps = 0
    number = len(state.history)
    if number % thinning(number, MAX_SAMPLED_ROWS) == 0:
        state.samples[number] = images.half()
    state.samples = thinned(state.samples, number, MAX_SAMPLED_ROWS)
    return images


def keep_snapshot(state: TrainingState) -> None:
    """Keep the averaged generator of every 1st, 2nd, 4th, ... row, at most as many as the plan's `snapshots`."""
    limit, number = state.experiment.training.snapshots, len(state.history)
    if limit and number % thinning(number, limit) == 0:
        calibrate_batch_norm(state.ema, state.experiment, state.layouts)
        state.snapshots[number] = state.ema_weights()
        state.snapshots = thinned(state.snapshots, number, limit)


def thinning(number: int, limit: int) -> int:
    """The smallest power of 2 of which at most `limit` multiples are among 1 to `number`."""
    every = 1
    while number // every > limit:
        every *= 2
    return every


def thinned(items: dict[int, Item], number: int, limit: int) -> dict[int, Item]:
    """Those of the numbered items that stay when there were `number` of them."""
    every = thinning(number, limit)
    return {key: item for key, item in items.items() if key % every == 0}


def write_records(state: TrainingState, out: Path, final: Tensor | None) -> dict[str, float | None]:
    """Write the files; returns the last row of the history.

    final: (FINAL_SAMPLES, 1, R, R) of the generator kept; without them nothing is drawn.
    Steps since the last row make one more, in the file only: a training that is resumed must not find it.
    """
    rows = [*state.history, *([_row(state)] if state.steps else [])]
    with replacing(out / HISTORY_FILE) as path:
        path.write_bytes(write_parquet(pa.Table.from_pylist(rows)))
    with replacing(out / VALIDATION_FILE) as path:
        path.write_bytes(write_parquet(pa.Table.from_pylist(state.validations, schema=_VALIDATION_SCHEMA)))
    if final is None:
        return rows[-1]
    with replacing(out / "curves.png") as path:
        path.write_bytes(curves_png(rows, state.validations, state.loss.as_probability))
    save_png(image_grid(final, COLUMNS), out / "samples.png")
    lines = [line.float() for line in state.samples.values()]
    if state.steps or not lines:
        lines.append(sample(state, ROW_SAMPLES))
    save_png(image_grid(torch.cat([line[:COLUMNS] for line in lines]), COLUMNS), out / "progress.png")
    with replacing(out / "progress.gif") as path:
        frames = [image_grid(line, ROW_SAMPLES // 4) for line in lines]
        path.write_bytes(animation(frames, FRAME_MS, LAST_FRAME_MS))
    return rows[-1]


def sample(state: TrainingState, count: int) -> Tensor:
    """(count, 1, R, R) float32 on the CPU: seeds 0, 1, ... of the averaged weights as they are now."""
    calibrate_batch_norm(state.ema, state.experiment, state.layouts)
    loaded = LoadedGenerator(state.ema, state.experiment, "", state.device, state.layouts)
    return generate(loaded, range(count))


def _row(state: TrainingState) -> dict[str, float | None]:
    before = state.history[-1] if state.history else {"images_seen": 0, "seconds": 0.0}
    steps = state.experiment.training.critic_steps * state.steps
    means = (state.totals_d / steps).tolist()
    images, seconds = before["images_seen"] or 0, before["seconds"] or 0.0
    return {
        "images_seen": state.images_seen,
        "seconds": state.seconds,
        "images_per_second": (state.images_seen - images) / max(state.seconds - seconds, 1e-9),
        **dict(zip(TOTALS_D, means, strict=True)),
        "loss_g": float(state.total_g / state.steps),
        "spread": None,
    }


def mean_losses(state: TrainingState) -> dict[str, float]:
    """loss_d and loss_g over the steps since the last row; {} directly after one."""
    if not state.steps:
        return {}
    steps = state.experiment.training.critic_steps * state.steps
    loss_d = float(state.totals_d[TOTALS_D.index("loss_d")]) / steps
    return {"loss_d": loss_d, "loss_g": float(state.total_g) / state.steps}
