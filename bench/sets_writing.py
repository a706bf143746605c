"""Releases of sets: generated, encoded, packed, checked and uploaded at once, against generation and PNG alone.

In: $CHESTGAN_BENCH_IMAGES, the images of the large set (by default 100,000 of 64 x 64). Out: two rows: images per
second of the default recipe, and the peak memory of a set ten times as large. The store is a SeaweedFS of this machine,
which takes cores from the release and not from the baseline. The baseline is the loop that one would write: Pillow, one
image after the other, and nothing kept.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from bench.peak import PEAK
from bench.ratio import Ratio
from chestgan_core.config.experiment import Experiment, load_experiment, parse_experiment
from chestgan_core.imaging.pictures import png_of, to_grey
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.transfer.generated_upload import publish_plan
from chestgan_core.publishing.writing.contents import plan_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import CHUNK, generate
from chestgan_core.training.weights import LoadedGenerator, load_generator, save_generator

IMAGES, ROUNDS, SIZE = 4_000, 5, "CHESTGAN_BENCH_IMAGES"
GIVEN = {"source": "nothing: random weights", "source_licence": "none needed"}
PROGRAM = f"""
import sys, time
from pathlib import Path
from chestgan_core.publishing.transfer.generated_upload import publish_plan
from chestgan_core.publishing.writing.contents import plan_set
from chestgan_core.store.store import Store
from chestgan_core.training.devices import pick_device
from chestgan_core.training.weights import load_generator
generator, count, folder = load_generator(Path(sys.argv[1]), pick_device("auto")), int(sys.argv[2]), Path(sys.argv[3])
folder.mkdir()
started = time.perf_counter()
publish_plan(Store.open(), plan_set(generator, generator.experiment, count, 0, {GIVEN}), folder)
print(time.perf_counter() - started)
"""


def measure() -> list[Ratio]:
    """Two rows; on two cores a minute and a half."""
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch,
        EmbeddedStore(Path(scratch) / "server") as server,
    ):
        folder = Path(scratch)
        return [_speed(server.store(), folder), _memory(server.environment, folder)]


def _speed(store: Store, folder: Path) -> Ratio:
    generator = _saved(load_experiment("lung-spectral-64"), folder / "default")
    seeds = iter(range(0, 2**31, IMAGES))
    release, bare = [], []
    for number in range(ROUNDS + 1):  # the first round warms up
        first = next(seeds)
        scratch = folder / f"release-{number}"
        scratch.mkdir()
        plan = plan_set(generator, generator.experiment, IMAGES, first, GIVEN)
        bare.append(_timed(partial(_bare, generator, range(first, first + IMAGES))))
        release.append(_timed(partial(publish_plan, store, plan, scratch)))
        shutil.rmtree(scratch)
    ours, theirs = (IMAGES / statistics.median(found[1:]) for found in (release, bare))
    note = (
        f"{IMAGES:,} images of {generator.experiment.name}, in the store, each read back; against generation and "
        f"Pillow's PNG in one thread, {generator.device}, median of {ROUNDS}"
    )
    return Ratio("publish a set / generation and PNG", ours, theirs, "images/s", 0.8, note)


def _bare(generator: LoadedGenerator, seeds: range) -> None:
    for start in range(0, len(seeds), CHUNK):
        for image in to_grey(generate(generator, seeds[start : start + CHUNK])):
            png_of(Image.fromarray(image))


def _memory(environment: dict[str, str], folder: Path) -> Ratio:
    fields = {"dataset": "phantom", "training": {"images": 1}}
    tiny = {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4}
    experiment = parse_experiment({**fields, "network": tiny}, "bench-tiny", "bench")
    _saved(experiment, folder / "tiny")
    large = int(os.environ.get(SIZE, 100_000))
    found = []
    for count in (large // 10, large):
        command = [
            sys.executable,
            "-c",
            PROGRAM + PEAK,
            str(folder / "tiny"),
            str(count),
            str(folder / f"{count}"),
        ]
        ran = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        seconds, peak = map(float, ran.stdout.split())
        found.append((seconds, peak / 2**10))
    (_, small), (seconds, peak) = found
    note = (
        f"{large:,} images of {experiment.resolution} x {experiment.resolution} by a tiny generator, with PyTorch, "
        f"against {large // 10:,}; {large / seconds:,.0f} images/s"
    )
    return Ratio("peak memory of publishing ten times as much", peak, small, "MiB", 1.1, note, at_most=True)


def _saved(experiment: Experiment, folder: Path) -> LoadedGenerator:
    folder.mkdir()
    save_generator(folder, build_generator(experiment), experiment)
    return load_generator(folder, pick_device("auto"))


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
