"""One training on several GPUs or machines, started by torchrun: each process takes its part of every batch.

In: RANK, WORLD_SIZE and what else torchrun sets. Out: a Team, whose members average their gradients. Gradients are
averaged by hand, and not by DistributedDataParallel: that follows one backward pass a step, and penalties have two.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """All processes of a training: how many, and which of them this one is. words: how they talk past their GPUs."""

    size: int = 1
    rank: int = 0
    words: Any = None

    @classmethod
    def of_torchrun(cls, device: torch.device) -> Self:
        """The team that torchrun has started; a process that it did not start is a team of one."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        # Through a GPU, each word would make the processor wait for it.
        words = dist.new_group(backend="gloo") if device.type == "cuda" else None
        return cls(size, int(os.environ["RANK"]), words)

    @property
    def leads(self) -> bool:
        """Whether this process writes, scores and decides."""
        return self.rank == 0

    def average_gradients(self, network: nn.Module) -> None:
        """The mean over the team, in one message."""
        if self.size == 1:
            return
        gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        _copy_back(flat, gradients)

    def mean(self, number: Tensor) -> Tensor:
        """The mean of a number over the team, on its device."""
        if self.size == 1:
            return number
        dist.all_reduce(number)
        return number / self.size

    def agree(self, *numbers: float) -> list[float]:
        """The numbers that the leader gave."""
        if self.size == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64)
        dist.broadcast(told, 0, group=self.words)
        return [float(number) for number in told]


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def _copy_back(flat: Tensor, gradients: Iterable[Tensor]) -> None:
    start = 0
    for gradient in gradients:
        end = start + gradient.numel()
        gradient.copy_(flat[start:end].view_as(gradient))
        start = end
