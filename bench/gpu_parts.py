"""The parts of `bench.gpu`, each in a process of its own.

In: the name of a part, a device, files of slices, when its time is over. Out: a line of JSON on standard output for
each thing found.
"""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bench import gpu_trainings
from bench.gpu_loops import THESIS_WIDTHS, loader_workers, thesis_loop, tutorial_loop
from bench.gpu_steps import Contender, matrix_rate, measure, ours, unconditioned
from chestgan_core.config.experiment import Experiment, load_experiment, parse_experiment
from chestgan_core.config.names import experiment_files
from chestgan_core.training.devices import kind_of_device

BATCHES = {32: 4, 64: 128, 128: 64, 256: 32}  # at each resolution the same for all, so that they compare
# On a CPU a part does no more than it needs to show that it works, however slow the machine is.
CPU_STRETCHES, CPU_IMAGES = 3, 64
TINY: dict[str, Any] = {"generator_width": 4, "discriminator_width": 4}
Ways = Mapping[str, Sequence[str]]
"""Of each family, in which ways a step is computed."""
# In which ways each family is measured at each resolution, the most telling first: what is not reached is at the end.
WAYS: Mapping[int, Ways] = {
    64: {
        "spectral": ("float32", "tf32", "tf32-last", "bf16-nchw", "bf16"),
        "projected": ("bf16",),
        "r3": ("bf16",),
        "dcgan": ("bf16",),
    },
    128: {
        "r3": ("float32", "tf32", "tf32-last", "bf16-nchw", "bf16"),
        "projected": ("tf32-last", "bf16"),
        "spectral": ("bf16",),
        "dcgan": ("bf16",),
    },
    256: {"r3": ("bf16",), "projected": ("bf16",)},
    32: {"spectral": ("float32", "bf16"), "r3": ("bf16",), "projected": ("bf16",), "dcgan": ("bf16",)},
}
# After all others, as a capture that fails may leave a device on which nothing else runs.
GRAPHS: Ways = dict.fromkeys(("spectral", "projected", "r3", "dcgan"), ("bf16", "graph"))
COMPILED: Ways = {"spectral": ("bf16", "compile")}  # compiling takes most of its time


def run_part(
    name: str, device_name: str, data: Sequence[Path], held_out: Sequence[Path], out: Path, deadline: float
) -> None:
    """Run it. deadline: of time.monotonic()."""
    device = torch.device(device_name)
    size = min(BATCHES) if device.type == "cpu" else 128  # of trainings
    if name == "speed":
        _speeds(device, deadline)
    elif name == "compile":
        _speed(size, COMPILED, False, device, deadline)
    elif name == "stepper":
        gpu_trainings.stepper(_experiment("r3", size), device)
    elif name == "resume":
        _resume(size, device, deadline)
        if device.type == "cuda":  # last, as from then on the process may have no more
            with tempfile.TemporaryDirectory(prefix="chestgan-gpu-") as scratch:
                _say({"memory": gpu_trainings.full_memory(_experiment("r3", size), Path(scratch), device)})
    else:
        small = device.type == "cpu" or name not in experiment_files()
        experiment = _experiment(name.split("-")[1], size) if small else load_experiment(name)
        left, images = deadline - time.monotonic(), CPU_IMAGES if device.type == "cpu" else None
        found = gpu_trainings.quality(experiment, data, held_out, out / name, device, left, images)
        _say({"quality": found})


def _speeds(device: torch.device, deadline: float) -> None:
    """All sizes one after the other, then graphs; what one leaves of its time goes to those after it."""
    if device.type == "cpu":
        _speed(min(BATCHES), WAYS[min(BATCHES)], True, device, deadline)
        return
    rounds = [(64, WAYS[64], True, 3.0), (128, WAYS[128], True, 3.0), (256, WAYS[256], True, 1.0)]
    rounds += [(64, GRAPHS, False, 2.0), (128, GRAPHS, False, 2.0)]
    for at, (size, ways, loops, share) in enumerate(rounds):
        left = sum(one[-1] for one in rounds[at:])
        now = time.monotonic()
        _speed(size, ways, loops, device, now + share / left * (deadline - now))
        torch.cuda.empty_cache()


def _speed(size: int, ways: Ways, loops: bool, device: torch.device, deadline: float) -> None:
    """loops: those of others, too."""
    cpu = device.type == "cpu"
    rate = matrix_rate(device, 256 if cpu else 8192)
    _say({"matrix_rate": rate, "device": kind_of_device(device)})
    batch = BATCHES[size]
    random = torch.Generator().manual_seed(0)
    images = torch.rand(64 if cpu else 2048, 1, size, size, generator=random) * 2 - 1
    on_device = images.to(device)
    contenders: list[Contender] = []
    if loops:
        workers = 0 if cpu else loader_workers(images, batch)
        widths, width = (TINY, 4) if cpu else (THESIS_WIDTHS, 64)
        thesis = f"loop of the thesis system (DCGAN, widths {' and '.join(map(str, widths.values()))})"
        tutorial = f"loop of DCGAN tutorials (width {width}, {workers} loading processes)"
        contenders += [
            Contender(thesis, batch, lambda: thesis_loop(images, batch, device, widths)),
            Contender(tutorial, batch, lambda: tutorial_loop(images, batch, device, width, workers)),
        ]
    for family, some in ways.items():
        experiment = unconditioned(_experiment(family, size), batch_size=batch)
        contenders += [ours(experiment, on_device, way, device) for way in some]
    stretch_s, stretches = (0.0, CPU_STRETCHES) if cpu else (0.4, 25)
    measure(contenders, device, deadline, stretch_s, stretches)
    for contender in contenders:
        _say({"row": contender.row(size, rate)})


def _resume(size: int, device: torch.device, deadline: float) -> None:
    for family in ("r3", "projected"):
        for deterministic in (True, False):
            if time.monotonic() > deadline:
                return
            with tempfile.TemporaryDirectory(prefix="chestgan-gpu-") as scratch:
                found = gpu_trainings.resume(_experiment(family, size), Path(scratch), device, deterministic)
            _say({"resume": found})


def _experiment(family: str, size: int) -> Experiment:
    """The experiment of that family for lungs, at that size; where there is none, another one's at that size. At the
    smallest size the networks are tiny.
    """
    names = [f"lung-{family}-{known}" for known in (size, 128, 64)]
    found = next((name for name in names if name in experiment_files()), None)
    fields = load_experiment(found or "lung-spectral-64").model_dump(mode="json")
    if found is None:
        # Projected discriminators as their defaults are, with the rest of the recipe that is best on a processor.
        fields["network"] |= {"family": family, "projection": {}}
    fields["resolution"] = size
    if size == min(BATCHES):
        fields["network"] |= TINY
        fields["training"]["batch_size"] = BATCHES[size]
    del fields["name"]
    return parse_experiment(fields, f"lung-{family}-{size}", "bench")


def _say(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)
