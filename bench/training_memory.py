"""Peak memory of training the largest DCGAN: 512 pixels, batch 8, in its own process.

In: nothing. Out: one row. On a CPU the peak of the whole process counts, PyTorch included; on a GPU what its allocator
held.
"""

import subprocess
import sys

from bench.peak import PEAK
from bench.ratio import Ratio
from chestgan_core.config.experiment import load_experiment

LARGEST, MAX_GIB, STEPS = "lung-dcgan-512", 8.0, 3
PROGRAM = f"""
import torch
from chestgan_core.config.experiment import load_experiment
from chestgan_core.training.devices import pick_device
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.distributed import World
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.step import step
experiment, device = load_experiment("{LARGEST}"), pick_device("auto")
images = torch.zeros(64, 1, experiment.resolution, experiment.resolution, device=device)
state = TrainingState(experiment, device, IndexSampler(len(images), None, device))
for _ in range({STEPS}):
    step(state, images, NO_CONDITIONS, World(), 0.0)
assert state.is_finite()
if device.type == "cuda":
    print(torch.cuda.max_memory_reserved() // 1024)
    raise SystemExit
"""


def measure() -> list[Ratio]:
    """Some seconds on two cores."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM + PEAK], check=True, capture_output=True, text=True)
    experiment = load_experiment(LARGEST)
    widths = f"widths {experiment.network.generator_width} and {experiment.network.discriminator_width}"
    note = f"{STEPS} steps, batch {experiment.training.batch_size}, {widths}, with PyTorch and 64 slices"
    return [
        Ratio(
            f"peak memory of training {LARGEST}",
            int(ran.stdout) / 2**20,
            MAX_GIB,
            "GiB",
            1.0,
            note,
            at_most=True,
        )
    ]
