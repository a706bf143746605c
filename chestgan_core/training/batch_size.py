"""A GPU that is too small for the batch: smaller batches are tried, so that the error can name one that fits.

In: the state whose step ran out of memory. Out: the error to raise.
"""

import gc

import torch
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.distributed import World
from chestgan_core.training.step import step


def out_of_memory_error(state: TrainingState, images: Tensor, conditions: SliceConditions) -> BadInput:
    """Halve the batch until a step fits. The state cannot be used afterwards."""
    requested = batch = state.experiment.training.batch_size
    while batch > 2:
        batch //= 2
        _free()
        plan = state.experiment.training.model_copy(update={"batch_size": batch})
        state.experiment = state.experiment.model_copy(update={"training": plan})
        try:
            step(state, images, conditions, World(), 0.0)
        except torch.OutOfMemoryError:
            continue
        return _error(state, requested, f"set training.batch_size to {batch}, which fits")
    return _error(
        state, requested, "lower the widths of the networks or the resolution: not even a batch of 2 fits"
    )


def _error(state: TrainingState, requested: int, remedy: str) -> BadInput:
    cause = f"a batch of {requested} does not fit into the memory of {state.device}"
    return BadInput(f"training {state.experiment.name}", cause, remedy)


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
