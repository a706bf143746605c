"""Training: a generator and a discriminator against each other until the budget is spent.

In: an experiment and its slices, in memory. Out, in one folder: generator.safetensors (the averaged weights, of the
best look where the plan selects, written last), discriminator.safetensors (its last weights, whichever look is kept),
config.json, training-state.pt, and what records.py leaves for people. The slices stay on the device and batches are
drawn by index: here a data loader costs more than it gives.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.progress import Progress
from chestgan_core.training.batch_size import fitting_batch
from chestgan_core.training.checkpoint import STATE_FILE, TrainingState, fingerprint
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.distributed import Team, local_device
from chestgan_core.training.ema import calibrate
from chestgan_core.training.generation import generate
from chestgan_core.training.interruption import Interruption
from chestgan_core.training.records import SAMPLES, keep_generator, tick, write_records
from chestgan_core.training.sampling import Draw, weights_of
from chestgan_core.training.schedule import Budget
from chestgan_core.training.step import step
from chestgan_core.training.validation import Judge, look
from chestgan_core.training.weights import LoadedGenerator, save_discriminator, save_generator

SNAPSHOT_FILE = "snapshot-{:010d}.safetensors"


class TrainingDiverged(ChestganError):
    """Losses or weights are no longer numbers."""


@dataclass(frozen=True)
class TrainingOutcome:
    """A finished training. resumed_at: images that former attempts had seen; training_images: different ones.

    seconds: of all attempts. images_per_second: over all of it, samples, looks and checkpoints included.
    Losses: means of the last row of the history. best_kid, best_at: of the look that was kept, None without looks.
    sha256: of generator.safetensors.
    """

    images_seen: int
    seconds: float
    images_per_second: float
    loss_d: float
    loss_g: float
    resumed_at: int
    training_images: int
    device: str
    precision: str
    best_kid: float | None
    best_at: int | None
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Fields for a machine."""
        return asdict(self)

    def line(self) -> str:
        """One line for a person."""
        speed = f"{self.seconds:.0f} s, {self.images_per_second:.0f}/s on {self.device} in {self.precision}"
        told = f"{self.images_seen:,} images seen ({speed}), loss D {self.loss_d:.2f} G {self.loss_g:.2f}"
        if self.best_kid is None:
            return told
        return f"{told}, kept that of {self.best_at:,} images (KID {1000 * self.best_kid:.0f} x 1000)"


@dataclass(frozen=True)
class Watcher:
    """Who is told while a training goes on: the path of each new training-state.pt; each new row with its pictures;
    each look (images_seen, seconds, kid). What it raises ends the training.
    """

    checkpoint: Callable[[Path], object] = lambda path: None
    row: Callable[[dict[str, float | None], Tensor], object] = lambda row, pictures: None
    look: Callable[[dict[str, float]], object] = lambda look: None


