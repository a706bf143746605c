"""Images from seeds against the bare forward passes of the same network: what reproducible images cost.

In: nothing. Out: one row. The bare passes draw all noise at once and take the batch that suits the machine best; ours
draw each seed's noise, keep every seed at its place in its chunk, clamp, and gather the images on the CPU.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bench.ratio import Ratio
from chestgan_core.config.experiment import load_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import load_generator, save_generator

IMAGES, ROUNDS, BATCHES, OURS = 1_000, 7, (16, 64, 250), 0


def measure() -> list[Ratio]:
    """The row of the default recipe; some seconds."""
    experiment, device = load_experiment("lung-spectral-64"), pick_device("auto")
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        save_generator(Path(scratch), build_generator(experiment), experiment)
        generator = load_generator(Path(scratch), device)

    @torch.inference_mode()
    def bare(batch: int) -> None:
        noise = torch.randn(IMAGES, experiment.network.latent_dim)
        torch.cat([generator.module(few.to(device)).cpu() for few in torch.split(noise, batch)])

    runs: dict[int, Callable[[], object]] = {batch: partial(bare, batch) for batch in BATCHES}
    runs[OURS] = lambda: generate(generator, range(IMAGES))
    seconds: dict[int, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS + 1):  # the first round warms up
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(found[1:]) for name, found in seconds.items()}
    best = min(BATCHES, key=lambda batch: medians[batch])
    note = f"{IMAGES:,} images of {experiment.name}, bare passes in batches of {best}, {device}, median of {ROUNDS}"
    return [
        Ratio("generation / bare forward passes", medians[OURS], medians[best], "s", 1.2, note, at_most=True)
    ]
