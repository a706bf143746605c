"""What a GPU has to show besides speed: images after some minutes, a resumed training, two at once, a full memory.

In: a task of `bench.gpu` (experiment, files of slices, seconds). Out: a dictionary of what was found, for its table.
Each is run in a process of its own, so that what breaks or hangs ends alone.
"""

import math
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.gpu_steps import unconditioned, wait
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, NotAvailable
from chestgan_core.imaging.pictures import contact_sheet
from chestgan_core.metrics.distances import kid
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.metrics.precision_recall import precision_recall
from chestgan_core.training.checkpoint import CHECKPOINT_FILE, TrainingState
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.data import LoadedSlices, load_slices, load_training_slices
from chestgan_core.training.distributed import World
from chestgan_core.training.generation import generate
from chestgan_core.training.loop import TrainingCallbacks, TrainingOutcome, train
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.schedule import Budget
from chestgan_core.training.step import step
from chestgan_core.training.weights import load_generator

# None of them is the network on whose features a projected discriminator trains.
JUDGES = ("efficientnet-lite0", "efficientnet-lite2")
MAX_JUDGED = 1000  # images per side
SHEET = 64
RESUMED_STEPS, ROWS = {"cuda": 48, "cpu": 16}, 8  # of the whole training, and of its history
FULL_MEMORY, FULL_BATCH = 6 * 2**30, 4096  # bytes that a process may have, and a batch that does not fit in


def quality(
    experiment: Experiment, train_files: Sequence[Path], held_out: Sequence[Path], out: Path,
    device: torch.device, seconds: float, images_seen: int | None,
) -> dict[str, Any]:  # fmt: skip
    """Train for what is left of `seconds` after scoring, or until so many images are seen; score; write a contact sheet
    into `out`.
    """
    begun = time.monotonic()
    reserve = min(max(0.1 * seconds, 2.0), 30.0)
    minutes = max(seconds - reserve, 1.0) / 60
    plan = {"minutes": minutes, "images": images_seen, "epochs": None, "snapshots": 0}
    changed = unconditioned(experiment, **plan)
    slices = load_training_slices(train_files, changed)
    real = load_slices(held_out, changed)
    budget = Budget(max(minutes - (time.monotonic() - begun) / 60, 0.02), images_seen)
    (out / CHECKPOINT_FILE).unlink(missing_ok=True)  # of an earlier run, which this one would resume
    outcome = train(changed, slices, out, device, budget, pictures=False)
    found: dict[str, Any] = {
        "name": experiment.name, "images_seen": outcome.images_seen, "rate": outcome.images_per_second,
        "minutes": outcome.seconds / 60, "precision": outcome.precision,
        "peak_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
    }  # fmt: skip
    count = min(len(real), len(slices), MAX_JUDGED)
    fake = generate(load_generator(out, device), range(count))
    title = f"{experiment.name} after {outcome.images_seen:,} images: held-out slices, and generated ones"
    shown = min(count, SHEET)
    contact_sheet(real.images[_spread(len(real), shown)], fake[:shown], out / "sheet.png", title)
    # As many training slices, evenly spaced: real against real.
    images = real.images[_spread(len(real), count)]
    others = slices.images[_spread(len(slices), count)]
    found |= {"n": count, "scores": []}
    for name in JUDGES:
        try:
            extractor = open_extractor(name, device, changed.display_window)
        except NotAvailable as error:
            found["scores"].append({"extractor": name, "failure": str(error)})
            continue
        of_real, of_fake, of_others = (
            extractor.features(some, label=None) for some in (images, fake, others)
        )
        found["scores"].append(
            {
                "extractor": extractor.id,
                "kid": 1000 * kid(of_real, of_fake, 0).value,
                "floor": 1000 * kid(of_real, of_others, 0).value,
                "coverage": precision_recall(of_real, of_fake).coverage,
            }
        )
    return found


