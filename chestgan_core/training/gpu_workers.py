"""One training on several GPUs of a machine, without torchrun: this process leads, and starts the others.

In: experiment, slices, folder, as train() takes them. Out: a block in which train() finds itself the leader of a team
(parallel.py). On a processor a team is slower than one process; only tests ask for it.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import ChestganError
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import train
from chestgan_core.training.schedule import Budget

# A mate ends with the last step, some time before the leader has written its records.
PATIENCE = 60


class MateLost(ChestganError):
    """A process of the team died; what it said is in the log."""


def team_size(experiment: Experiment, device: torch.device) -> int:
    """As many as the experiment asks for and the machine has. GPUs that nobody asked for are left to others."""
    return min(experiment.compute.gpus or 1, torch.cuda.device_count()) if device.type == "cuda" else 1


@contextmanager
def mates(
    size: int, experiment: Experiment, slices: LoadedSlices, out: Path, device: torch.device, budget: Budget
) -> Iterator[None]:
    """size: processes, this one included; 1 starts none. Raises MateLost."""
    if size == 1:
        yield
        return
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(size)}
    start = processes.get_context("spawn").Process
    team = [
        start(
            target=_work,
            args=(told, rank, experiment, slices, out, device, budget),
            daemon=True,
            name=f"mate {rank}",
        )
        for rank in range(1, size)
    ]
    former = dict(os.environ)
    os.environ.update(told, RANK="0", LOCAL_RANK="0")
    try:
        for mate in team:
            mate.start()
        try:
            yield
        except RuntimeError as error:
            # What a broken collective raises; the reason is that of the mate.
            if lost := [mate.name for mate in team if mate.exitcode]:
                cause = f"{', '.join(lost)} of {size} processes died"
                remedy = "read the log; train again, and it goes on from its last checkpoint"
                raise MateLost(f"training {experiment.name}", cause, remedy) from error
            raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        for mate in team:
            if mate.pid is not None:
                mate.join(PATIENCE)
                mate.kill()
                mate.join()
        os.environ.clear()
        os.environ.update(former)


def _work(
    told: dict[str, str],
    rank: int,
    experiment: Experiment,
    slices: LoadedSlices,
    out: Path,
    device: torch.device,
    budget: Budget,
) -> None:
    """A mate: takes its part of each step."""
    os.environ.update(told, RANK=str(rank), LOCAL_RANK=str(rank))
    train(experiment, slices, out, device, budget)
    dist.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