def train(
    experiment: Experiment,
    slices: LoadedSlices,
    out: Path,
    device: torch.device,
    budget: Budget,
    judge: Judge | None = None,
    watcher: Watcher | None = None,
    looks: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingOutcome:
    """Train, or go on where the training-state.pt in `out` ends.

    On a CPU of one kind, with the same number of threads, the end has the same bits as without an interruption. Under
    torchrun all processes call it, and the first one writes. judge: scores the looks, where the plan selects. looks:
    so many of them, evenly over the budget, instead of one every so many images. clock: seconds, of which minutes are
    made. SIGINT and SIGTERM write a checkpoint first.
    Raises BadCheckpoint (a state of another experiment or other slices), TrainingDiverged, TrainingCollapsed, BadInput
    (too little memory on the GPU: names the batch that fits), and what the watcher raises.
    """
    out.mkdir(parents=True, exist_ok=True)
    device = local_device(device)
    team = Team.of_torchrun(device)
    if experiment.training.batch_size % team.size:
        cause = f"its batch of {experiment.training.batch_size} cannot be split over {team.size} processes"
        raise BadInput(f"experiment {experiment.name}", cause, "choose a multiple of their number")
    sampling = experiment.training.sampling
    draw = Draw(len(slices), weights_of(slices.patients, slices.classes, sampling), device)
    state = TrainingState(experiment, device, draw, team.rank)
    data = fingerprint(slices.images, slices.classes)
    if (out / STATE_FILE).is_file():
        state.restore(out / STATE_FILE, data)
    real_spread = float(slices.images.std(dim=0).mean())
    run = _Run(state, out, data, budget, judge, watcher or Watcher(), real_spread, looks)
    images = slices.images.to(device).contiguous(memory_format=torch.channels_last)
    classes = None if slices.classes is None else slices.classes.to(device)
    resumed_at, started = state.images_seen, clock() - state.seconds
    if resumed_at and team.leads:
        print(f"training {experiment.name}: going on at {resumed_at:,} images", file=sys.stderr)
    to_go = None if budget.images is None else max(budget.images - resumed_at, 0)
    with Interruption() as stop, Progress(f"training {experiment.name}", to_go, "images") as progress:
        while True:
            ended, share = team.agree(float(run.over(bool(stop.requested))), budget.share(state))
            if ended:
                break
            before = state.images_seen
            try:
                step(state, images, classes, team, share)
            except torch.OutOfMemoryError as error:
                raise fitting_batch(state, images, classes) from error
            state.seconds = clock() - started
            if team.leads:
                run.after_step(before)
                progress.step(state.images_seen - before, run.note())
        if team.leads:
            run.checkpoint()
            if stop.requested:
                told = f"stopped at {state.images_seen:,} images, saved"
                print(f"training {experiment.name}: {told}", file=sys.stderr)
    if not team.leads:
        return run.outcome(resumed_at, len(slices), {}, "")
    return run.finish(resumed_at, len(slices))


class _Run:
    """What happens between the steps of one training, in the process that leads."""

    def __init__(
        self, state: TrainingState, out: Path, data: str, budget: Budget, judge: Judge | None, watcher: Watcher,
        real_spread: float, looks: int | None,
    ) -> None:  # fmt: skip
        self.state, self.out, self.data, self.budget = state, out, data, budget
        self.judge, self.watcher, self.real_spread = judge, watcher, real_spread
        self.looks, self.looks_due = looks, self._looks_due(looks)

    def over(self, asked_to_stop: bool) -> bool:
        """Whether the training ends here."""
        selection, best = self.state.experiment.training.validation, self.state.best
        patience = selection.patience if selection else None
        gave_up = patience is not None and best is not None and best.since >= patience
        return asked_to_stop or gave_up or self.budget.share(self.state) >= 1

    def after_step(self, before: int) -> None:
        """Rows, looks and checkpoints that the last step has reached."""
        told = self.state.experiment.training
        if self._crossed(before, told.sample_every_images):
            self._require_finite()
            pictures = tick(self.state, self.real_spread)
            keep_generator(self.state)
            self.watcher.row(self.state.history[-1], pictures)
        if told.validation and self._is_time_to_look(before, told.validation.every_images):
            self._look()
        if self._crossed(before, told.checkpoint_every_images):
            self.checkpoint()

    def checkpoint(self) -> None:
        """Write the state."""
        self._require_finite()
        self.state.save(self.out / STATE_FILE, self.data)
        self.watcher.checkpoint(self.out / STATE_FILE)

    def finish(self, resumed_at: int, slices: int) -> TrainingOutcome:
        """Write the generator and the records."""
        state, experiment = self.state, self.state.experiment
        if experiment.training.validation and (
            not state.looks or state.looks[-1]["images_seen"] != state.images_seen
        ):
            self._look()
        calibrate(state.average, experiment)
        last = state.averaged()
        for number, weights in state.snapshots.items():
            state.average.load_state_dict(weights)
            save_generator(self.out, state.average, experiment, SNAPSHOT_FILE.format(self._images_at(number)))
        final = state.best.weights if state.best else last
        state.average.load_state_dict(final)
        loaded = LoadedGenerator(state.average.eval(), experiment, "", state.device)
        pictures = generate(loaded, range(SAMPLES))
        save_discriminator(self.out, state.discriminator, experiment, state.images_seen)
        sha256 = save_generator(self.out, state.average, experiment)
        state.average.load_state_dict(last)
        row = write_records(state, self.out, pictures)
        return self.outcome(resumed_at, slices, row, sha256)

    def outcome(
        self, resumed_at: int, slices: int, last: dict[str, float | None], sha256: str
    ) -> TrainingOutcome:
        """What is told of it."""
        state = self.state
        return TrainingOutcome(
            images_seen=state.images_seen,
            seconds=state.seconds,
            images_per_second=state.images_seen / max(state.seconds, 1e-9),
            loss_d=last.get("loss_d") or 0.0,
            loss_g=last.get("loss_g") or 0.0,
            resumed_at=resumed_at,
            training_images=slices,
            device=str(state.device),
            precision="bf16" if state.half_precision else "fp32",
            best_kid=state.best.kid if state.best else None,
            best_at=state.best.images_seen if state.best else None,
            sha256=sha256,
        )

    def note(self) -> str:
        """The end of the line of progress."""
        state, parts = self.state, []
        if state.history:
            last = state.history[-1]
            parts.append(f"loss D {last['loss_d']:.2f} G {last['loss_g']:.2f}")
            parts.append(f"D(x) {last['d_real']:.2f}  D(G(z)) {last['d_fake']:.2f}")
        if state.looks:
            parts.append(f"KID {1000 * state.looks[-1]['kid']:.0f} x 1000")
        if self.budget.minutes is not None:
            parts.append(f"at most {max(60 * self.budget.minutes - state.seconds, 0):.0f} s more")
        return "  ".join(parts)

    def _look(self) -> None:
        selection = self.state.experiment.training.validation
        if self.judge is not None and selection is not None:
            self._require_finite()
            look(self.state, self.judge, selection.images)
            self.watcher.look(self.state.looks[-1])

    def _is_time_to_look(self, before: int, every: int) -> bool:
        if self.looks is None:
            return self._crossed(before, every)
        former, self.looks_due = self.looks_due, self._looks_due(self.looks)
        return self.looks_due > former

    def _looks_due(self, looks: int | None) -> int:
        return int(self.budget.share(self.state) * (looks or 0))

    def _images_at(self, number: int) -> int:
        return int(self.state.history[number - 1]["images_seen"] or 0)

    def _crossed(self, before: int, every: int) -> bool:
        """Whether the last step crossed a multiple of `every` images."""
        return before // every < self.state.images_seen // every

    def _require_finite(self) -> None:
        state, path = self.state, self.out / STATE_FILE
        if not state.finite():
            kept = f"{path} holds the state before" if path.is_file() else "nothing was kept"
            raise TrainingDiverged(
                f"training {state.experiment.name}",
                f"losses or weights are no longer numbers after {state.images_seen:,} images",
                f"lower training.optimizer.lr and train from the start ({kept})",
            )
