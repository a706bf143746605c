"""Training: a generator (G) and a discriminator (D) against each other until the budget is spent.

In: an experiment and its slices, in memory or in a mapped file. Out, in one folder: generator.safetensors (the averaged
weights, of the best validation where the plan has some; written last), discriminator.safetensors (its last weights,
whichever generator is kept), config.json, checkpoint.pt, and what records.py and asked_pictures.py write for people.
Batches are drawn by index, of slices that stay on the device where they fit (feed.py): a data loader costs more than it
gives.
"""

import logging
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
from chestgan_core.training.asked_pictures import write_asked
from chestgan_core.training.batch_size import step_that_fits
from chestgan_core.training.checkpoint import CHECKPOINT_FILE, TrainingState, data_fingerprint
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.distributed import World
from chestgan_core.training.ema import calibrate_batch_norm
from chestgan_core.training.feed import open_feed
from chestgan_core.training.generation import generate
from chestgan_core.training.interruption import Interruption
from chestgan_core.training.layouts import layouts_of
from chestgan_core.training.mapped_images import Images, spread_of
from chestgan_core.training.records import FINAL_SAMPLES, add_row, keep_snapshot, mean_losses, write_records
from chestgan_core.training.sampling import IndexSampler, sampling_weights
from chestgan_core.training.schedule import Budget
from chestgan_core.training.slice_memory import Held
from chestgan_core.training.step import step_period
from chestgan_core.training.step_memory import require_memory
from chestgan_core.training.validation import KidScorer, validate
from chestgan_core.training.weights import LoadedGenerator, save_discriminator, save_generator

PROGRESS_SECONDS = 10.0  # between two calls of on_progress
SNAPSHOT_FILE = "snapshot-{:010d}.safetensors"  # images seen

log = logging.getLogger(__name__)


class TrainingDiverged(ChestganError):
    """A loss or a weight is NaN or infinite."""


@dataclass(frozen=True)
class TrainingOutcome:
    """A finished training. resumed_at: images that earlier attempts had seen; training_images: different ones.

    seconds: of all attempts. images_per_second: over all of them, samples, validations and checkpoints included.
    loss_d, loss_g: means of the last row of the history. best_kid (not times 1000), best_at (images seen): of the
    validation whose generator is kept, None without validations. slices: whether they were in memory, or read from a
    mapped file. sha256: of generator.safetensors.
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
    slices: Held
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Fields for a machine."""
        return asdict(self)

    def line(self) -> str:
        """One line for a person."""
        speed = f"{self.seconds:.0f} s, {self.images_per_second:.0f}/s on {self.device} in {self.precision}"
        line = f"{self.images_seen:,} images seen ({speed}), loss D {self.loss_d:.2f} G {self.loss_g:.2f}"
        if self.best_kid is None:
            return line
        return (
            f"{line}, kept the generator of {self.best_at:,} images (KID {1000 * self.best_kid:.0f} x 1000)"
        )


@dataclass(frozen=True)
class TrainingStart:
    """What earlier attempts have left. images_seen: 0 where there were none. history, validations: of TrainingState."""

    images_seen: int
    history: tuple[dict[str, float | None], ...]
    validations: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class TrainingCallbacks:
    """Called while a training runs; what they raise ends it.

    on_start: once, before the first step. on_checkpoint: the path of each new checkpoint.pt. on_row: each new row of
    the history, and its images (16, 1, R, R) float32 in [-1, 1]. on_progress: every 10 s, however slow the machine is:
    images_seen, seconds, images_per_second, fraction of the budget, and the means of both losses since the last row.
    on_validation: images_seen, seconds and kid (not times 1000).
    """

    on_start: Callable[[TrainingStart], object] = lambda start: None
    on_checkpoint: Callable[[Path], object] = lambda path: None
    on_row: Callable[[dict[str, float | None], Tensor], object] = lambda row, images: None
    on_progress: Callable[[dict[str, float]], object] = lambda progress: None
    on_validation: Callable[[dict[str, float]], object] = lambda validation: None


