"""Training: a generator and a discriminator against each other until the budget is spent.

In: an experiment and its images (N, 1, R, R) float32 in [-1, 1]. Out, in one folder: generator.safetensors (the
averaged weights, written last), config.json, history.parquet, samples.png, progress.png, training-state.pt.
The images stay on the device and batches are drawn by index: at this size a data loader costs more than it gives.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.experiment import Experiment
from chestgan_core.progress import Progress
from chestgan_core.training import losses
from chestgan_core.training.average import follow
from chestgan_core.training.checkpoints import save_generator
from chestgan_core.training.interruption import Interruption
from chestgan_core.training.records import history_row, keep_progress_row, last_note, write_records
from chestgan_core.training.state import STATE_FILE, TrainingState, fingerprint


class TrainingDiverged(ChestganError):
    """Losses or weights are no longer numbers."""


@dataclass(frozen=True)
class Budget:
    """What ends a training: minutes of all attempts together, or images seen; the first that is reached."""

    minutes: float | None
    images: int | None

    def __post_init__(self) -> None:
        if self.minutes is None and self.images is None:
            raise BadInput("the training", "has no budget, it would never end", "give minutes, images, or both")

    def spent(self, images_seen: int, seconds: float) -> bool:
        """Whether the end is reached."""
        out_of_time = self.minutes is not None and seconds >= 60 * self.minutes
        return out_of_time or (self.images is not None and images_seen >= self.images)


@dataclass(frozen=True)
class TrainingOutcome:
    """A finished training. resumed_at: images that a former attempt had seen, 0 if there was none.

    seconds: of all attempts. images_per_second: of the whole, with samples and checkpoints. sha256: of the generator.
    Losses are means over the last row of the history.
    """

    images_seen: int
    seconds: float
    images_per_second: float
    loss_d: float
    loss_g: float
    resumed_at: int
    training_images: int
    device: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Fields for a machine."""
        return asdict(self)

    def line(self) -> str:
        """One line for a person."""
        return (
            f"{self.images_seen:,} images seen in {self.seconds:.0f} s ({self.images_per_second:.0f}/s on {self.device})"
            f", loss D {self.loss_d:.2f} G {self.loss_g:.2f}"
        )


def train(
    experiment: Experiment,
    images: Tensor,
    out: Path,
    device: torch.device,
    budget: Budget,
    on_checkpoint: Callable[[Path], object] | None = None,
) -> TrainingOutcome:
    """Train, or go on where the training-state.pt in `out` ends; on CPU the result is the same to the bit.

    on_checkpoint: called with the path of each new training-state.pt. SIGINT and SIGTERM write one first.
    Raises BadCheckpoint (a state of other data or another experiment), TrainingDiverged, BadInput (no budget).
    """
    out.mkdir(parents=True, exist_ok=True)
    told, state_file, data = experiment.training, out / STATE_FILE, fingerprint(images)
    state = TrainingState(experiment, device)
    if state_file.is_file():
        state.restore(state_file, data)
    resumed_at, images = state.images_seen, images.to(device)
    clock = _Clock(state)

    def checkpoint() -> None:
        _stop_unless_finite(state, state_file)
        clock.read()
        state.save(state_file, data)
        if on_checkpoint:
            on_checkpoint(state_file)

    remaining = None if budget.images is None else max(budget.images - resumed_at, 0)
    with Interruption() as stop, Progress(f"training {experiment.name}", remaining, "images") as progress:
        while not stop.requested and not budget.spent(state.images_seen, clock.read()):
            step(state, images)
            progress.step(told.batch, _note(state, budget))
            if _passes(told.sample_images, state):
                _stop_unless_finite(state, state_file)
                state.history.append(history_row(state))
                state.steps = int(state.totals.zero_().numel() * 0)
                keep_progress_row(state)
            if _passes(told.checkpoint_images, state):
                checkpoint()
        checkpoint()
    last = write_records(state, out)
    sha256 = save_generator(out, state.average, experiment)
    return TrainingOutcome(
        images_seen=state.images_seen,
        seconds=state.seconds,
        images_per_second=state.images_seen / state.seconds,
        loss_d=last["loss_d"],
        loss_g=last["loss_g"],
        resumed_at=resumed_at,
        training_images=len(images),
        device=str(device),
        sha256=sha256,
    )