def resume(experiment: Experiment, out: Path, device: torch.device, deterministic: bool) -> dict[str, Any]:
    """Train once without, and once with an interruption in the middle; compare images seen, losses and bits.

    deterministic: with PyTorch's deterministic algorithms where there are any; the operations without one are named.
    """
    images = RESUMED_STEPS[device.type] * experiment.training.batch_size
    plan = {
        "images": images, "minutes": None, "validation": None, "snapshots": 0,
        "sample_every_images": images // ROWS, "checkpoint_every_images": images,
    }  # fmt: skip
    changed = unconditioned(experiment, **plan)
    slices = _random_slices(2 * experiment.training.batch_size, experiment.resolution)
    budget = Budget(minutes=None, images=images)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    torch.backends.cudnn.deterministic = deterministic

    def run(name: str, callbacks: TrainingCallbacks | None = None) -> tuple[TrainingOutcome, list[Any]]:
        rows: list[Any] = []
        told = callbacks or TrainingCallbacks(on_row=lambda row, _: rows.append(row))
        outcome = train(changed, slices, out / name, device, budget, callbacks=told, pictures=False)
        return outcome, rows

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        whole, rows = run("whole")
        interrupted_rows: list[Any] = []

        def interrupt(row: Any, _: Any) -> None:
            interrupted_rows.append(row)
            if len(interrupted_rows) == ROWS // 2:
                os.kill(os.getpid(), signal.SIGINT)

        try:
            run("resumed", TrainingCallbacks(on_row=interrupt))
        except KeyboardInterrupt:
            pass
        else:
            raise RuntimeError("the training was not interrupted")
        resumed, later = run("resumed")
    pairs = list(zip(rows, interrupted_rows + later, strict=True))
    numbers = [row[key] for pair in pairs for row in pair for key in ("loss_d", "loss_g")]
    return {
        "name": experiment.name,
        "deterministic": deterministic,
        "resumed_at": resumed.resumed_at,
        "images_seen": [whole.images_seen, resumed.images_seen],
        "finite": all(math.isfinite(number) for number in numbers),
        "difference": max(abs(a[key] - b[key]) for a, b in pairs for key in ("loss_d", "loss_g")),
        "losses": [rows[-1]["loss_d"], later[-1]["loss_d"]],
        "same_bits": whole.sha256 == resumed.sha256,
        "without_deterministic": sorted({name for one in caught if (name := _operation(one.message))}),
    }


def stepper(experiment: Experiment, device: torch.device) -> None:
    """One of two trainings at once: prints `ready`, then for each line `SECONDS` of standard input trains for so long
    and prints images/s.
    """
    changed = unconditioned(experiment)
    images = _random_slices(512, experiment.resolution).images.to(device)
    images = images.contiguous(memory_format=torch.channels_last)
    state = TrainingState(changed, device, IndexSampler(len(images), None, device))
    batch = changed.training.batch_size

    def steps(count: int) -> None:
        for _ in range(count):
            step(state, images, NO_CONDITIONS, World(), 0.0)
        wait(device)

    steps(3)
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, done, started = float(line), 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            steps(4)
            done += 4
        print(done * batch / (time.perf_counter() - started), flush=True)


def full_memory(experiment: Experiment, out: Path, device: torch.device) -> dict[str, Any]:
    """What a training says whose batch does not fit into the memory of the GPU."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(FULL_MEMORY / total, 1.0))
    changed = unconditioned(experiment, batch_size=FULL_BATCH, images=FULL_BATCH)
    slices = _random_slices(64, experiment.resolution)
    try:
        train(changed, slices, out, device, Budget(minutes=None, images=FULL_BATCH), pictures=False)
    except BadInput as error:
        return {"sentence": str(error), "limit": FULL_MEMORY}
    return {"sentence": "", "limit": FULL_MEMORY}


def _random_slices(count: int, size: int) -> LoadedSlices:
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 1, 8, 8, generator=random) * 2 - 1
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return LoadedSlices(images, None, tuple(f"patient {number}" for number in range(count)))


def _spread(available: int, count: int) -> list[int]:
    return [at * available // count for at in range(count)]


def _operation(message: Warning | str) -> str:
    """The operation that a warning of `use_deterministic_algorithms` is about; empty: it is about something else."""
    found = re.match(r"(\S+) does not have a deterministic implementation", str(message))
    return found[1] if found else ""