def train(
    experiment: Experiment,
    slices: LoadedSlices[Images],
    out: Path,
    device: torch.device,
    budget: Budget,
    scorer: KidScorer | None = None,
    callbacks: TrainingCallbacks | None = None,
    validations: int | None = None,
    clock: Callable[[], float] = time.monotonic,
    world: World | None = None,
    pictures: bool = True,
) -> TrainingOutcome:
    """Train, or resume from the checkpoint.pt in `out`.

    On a CPU of one kind, with the same number of threads, a resumed training ends with the same bits as one that was
    never interrupted. SIGINT and SIGTERM write a checkpoint first. Of several processes (torchrun, gpu_workers.py) all
    call it, and the main one writes.

    Args:
        experiment: Networks, loss, schedules, seed.
        slices: What to train on, at the resolution of the experiment.
        out: Folder for weights, checkpoint and records; made where it is missing.
        device: Where to compute.
        budget: When to stop: minutes, images seen, or both.
        scorer: The KID of generated images, where the plan has validations.
        callbacks: Called at the start and at each row, checkpoint and validation.
        validations: So many, evenly over the budget, instead of one every `validation.every_images`.
        clock: Seconds, from which the minutes of the budget are counted.
        world: The processes of this training; by default what torchrun has started, or this process alone.
        pictures: Draw curves, samples, progress and pairs at the end. A trial, whose folder is deleted, does without.

    Returns:
        Counts, losses and speed; the sha256 of generator.safetensors.

    Raises:
        BadCheckpoint: The checkpoint is damaged, or of another experiment or other slices.
        TrainingDiverged: A loss or a weight is NaN or infinite.
        TrainingCollapsed: The generator makes the same image from every seed.
        BadInput: The batch cannot be divided among the processes, or does not fit into the memory (names one that
            fits).

    Examples:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> from chestgan_core.config.experiment import parse_experiment
        >>> from chestgan_core.training.data import LoadedSlices
        >>> plan = {"batch_size": 4, "images": 8, "sample_every_images": 8}
        >>> fields = {"dataset": "phantom", "resolution": 16, "training": plan}
        >>> experiment = parse_experiment(fields, "tiny", "example")
        >>> images = torch.rand(8, 1, 16, 16) * 2 - 1  # eight slices in [-1, 1], one per patient
        >>> slices = LoadedSlices(images, None, tuple("ABCDEFGH"))
        >>> with tempfile.TemporaryDirectory() as out:
        ...     outcome = train(experiment, slices, Path(out), torch.device("cpu"), Budget(minutes=None, images=8))
        >>> outcome.images_seen
        8
    """
    out.mkdir(parents=True, exist_ok=True)
    world = world or World.from_torchrun(device)
    device = world.local_device(device)
    if experiment.training.batch_size % world.size:
        cause = f"its batch of {experiment.training.batch_size} cannot be split over {world.size} processes"
        raise BadInput(f"experiment {experiment.name}", cause, "choose a multiple of their number")
    tumour = experiment.conditions.tumour
    shown = slices.boxes.isfinite().any(dim=(1, 2)) if slices.boxes is not None and tumour else None
    weights = sampling_weights(
        slices.patients,
        slices.classes,
        experiment.training.sampling,
        shown if tumour and tumour.balance else None,
    )
    state = TrainingState(experiment, device, IndexSampler(len(slices), weights, device), world.rank)
    state.layouts = layouts_of(slices, experiment)
    data = data_fingerprint(slices.images, *slices.conditions.tensors)
    if (out / CHECKPOINT_FILE).is_file():
        state.restore(out / CHECKPOINT_FILE, data)
    callbacks = callbacks or TrainingCallbacks()
    run = _Run(state, out, data, budget, scorer, callbacks, spread_of(slices.images), validations, pictures)
    conditions, period = (
        slices.conditions.to(device),
        step_period(experiment) * experiment.training.critic_steps,
    )
    resumed_at, started = state.images_seen, clock() - state.seconds
    if resumed_at and world.is_main:
        log.info("training %s: resumed at %s images", experiment.name, f"{resumed_at:,}")
    if world.is_main:
        callbacks.on_start(TrainingStart(resumed_at, tuple(state.history), tuple(state.validations)))
    remaining = None if budget.images is None else max(budget.images - resumed_at, 0)
    name = f"training {experiment.name}"
    with (
        open_feed(slices.images, device, period) as images,
        Interruption() as interruption,
        Progress(name, remaining, "images") as progress,
    ):
        if device.type == "cpu" and world.size == 1:
            require_memory(experiment, images, conditions)
        while True:
            stop = run.is_over() or interruption.received is not None
            stop_everywhere, fraction = world.broadcast(float(stop), budget.fraction(state))
            if stop_everywhere:
                break
            before = state.images_seen
            step_that_fits(state, images, conditions, world, fraction)
            state.seconds = clock() - started
            if world.is_main:
                run.after_step(before)
                progress.step(state.images_seen - before, run.note())
        if world.is_main:
            run.checkpoint()
            if interruption.received is not None:
                signal = interruption.received.name
                log.info(
                    "%s: received %s at %s images, checkpoint written", name, signal, f"{state.images_seen:,}"
                )
    if not world.is_main:
        return run.outcome(resumed_at, slices, {}, "")
    return run.finish(resumed_at, slices)


