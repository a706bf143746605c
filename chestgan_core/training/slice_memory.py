"""Whether training slices are held in memory or read from a mapped file: by what they need and what is free.

In: how many slices, an experiment, a device. Out: the choice, with its reason in words. The weights are the same.
"""

import os
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import choice_from_environment
from chestgan_core.local.memory import available_memory
from chestgan_core.training.devices import free_memory

VARIABLE = "CHESTGAN_SLICES"
CHOICES = ("auto", "memory", "mapped")
FRACTION = 0.5  # of what is free; networks, their gradients and other programs need the rest

Held: TypeAlias = Literal["memory", "mapped"]


@dataclass(frozen=True)
class Choice:
    """held: where. reason: the end of a sentence."""

    held: Held
    reason: str


def choose_memory(slices: int, experiment: Experiment, device: torch.device) -> Choice:
    """Where so many slices at the experiment's resolution are held.

    Every process of a training holds all of them: those that torchrun has started on this machine are counted.
    Raises BadInput: $CHESTGAN_SLICES is none of CHOICES.
    """
    asked = choice_from_environment(VARIABLE, CHOICES) or experiment.compute.slices
    needed = slices * experiment.resolution**2 * 4
    if asked != "auto":
        source = f"${VARIABLE}" if os.environ.get(VARIABLE, "").strip() else "compute.slices"
        return Choice("mapped" if asked == "mapped" else "memory", f"{_gb(needed)} as float32, by {source}")
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    found = [
        (of, needed * copies, free)
        for of, copies, free in (
            ("memory", processes, available_memory()),
            (f"memory of {device}", 1, free_memory(device)),
        )
        if free is not None
    ]
    for of, wanted, free in found:
        if wanted > FRACTION * free:
            return Choice("mapped", f"{_gb(wanted)} as float32, and {_gb(free)} of {of} are free")
    return Choice(
        "memory", f"{_gb(needed)} as float32" + "".join(f", {_gb(n)} of {of} free" for of, _, n in found)
    )


def require_memory(slices: int, experiment: Experiment) -> None:
    """Raises BadInput: so many slices at the experiment's resolution do not fit into the memory that is free."""
    needed, free = slices * experiment.resolution**2 * 4, available_memory()
    if free is not None and needed > free:
        raise BadInput(
            f"{slices:,} slices for {experiment.name}",
            f"take {_gb(needed)} of memory all together, and {_gb(free)} are free",
            "use a machine with more, or fewer slices: max_slices_per_patient under training_set of the dataset",
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"
