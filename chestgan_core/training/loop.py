"""Training: a generator and a discriminator against each other until the budget is spent.

In: an experiment and its images (N, 1, R, R) float32 in [-1, 1]. Out, in one folder: generator.safetensors
(the averaged weights, written last), config.json, training-state.pt, and what records.py leaves for people.
The images stay on the device and batches are drawn by index: here a data loader costs more than it gives.
"""

import sys
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
from chestgan_core.training.average import follow
from chestgan_core.training.checkpoints import save_generator
from chestgan_core.training.interruption import Interruption
from chestgan_core.training.losses import discriminator_loss, generator_loss
from chestgan_core.training.records import tick, write_records
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
            raise BadInput(
                "the training", "has no budget and would never end", "give minutes, images, or both"
            )

    def spent(self, state: TrainingState) -> bool:
        """Whether the end is reached."""
        out_of_time = self.minutes is not None and state.seconds >= 60 * self.minutes
        return out_of_time or (self.images is not None and state.images_seen >= self.images)


@dataclass(frozen=True)
class TrainingOutcome:
    """A finished training. resumed_at: images that former attempts had seen; training_images: different ones.

    seconds: of all attempts. images_per_second: over all of it, samples and checkpoints included.
    Losses: means of the last row of the history. sha256: of generator.safetensors.
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
        speed = f"{self.seconds:.0f} s, {self.images_per_second:.0f}/s on {self.device}"
        return f"{self.images_seen:,} images seen ({speed}), loss D {self.loss_d:.2f} G {self.loss_g:.2f}"


def train(
    experiment: Experiment,
    images: Tensor,
    out: Path,
    device: torch.device,
    budget: Budget,
    on_checkpoint: Callable[[Path], object] | None = None,
) -> TrainingOutcome:
    """Train, or go on where the training-state.pt in `out` ends.

    On CPU, with the same number of threads, the end has the same bits as without an interruption.
    on_checkpoint: called with the path of each new training-state.pt. SIGINT and SIGTERM write one first.
    Raises BadCheckpoint (a state of another experiment or other images), TrainingDiverged.
    """
    out.mkdir(parents=True, exist_ok=True)
    told, path, data = experiment.training, out / STATE_FILE, fingerprint(images)
    state = TrainingState(experiment, device)
    if path.is_file():
        state.restore(path, data)
    resumed_at, images = state.images_seen, images.to(device)
    started = time.monotonic() - state.seconds
    if resumed_at:
        print(f"training {experiment.name}: going on at {resumed_at:,} images", file=sys.stderr)
    to_go = None if budget.images is None else max(budget.images - resumed_at, 0)

    with Interruption() as stop, Progress(f"training {experiment.name}", to_go, "images") as progress:
        while not stop.requested and not budget.spent(state):
            step(state, images)
            state.seconds = time.monotonic() - started
            if _reached(told.sample_images, state):
                _require_finite(state, path)
                tick(state)
            if _reached(told.checkpoint_images, state):
                _checkpoint(state, path, data, on_checkpoint)
            progress.step(told.batch, _note(state, budget))
        _checkpoint(state, path, data, on_checkpoint)
        if stop.requested:
            print(
                f"training {experiment.name}: stopped at {state.images_seen:,} images, saved", file=sys.stderr
            )
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


def step(state: TrainingState, images: Tensor) -> None:
    """One batch: the discriminator learns from real and generated images, then the generator from it.

    Real and generated images go through the discriminator apart: its batch normalization must not mix them.
    """
    told = state.experiment.training
    chosen = torch.randint(len(images), (told.batch,), generator=state.random, device=state.device)
    z_shape = (told.batch, state.experiment.network.latent)
    fake = state.generator(torch.randn(z_shape, generator=state.random, device=state.device))

    real_logits = state.discriminator(_noisy(images[chosen], state))
    fake_logits = state.discriminator(_noisy(fake.detach(), state))
    loss_d = discriminator_loss(real_logits, fake_logits, told.label_smoothing)
    _update(state.optimizer_d, loss_d)

    # The generator's gradient passes through the discriminator without computing that of its weights.
    state.discriminator.requires_grad_(False)
    loss_g = generator_loss(state.discriminator(_noisy(fake, state)))
    _update(state.optimizer_g, loss_g)
    state.discriminator.requires_grad_(True)

    state.images_seen += told.batch
    state.steps += 1
    follow(state.average, state.generator, told.batch, state.images_seen, told.ema_images)
    d_real, d_fake = real_logits.detach().sigmoid().mean(), fake_logits.detach().sigmoid().mean()
    state.totals += torch.stack([loss_d.detach(), loss_g.detach(), d_real, d_fake])


def _noisy(images: Tensor, state: TrainingState) -> Tensor:
    """The images with instance noise, without which a discriminator tells a few hundred slices from anything else
    before the generator has learned from it.

    Both sides get it, so the data stay the optimum (Sonderby et al. 2017, arXiv 1610.04490). It fades, or the
    generator would learn the grain as well.
    """
    told = state.experiment.training
    if not told.instance_noise:
        return images
    fade = (
        0.5 ** (state.images_seen / told.instance_noise_half_life) if told.instance_noise_half_life else 1.0
    )
    noise = torch.randn(images.shape, generator=state.random, device=state.device)
    return images + told.instance_noise * fade * noise


def _update(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _reached(every: int, state: TrainingState) -> bool:
    """Whether the last batch crossed a multiple of `every` images."""
    return state.images_seen % every < state.experiment.training.batch


def _checkpoint(
    state: TrainingState, path: Path, data: str, on_checkpoint: Callable[[Path], object] | None
) -> None:
    _require_finite(state, path)
    state.save(path, data)
    if on_checkpoint:
        on_checkpoint(path)


def _require_finite(state: TrainingState, path: Path) -> None:
    if not state.finite():
        kept = f"{path} holds the state before" if path.is_file() else "nothing was kept"
        raise TrainingDiverged(
            f"training {state.experiment.name}",
            f"losses or weights are no longer numbers after {state.images_seen:,} images",
            f"lower training.learning_rate and train from the start ({kept})",
        )


def _note(state: TrainingState, budget: Budget) -> str:
    parts = []
    if state.history:
        last = state.history[-1]
        parts.append(f"loss D {last['loss_d']:.2f} G {last['loss_g']:.2f}")
        parts.append(f"D(x) {last['d_real']:.2f}  D(G(z)) {last['d_fake']:.2f}")
    if budget.minutes is not None:
        parts.append(f"at most {max(60 * budget.minutes - state.seconds, 0):.0f} s more")
    return "  ".join(parts)
