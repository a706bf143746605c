"""One training by several processes, on several GPUs or machines: each takes its part of every batch.

In: what torchrun sets (RANK, WORLD_SIZE, ...), or the store at which gpu_workers.py lets its processes meet. Out: a
World, whose processes average their gradients. That is done here and not by DistributedDataParallel, which follows one
backward pass per step, and gradient penalties have two.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from chestgan_core.training.devices import GPUS


@dataclass(frozen=True)
class World:
    """All processes of one training: how many (size), and which of them this one is (rank, 0 is the main one).

    local_rank: number of its GPU on this machine; None keeps the device as it is named. cpu_group: a gloo group for
    messages between CPUs; None is the default group.
    """

    size: int = 1
    rank: int = 0
    local_rank: int | None = None
    cpu_group: Any = None

    @classmethod
    def from_torchrun(cls, device: torch.device) -> Self:
        """The world that torchrun has started; a process that it did not start is alone."""
        local_rank = int(os.environ["LOCAL_RANK"]) if "LOCAL_RANK" in os.environ else None
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls(local_rank=local_rank)
        if not dist.is_initialized():
            dist.init_process_group(_backend(device))
        return cls(dist.get_world_size(), dist.get_rank(), local_rank, _cpu_group(device))

    @classmethod
    def join(cls, store: Any, size: int, rank: int, device: torch.device) -> Self:
        """The world of `size` processes of one machine that meet at a torch.distributed store; waits for all."""
        dist.init_process_group(_backend(device), store=store, world_size=size, rank=rank)
        return cls(size, rank, rank, _cpu_group(device))

    @property
    def is_main(self) -> bool:
        """Whether this process writes, validates and decides."""
        return self.rank == 0

    def local_device(self, device: torch.device) -> torch.device:
        """The GPU of this process."""
        if device.type in GPUS and self.local_rank is not None:
            return torch.device(device.type, self.local_rank)
        return device

    def average_gradients(self, network: nn.Module) -> None:
        """Replace the gradients by their mean over all processes, in one message."""
        if self.size == 1:
            return
        gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        _copy_back(flat, gradients)

    def mean(self, number: Tensor) -> Tensor:
        """The mean of a number over all processes, on its device."""
        if self.size == 1:
            return number
        dist.all_reduce(number)
        return number / self.size

    def broadcast(self, *numbers: float) -> list[float]:
        """The numbers of the main process, in every process."""
        if self.size == 1:
            return list(numbers)
        message = torch.tensor(numbers, dtype=torch.float64)
        dist.broadcast(message, 0, group=self.cpu_group)
        return [float(number) for number in message]


def _backend(device: torch.device) -> str:
    return {"cuda": "nccl", "xpu": "xccl"}.get(device.type, "gloo")


def _cpu_group(device: torch.device) -> Any:
    # Sent through a GPU, each message would make the CPU wait for it.
    return dist.new_group(backend="gloo") if device.type in GPUS else None


def _copy_back(flat: Tensor, gradients: Iterable[Tensor]) -> None:
    start = 0
    for gradient in gradients:
        end = start + gradient.numel()
        gradient.copy_(flat[start:end].view_as(gradient))
        start = end
