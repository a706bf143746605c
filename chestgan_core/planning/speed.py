"""How fast this machine trains, generates and scores an experiment, measured by doing it for a few seconds.

In: an experiment, its slices where there are some, a device. Out: rates with their spread, memory, bytes. The steps are
those of a training (training/step.py) on a state of their own, so a training beside or after it is not changed.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import NotAvailable
from chestgan_core.metrics.feature_extractors import BATCH, open_extractor
from chestgan_core.planning.stand_in_slices import stand_in_slices
from chestgan_core.training.batch_size import step_that_fits
from chestgan_core.training.checkpoint import CHECKPOINT_FILE, TrainingState
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.devices import GPUS, free_unused, kind_of_device
from chestgan_core.training.distributed import World
from chestgan_core.training.feed import open_feed
from chestgan_core.training.generation import CHUNK, generate
from chestgan_core.training.layouts import layouts_of
from chestgan_core.training.mapped_images import Images
from chestgan_core.training.records import ROW_SAMPLES, sample
from chestgan_core.training.run_manifest import GENERATOR_FILE
from chestgan_core.training.sampling import IndexSampler, sampling_weights
from chestgan_core.training.step import step_period
from chestgan_core.training.step_memory import require_memory
from chestgan_core.training.weights import LoadedGenerator, save_generator

# A timed run: so long, and at most this part of the training that it stands for.
SECONDS, FRACTION = 4.0, 0.01
WARM_UP_STEPS, MIN_BLOCKS, MAX_BLOCKS = 3, 3, 10
SCORED = 2 * BATCH  # images whose features are timed, of which the first batch is a warm-up


@dataclass(frozen=True)
class Speed:
    """images_per_second: seen by the training, over the whole timed run; slowest, fastest: of its blocks.

    seconds, blocks: of the timed run. cores: CPU cores that were busy. memory: peak in bytes; of the GPU's allocator on
    a GPU, else of the whole process with PyTorch. machine: kind of device. row_seconds, checkpoint_seconds: of a row of
    the history with its samples, of a checkpoint. checkpoint_bytes, generator_bytes: of the files.
    generated_per_second: images from seeds.
    """

    images_per_second: float
    slowest: float
    fastest: float
    seconds: float
    blocks: int
    cores: float
    memory: int
    machine: str
    threads: int
    precision: str
    row_seconds: float
    checkpoint_seconds: float
    checkpoint_bytes: int
    generator_bytes: int
    generated_per_second: float


def measure_speed(
    experiment: Experiment,
    device: torch.device,
    slices: LoadedSlices[Images] | None = None,
    seconds: float = SECONDS,
    images: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Time the steps of a training, one row of its history and one checkpoint.

    Args:
        experiment: What is trained.
        device: Where.
        slices: The training slices; by default noise of the same size.
        seconds: Of timed steps, at most; they end sooner where they reach a hundredth of what `images` would take.
        images: To be seen by the training that is planned.
        clock: Seconds.

    Raises:
        BadInput: The batch does not fit into the memory of the GPU, or of this machine.
    """
    speed = _measure(experiment, device, slices or stand_in_slices(experiment), seconds, images, clock)
    free_unused(device)  # of networks that nobody holds any more
    return speed


def _measure(
    experiment: Experiment,
    device: torch.device,
    slices: LoadedSlices[Images],
    seconds: float,
    images: int | None,
    clock: Callable[[], float],
) -> Speed:
    on_gpu = device.type in GPUS
    if on_gpu:
        torch.accelerator.reset_peak_memory_stats(device)
    weights = sampling_weights(slices.patients, slices.classes, experiment.training.sampling, None)
    state = TrainingState(experiment, device, IndexSampler(len(slices), weights, device))
    state.layouts = layouts_of(slices, experiment)
    conditions, world, every = slices.conditions.to(device), World(), step_period(experiment)
    seen_per_step = experiment.training.batch_size * experiment.training.critic_steps
    with open_feed(slices.images, device, every * experiment.training.critic_steps) as shown:
        if device.type == "cpu":
            require_memory(experiment, shown, conditions)

        def some_steps(count: int) -> float:
            """Seconds of so many steps."""
            begun = clock()
            for _ in range(count):
                step_that_fits(state, shown, conditions, world, 0.0)
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            return clock() - begun

        # A block holds each kind of step.
        warm = some_steps(max(WARM_UP_STEPS, every)) / max(WARM_UP_STEPS, every)
        if images is not None:
            seconds = min(seconds, FRACTION * images / seen_per_step * warm)
        block = every * max(1, round(seconds / MAX_BLOCKS / (warm * every)))
        cpu, times = _cpu_seconds(), list[float]()
        while len(times) < MAX_BLOCKS and (len(times) < MIN_BLOCKS or sum(times) < seconds):
            times.append(some_steps(block))
        cores = (_cpu_seconds() - cpu) / max(sum(times), 1e-9)
    memory = torch.accelerator.max_memory_allocated(device) if on_gpu else peak_memory()
    row_seconds = _timed(lambda: sample(state, ROW_SAMPLES), clock)
    generator = LoadedGenerator(state.ema.eval(), experiment, "", device, state.layouts)
    generating = _timed(lambda: generate(generator, range(CHUNK)), clock)
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        file = Path(scratch) / CHECKPOINT_FILE
        checkpoint_seconds = _timed(lambda: state.save(file, ""), clock)
        save_generator(Path(scratch), state.ema, experiment, layouts=state.layouts)
        sizes = file.stat().st_size, (Path(scratch) / GENERATOR_FILE).stat().st_size
    seen = block * seen_per_step
    return Speed(
        images_per_second=seen * len(times) / max(sum(times), 1e-9),
        slowest=seen / max(*times, 1e-9),
        fastest=seen / max(min(times), 1e-9),
        seconds=sum(times),
        blocks=len(times),
        cores=cores,
        memory=memory,
        machine=kind_of_device(device),
        threads=torch.get_num_threads(),
        precision="bf16" if state.bf16 else "fp32",
        row_seconds=row_seconds,
        checkpoint_seconds=checkpoint_seconds,
        checkpoint_bytes=sizes[0],
        generator_bytes=sizes[1],
        generated_per_second=CHUNK / max(generating, 1e-9),
    )


def measure_scoring(
    experiment: Experiment,
    names: Sequence[str],
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float | None]:
    """Images per second of each extractor; None where its weights are not on this machine."""
    images = stand_in_slices(experiment).images[:SCORED]
    found: dict[str, float | None] = {}
    for name in names:
        try:
            extractor = open_extractor(name, device, experiment.display_window)
        except NotAvailable:
            found[name] = None
            continue
        extractor.features(images[:BATCH], label=None)
        begun = clock()
        extractor.features(images[BATCH:], label=None)
        found[name] = (len(images) - BATCH) / max(clock() - begun, 1e-9)
    return found


def peak_memory() -> int:
    """Bytes of main memory that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    begun = clock()
    work()
    return clock() - begun


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
