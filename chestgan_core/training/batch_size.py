"""A device that is too small for the batch: smaller batches are tried, so that the error can name one that fits.

In: what a training step takes. Out: the step; or, where its memory ran out, the error to raise.
"""

import traceback

from chestgan_core.errors import BadInput
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.devices import free_unused, is_out_of_memory
from chestgan_core.training.distributed import World
from chestgan_core.training.feed import Shown
from chestgan_core.training.step import step


def step_that_fits(
    state: TrainingState, images: Shown, conditions: SliceConditions, world: World, fraction: float
) -> None:
    """`step`. Raises BadInput: its batch does not fit into memory; names one that does."""
    try:
        step(state, images, conditions, world, fraction)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory_error(state, images, conditions, error) from error


def _out_of_memory_error(
    state: TrainingState, images: Shown, conditions: SliceConditions, failed: BaseException
) -> BadInput:
    """Halve the batch until a step fits. failed: what the step raised. The state cannot be used afterwards."""
    # The error holds the variables of the step that failed, hence the memory of a batch that is too large.
    traceback.clear_frames(failed.__traceback__)
    requested = batch = state.experiment.training.batch_size
    while batch > 2:
        batch //= 2
        free_unused(state.device)
        plan = state.experiment.training.model_copy(update={"batch_size": batch})
        state.experiment = state.experiment.model_copy(update={"training": plan})
        try:
            step(state, images, conditions, World(), 0.0)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            continue
        return _error(state, requested, f"set training.batch_size to {batch}, which fits")
    return _error(
        state, requested, "lower the widths of the networks or the resolution: not even a batch of 2 fits"
    )


def _error(state: TrainingState, requested: int, remedy: str) -> BadInput:
    cause = f"a batch of {requested} does not fit into the memory of {state.device}"
    return BadInput(f"training {state.experiment.name}", cause, remedy)