class _Run:
    """What happens between the steps of one training, in the main process."""

    def __init__(
        self, state: TrainingState, out: Path, data: str, budget: Budget, scorer: KidScorer | None,
        callbacks: TrainingCallbacks, real_spread: float, validations: int | None, pictures: bool,
    ) -> None:  # fmt: skip
        self.state, self.out, self.data, self.budget = state, out, data, budget
        self.scorer, self.callbacks, self.real_spread = scorer, callbacks, real_spread
        self.validations, self.validations_due = validations, self._validations_due(validations)
        self.pictures = pictures
        self.progress_seconds, self.progress_images = state.seconds, state.images_seen

    def is_over(self) -> bool:
        """Whether the budget is spent, or the patience of the validation."""
        validation, best = self.state.experiment.training.validation, self.state.best
        patience = validation.patience if validation else None
        stopped_early = patience is not None and best is not None and best.validations_since >= patience
        return stopped_early or self.budget.fraction(self.state) >= 1

    def after_step(self, before: int) -> None:
        """The rows, validations and checkpoints that are due after a step. before: images seen before it."""
        plan = self.state.experiment.training
        if self._crossed(before, plan.sample_every_images):
            self._require_finite()
            images = add_row(self.state, self.real_spread)
            keep_snapshot(self.state)
            self.callbacks.on_row(self.state.history[-1], images)
        if self.state.seconds - self.progress_seconds >= PROGRESS_SECONDS:
            self._report_progress()
        if plan.validation and self._is_validation_due(before, plan.validation.every_images):
            self._validate()
        if self._crossed(before, plan.checkpoint_every_images):
            self.checkpoint()

    def _report_progress(self) -> None:
        state = self.state
        seconds, images = state.seconds - self.progress_seconds, state.images_seen - self.progress_images
        self.progress_seconds, self.progress_images = state.seconds, state.images_seen
        self.callbacks.on_progress(
            {
                "images_seen": state.images_seen,
                "seconds": state.seconds,
                "images_per_second": images / seconds,
                "fraction": self.budget.fraction(state),
                **mean_losses(state),
            }
        )

    def checkpoint(self) -> None:
        """Write the state."""
        self._require_finite()
        self.state.save(self.out / CHECKPOINT_FILE, self.data)
        self.callbacks.on_checkpoint(self.out / CHECKPOINT_FILE)

    def finish(self, resumed_at: int, slices: LoadedSlices[Images]) -> TrainingOutcome:
        """Write the networks and the records."""
        state, experiment = self.state, self.state.experiment
        if experiment.training.validation and (
            not state.validations or state.validations[-1]["images_seen"] != state.images_seen
        ):
            self._validate()
        calibrate_batch_norm(state.ema, experiment, state.layouts)
        last = state.ema_weights()
        for number, weights in state.snapshots.items():
            state.ema.load_state_dict(weights)
            name = SNAPSHOT_FILE.format(self._images_at(number))
            save_generator(self.out, state.ema, experiment, name, state.layouts)
        final = state.best.weights if state.best else last
        state.ema.load_state_dict(final)
        loaded = LoadedGenerator(state.ema.eval(), experiment, "", state.device, state.layouts)
        samples = generate(loaded, range(FINAL_SAMPLES)) if self.pictures else None
        if self.pictures:
            write_asked(loaded, self.out)
        save_discriminator(self.out, state.discriminator, experiment, state.images_seen)
        sha256 = save_generator(self.out, state.ema, experiment, layouts=state.layouts)
        state.ema.load_state_dict(last)
        row = write_records(state, self.out, samples)
        return self.outcome(resumed_at, slices, row, sha256)

    def outcome(
        self, resumed_at: int, slices: LoadedSlices[Images], last: dict[str, float | None], sha256: str
    ) -> TrainingOutcome:
        """Of the state as it is now. last: row of the history."""
        state = self.state
        return TrainingOutcome(
            images_seen=state.images_seen,
            seconds=state.seconds,
            images_per_second=state.images_seen / max(state.seconds, 1e-9),
            loss_d=last.get("loss_d") or 0.0,
            loss_g=last.get("loss_g") or 0.0,
            resumed_at=resumed_at,
            training_images=len(slices),
            device=str(state.device),
            precision="bf16" if state.bf16 else "fp32",
            best_kid=state.best.kid if state.best else None,
            best_at=state.best.images_seen if state.best else None,
            slices=slices.held,
            sha256=sha256,
        )

    def note(self) -> str:
        """The end of the progress line."""
        state, parts = self.state, []
        if state.history:
            last = state.history[-1]
            parts.append(f"loss D {last['loss_d']:.2f} G {last['loss_g']:.2f}")
            parts.append(f"D(x) {last['d_real']:.2f}  D(G(z)) {last['d_fake']:.2f}")
        if state.validations:
            parts.append(f"KID {1000 * state.validations[-1]['kid']:.0f} x 1000")
        if self.budget.minutes is not None:
            parts.append(f"at most {max(60 * self.budget.minutes - state.seconds, 0):.0f} s left")
        return "  ".join(parts)

    def _validate(self) -> None:
        validation = self.state.experiment.training.validation
        if self.scorer is not None and validation is not None:
            self._require_finite()
            validate(self.state, self.scorer, validation.images)
            self.callbacks.on_validation(self.state.validations[-1])

    def _is_validation_due(self, before: int, every: int) -> bool:
        if self.validations is None:
            return self._crossed(before, every)
        due_before, self.validations_due = self.validations_due, self._validations_due(self.validations)
        return self.validations_due > due_before

    def _validations_due(self, validations: int | None) -> int:
        return int(self.budget.fraction(self.state) * (validations or 0))

    def _images_at(self, number: int) -> int:
        return int(self.state.history[number - 1]["images_seen"] or 0)

    def _crossed(self, before: int, every: int) -> bool:
        """Whether the last step crossed a multiple of `every` images."""
        return before // every < self.state.images_seen // every

    def _require_finite(self) -> None:
        state, path = self.state, self.out / CHECKPOINT_FILE
        if not state.is_finite():
            kept = f"{path} holds the state before" if path.is_file() else "there is no earlier checkpoint"
            raise TrainingDiverged(
                f"training {state.experiment.name}",
                f"a loss or a weight is NaN or infinite after {state.images_seen:,} images",
                f"lower training.optimizer.lr and train from the start ({kept})",
            )
