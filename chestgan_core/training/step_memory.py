"""The main memory of a training step, known before the first one: a CPU gives no error when it is full, the system ends
the process instead.

In: an experiment, its slices, for the CPU. Out: nothing, or the error that names a batch that fits.
"""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.local.memory import available_memory
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.distributed import World
from chestgan_core.training.feed import Shown
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.step import step

GIB = 2**30
# Batches that are tried; what a step holds grows linearly from one to the other, and on.
_SMALL, _LARGER = 4, 8


def require_memory(experiment: Experiment, images: Shown, conditions: SliceConditions) -> None:
    """Raises BadInput: a step on a CPU needs more memory than there is. images: (N, 1, R, R) on the CPU."""
    available, batch = available_memory(), experiment.training.batch_size
    if available is None or 2 * _roughly(experiment) < available:
        return
    first, each = step_memory(experiment, images, conditions)
    if (needed := first + batch * each) <= available:
        return
    cause = (
        f"a batch of {batch} needs {needed / GIB:.1f} GiB of memory, and {available / GIB:.1f} GiB are free"
    )
    fits = max((available - first) // each, 0)
    remedy = "lower the widths of the networks or the resolution, or train on a GPU"
    if fits >= 2:
        remedy = f"set training.batch_size to {1 << (fits.bit_length() - 1)}, which fits, or train on a GPU"
    raise BadInput(f"training {experiment.name}", cause, remedy)


def step_memory(experiment: Experiment, images: Shown, conditions: SliceConditions) -> tuple[int, int]:
    """Bytes of a step on a CPU whatever the batch is (networks, gradients, optimizers), and for each image of it.

    Measured with batches of 4 and 8: all that is alive at the same time, without what a convolution takes for itself.
    """
    small, larger = (_peak(experiment, batch, images, conditions) for batch in (_SMALL, _LARGER))
    each = max((larger - small) // (_LARGER - _SMALL), 1)
    return max(small - _SMALL * each, 0), each


def _roughly(experiment: Experiment) -> int:
    """Bytes, from the widest layers: those after them have together as much, and each is kept before and after its
    normalization; the discriminator sees real and generated images.
    """
    network, places = experiment.network, (experiment.resolution // 2) ** 2
    widths = network.generator_width + 2 * network.discriminator_width
    return 4 * experiment.training.batch_size * places * widths * 4


def _peak(experiment: Experiment, batch: int, images: Shown, conditions: SliceConditions) -> int:
    plan = experiment.training.model_copy(update={"batch_size": batch})
    smaller, device = experiment.model_copy(update={"training": plan}), torch.device("cpu")
    with _Alive() as alive:
        state = TrainingState(smaller, device, IndexSampler(len(images), None, device))
        for _ in range(2):  # the states of the optimizers are there from the second step on
            step(state, images, conditions, World(), 0.0)
    peak: int = alive.peak
    return peak


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are alive. peak: the most at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._counted: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._count, made)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if (key := id(storage)) in self._counted:
            return
        self._counted.add(key)
        size = storage.nbytes()
        weakref.finalize(storage, self._ended, key, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _ended(self, key: int, size: int) -> None:
        self._counted.discard(key)
        self.now -= size
