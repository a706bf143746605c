"""One training on several GPUs of a machine, without torchrun: this process is the main one and starts the others.

In: experiment, slices and folder, as train() takes them. Out: a block with the World that train() needs. The processes
find each other at a file that only their account can open, whose path they get as an argument: no environment changes,
and no port is opened to the network, as a TCP store would.
On a CPU several processes are slower than one; only tests start them there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import ChestganError
from chestgan_core.local.log_lines import configure_logging
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.devices import GPUS, gpu_count
from chestgan_core.training.distributed import World
from chestgan_core.training.loop import train
from chestgan_core.training.mapped_images import Images
from chestgan_core.training.schedule import Budget

# Seconds. A worker ends with the last step, some time before the main process has written its records.
JOIN_TIMEOUT = 60
# Seconds. A connection breaks before the process at its other end is known to have ended.
DEATH_TIMEOUT = 10


class GpuWorkerDied(ChestganError):
    """A process of the training died; what it wrote is in the log."""


def process_count(experiment: Experiment, device: torch.device) -> int:
    """One per GPU that the experiment asks for and the machine has; the other GPUs are left to others. 1 on a CPU, and
    where this PyTorch has no library by which such GPUs talk to each other.
    """
    if device.type not in GPUS or (device.type == "xpu" and not dist.is_xccl_available()):
        return 1
    return min(experiment.compute.gpus or 1, gpu_count(device))


@contextmanager
def start_gpu_workers(
    count: int,
    experiment: Experiment,
    slices: LoadedSlices[Images],
    out: Path,
    device: torch.device,
    budget: Budget,
) -> Iterator[World | None]:
    """Start the other processes of a training, and end them with the block.

    count: processes, this one included; 1 starts none and gives None. Raises GpuWorkerDied.
    """
    if count == 1:
        yield None
        return
    with TemporaryDirectory(prefix="chestgan-workers-") as folder:
        meeting = Path(folder) / "meeting"
        start = processes.get_context("spawn").Process
        workers = [
            start(
                target=_work,
                args=(meeting, count, rank, experiment, slices, out, device, budget),
                daemon=True,
                name=f"GPU worker {rank}",
            )
            for rank in range(1, count)
        ]
        try:
            for worker in workers:
                worker.start()
            try:
                yield World.join(_store(meeting, count), count, 0, device)
            except RuntimeError as error:
                # What a broken collective raises; its reason is that of the worker.
                ended = wait([worker.sentinel for worker in workers], DEATH_TIMEOUT)
                for worker in workers:
                    if worker.sentinel in ended:
                        worker.join(DEATH_TIMEOUT)  # its files are closed a moment before it has an exit code
                if dead := [worker.name for worker in workers if worker.exitcode]:
                    cause = f"{', '.join(dead)} of {count} died"
                    remedy = (
                        "read the log for the reason, then train again: it resumes from its last checkpoint"
                    )
                    raise GpuWorkerDied(f"training {experiment.name}", cause, remedy) from error
                raise
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
            for worker in workers:
                if worker.pid is not None:
                    worker.join(JOIN_TIMEOUT)
                    worker.kill()
                    worker.join()


def _work(
    meeting: Path,
    count: int,
    rank: int,
    experiment: Experiment,
    slices: LoadedSlices[Images],
    out: Path,
    device: torch.device,
    budget: Budget,
) -> None:
    """A worker: takes its part of each step."""
    configure_logging()
    world = World.join(_store(meeting, count), count, rank, device)
    train(experiment, slices, out, device, budget, world=world)
    dist.destroy_process_group()


def _store(meeting: Path, count: int) -> Any:
    return dist.FileStore(str(meeting), count)  # type: ignore[attr-defined]
