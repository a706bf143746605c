"""A training that is killed again and again, and ends like one that was never interrupted.

In: seconds, a seed. Out: a Tally. The generator must be the same to the last bit as that of a training without kills.
"""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch

from chaos.killed import Confirm, duration, run_and_kill
from chaos.tally import Tally
from chestgan_core.config.experiment import Experiment
from chestgan_core.store.artefacts import sha256_of
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import train
from chestgan_core.training.run_manifest import GENERATOR_FILE
from chestgan_core.training.schedule import Budget
from tests.training.conftest import discs, slices_of, small

_IMAGES = 200
_MOST_KILLS = 20


def killed_trainings(until: float, seed: int, folder: Path) -> Tally:
    """A training is killed until it gets to its end."""
    tally, chance = Tally("training killed", "it ends with the same bits", seed), random.Random(seed)
    torch.set_num_threads(1)
    slices = slices_of(discs())
    while time.monotonic() < until:
        experiment = small(images=_IMAGES, sample_every_images=100).model_copy(update={"seed": tally.tried})
        whole, broken = folder / "whole", folder / "broken"
        longest = 0.8 * duration(_training(experiment, slices, whole))
        for _ in range(_MOST_KILLS):
            (done,) = run_and_kill([_training(experiment, slices, broken)], chance, longest)
            if any(line.startswith("error") for line in done):
                tally.require(False, done[-1])
                break
            if done:
                break
            tally.faults += 1
        else:
            duration(_training(experiment, slices, broken))
        ends = [out / GENERATOR_FILE for out in (whole, broken)]
        tally.require(all(end.is_file() for end in ends), "there is no generator at the end")
        if all(end.is_file() for end in ends):
            tally.confirmed += 1
            tally.require(sha256_of(ends[0]) == sha256_of(ends[1]), "another generator than without kills")
        shutil.rmtree(whole, ignore_errors=True)
        shutil.rmtree(broken, ignore_errors=True)
        tally.tried += 1
    return tally


def _training(experiment: Experiment, slices: LoadedSlices, out: Path) -> Callable[[Confirm], None]:
    def work(confirm: Confirm) -> None:
        train(
            experiment, slices, out, torch.device("cpu"), Budget(minutes=None, images=_IMAGES), pictures=False
        )
        confirm("trained")

    return work
