"""Trainings whose slices stay in a file against trainings whose slices are in memory: images per second, and memory.

`python -m bench.mapped_slices --slices 1000000 --size 64` writes shards of noise, loads them mapped, takes steps, and
then steps in turns with slices in memory, as many of the same as --against says. In: how many slices of how many
pixels, a device, a folder with room for twice the slices as int16. Out: a table: seconds of each part, the peak of the
memory that is of no file (Linux), and the ratio. `make bench` has the ratio of a small set. Needs neither Dagster nor a
store.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from bench.ratio import Ratio
from bench.turns import one_thread
from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.local.files import require_space
from chestgan_core.slices.shards import Shard, SliceRow, write_shard
from chestgan_core.training.checkpoint import TrainingState, data_fingerprint
from chestgan_core.training.data import LoadedSlices, load_training_slices
from chestgan_core.training.distributed import World
from chestgan_core.training.feed import Shown, draw_batch, open_feed
from chestgan_core.training.mapped_images import Images, spread_of
from chestgan_core.training.sampling import IndexSampler, sampling_weights
from chestgan_core.training.step import step, step_period

TARGET, ROUNDS, SLICES, SIZE = 0.9, 7, 4000, 64
SECONDS = 0.5  # of a stretch, about
FEW = 20  # steps
SAME = 20  # batches that are compared bit by bit


def measure() -> list[Ratio]:
    """The row of `make bench`; half a minute on two cores."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as folder:
        paths = write_noise(Path(folder), SLICES, SIZE, 250)
        experiment = of_size(SIZE, 32)
        with _home(Path(folder)):
            mapped = _load(paths, experiment, device, "mapped")
            memory = _load(paths, experiment, device, "memory")
            return [in_turns(mapped, memory, experiment, device)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a set of any size."""
    parser = argparse.ArgumentParser(prog="python -m bench.mapped_slices", description=__doc__)
    parser.add_argument("--slices", type=int, default=SLICES, help="how many (default %(default)s)")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels per side (default %(default)s)")
    parser.add_argument("--stored", type=int, help="pixels per side of the shards, if larger")
    parser.add_argument(
        "--per-shard", type=int, default=250, help="slices of a patient (default %(default)s)"
    )
    parser.add_argument("--against", type=int, help="slices in memory (default: all)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--folder", type=Path, help="for shards and file (default: a temporary one)")
    args = parser.parse_args(arguments)
    device, stored = torch.device(args.device), args.stored or args.size
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-", dir=args.folder) as name, _home(Path(name)):
        folder, experiment = Path(name), of_size(args.size, args.batch)
        require_space(
            [(folder, 2 * args.slices * stored**2 * 2, "give --folder on another disk, or fewer --slices")]
        )
        with _timed("write shards of noise"):
            paths = write_noise(folder, args.slices, stored, args.per_shard)
        with _peak_of_no_file() as peak:
            before = peak()
            with _timed("load them, mapped"):
                mapped = _load(paths, experiment, device, "mapped")
            few = paths[: -(-(args.against or args.slices) // args.per_shard)]
            for path in paths[len(few) :]:
                path.unlink()  # they take as much of the disk again
            with _timed("fingerprint"):
                data_fingerprint(mapped.images)
            with _timed("spread"):
                spread_of(mapped.images)
            with _timed(f"{FEW} steps"), open_feed(mapped.images, device, _period(experiment)) as shown:
                _Steps(mapped, shown, experiment, device)(FEW)
            needed = mapped.images.shape.numel() * 4
            print(f"peak of memory that is of no file: {_gib(peak())}, before loading {_gib(before)}")
            print(f"the slices in memory would be {_gib(needed)}", flush=True)
        with _timed("load some into memory"):
            memory = _load(few, experiment, device, "memory")
        print(
            "| what | ours | baseline | unit | ratio | target | | note |\n|---|---|---|---|---|---|---|---|"
        )
        print(in_turns(mapped, memory, experiment, device).row(), flush=True)


def of_size(size: int, batch: int) -> Experiment:
    """The networks of lung-spectral-64, at any size."""
    fields: dict[str, object] = {
        "dataset": "lung_pet_ct_dx",
        "resolution": size,
        "network": {"family": "spectral", "generator_width": 16, "discriminator_width": 16},
        "training": {"loss": {"kind": "hinge"}, "augmentation": {}, "batch_size": batch, "images": batch},
    }
    return parse_experiment(fields, f"mapped-{size}", "bench")


def write_noise(folder: Path, slices: int, size: int, per_shard: int) -> list[Path]:
    """Shards of one patient each, of noise in HU."""
    random, paths = np.random.default_rng(0), []
    for first in range(0, slices, per_shard):
        count, patient = min(per_shard, slices - first), f"P{first // per_shard:06}"
        hu = random.integers(-1350, 150, (count, size, size), np.int16)
        series = f"1.2.826.0.1.3680043.8.498.{10**30 + first}"
        rows = tuple(
            SliceRow(
                patient, "A", series, f"{series}.{at}", 3.0 * at, 0.3, 320 / size, phash=f"{first + at:016x}"
            )
            for at in range(count)
        )
        paths.append(folder / "shards" / f"{patient}.safetensors")
        write_shard(Shard(hu, rows), paths[-1])
    return paths


def in_turns(
    mapped: LoadedSlices[Images], memory: LoadedSlices[Images], experiment: Experiment, device: torch.device
) -> Ratio:
    """Images per second of both: the median over stretches in turns, so that a busy machine slows both alike. On a CPU
    on one thread, by the time of the processor: what waits for a disk is another matter.
    """
    with (
        one_thread(),
        open_feed(mapped.images, device, _period(experiment)) as ours,
        open_feed(memory.images, device, _period(experiment)) as theirs,
    ):
        if len(mapped) == len(memory):
            _require_same(ours, theirs, len(mapped), experiment, device)
        runs = [_Steps(mapped, ours, experiment, device), _Steps(memory, theirs, experiment, device)]
        steps = max(round(SECONDS / (runs[1](FEW) / FEW)), 4)
        runs[0](FEW)
        seconds: list[list[float]] = [[], []]
        for number in range(ROUNDS):
            for at in (0, 1) if number % 2 else (1, 0):
                seconds[at].append(runs[at](steps))
        ahead = (
            ""
            if isinstance(ours, torch.Tensor) or device.type == "cpu"
            else f", read ahead {ours.read_ahead}"
        )
    images = steps * experiment.training.batch_size
    rate, baseline = (images / statistics.median(found) for found in seconds)
    size, batch = experiment.resolution, experiment.training.batch_size
    note = f"{len(mapped):,} mapped and {len(memory):,} in memory, batch {batch}, {device.type}{ahead}"
    name = f"training on mapped slices of {size} x {size} / on slices in memory"
    return Ratio(name, rate, baseline, "images/s", TARGET, note)


class _Steps:
    """So many steps of a training of its own, in seconds."""

    def __init__(
        self, slices: LoadedSlices[Images], shown: Shown, experiment: Experiment, device: torch.device
    ) -> None:
        weights = sampling_weights(slices.patients, None, experiment.training.sampling)
        self._state = TrainingState(experiment, device, IndexSampler(len(slices), weights, device))
        self._shown, self._conditions, self._device = shown, slices.conditions.to(device), device

    def __call__(self, count: int) -> float:
        begun = self._now()
        for _ in range(count):
            step(self._state, self._shown, self._conditions, World(), 0.0)
        return self._now() - begun

    def _now(self) -> float:
        if self._device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self._device)
        return time.perf_counter()


def _require_same(
    ours: Shown, theirs: Shown, count: int, experiment: Experiment, device: torch.device
) -> None:
    """Both give the same batches, bit by bit."""
    randoms = [torch.Generator(device).manual_seed(1) for _ in range(2)]
    sampler = IndexSampler(count, None, device)
    for _ in range(SAME):
        first, second = (
            draw_batch(shown, sampler, experiment.training.batch_size, random)
            for shown, random in zip((ours, theirs), randoms, strict=True)
        )
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])


def _load(
    paths: Sequence[Path], experiment: Experiment, device: torch.device, held: str
) -> LoadedSlices[Images]:
    fields = experiment.model_dump(mode="json") | {"compute": {"slices": held}}
    return load_training_slices(paths, Experiment.model_validate(fields), device=device)


def _period(experiment: Experiment) -> int:
    return step_period(experiment) * experiment.training.critic_steps


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """Files of slices go below this folder, whatever is set."""
    before = {name: os.environ.pop(name, None) for name in ("CHESTGAN_HOME", "CHESTGAN_SLICES")}
    os.environ["CHESTGAN_HOME"] = str(folder)
    try:
        yield
    finally:
        del os.environ["CHESTGAN_HOME"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


@contextmanager
def _timed(what: str) -> Iterator[None]:
    begun, busy = time.perf_counter(), time.process_time()
    yield
    wall, busy = time.perf_counter() - begun, time.process_time() - busy
    print(f"{what}: {wall:.1f} s, of the processor {busy:.1f} s", flush=True)


@contextmanager
def _peak_of_no_file() -> Iterator[Callable[[], int]]:
    """What gives the peak since the block began, in bytes; 0 where Linux does not say it."""
    ended, peak = threading.Event(), 0

    def look() -> int:
        nonlocal peak
        status = Path("/proc/self/status")
        lines = status.read_text().splitlines() if status.exists() else []
        peak = max([peak, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))])
        return peak

    def watch() -> None:
        while not ended.wait(0.02):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield look
    finally:
        ended.set()
        watcher.join()


if __name__ == "__main__":
    main()
