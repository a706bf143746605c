"""A training by two processes, of torchrun and of its own, and a GPU that is too small."""

import os
import subprocess
import sys
import weakref
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

from chestgan_core.errors import BadInput
from chestgan_core.training import batch_size
from chestgan_core.training.checkpoint import CHECKPOINT_FILE
from chestgan_core.training.distributed import World
from chestgan_core.training.gpu_workers import GpuWorkerDied, start_gpu_workers
from chestgan_core.training.loop import TrainingCallbacks, train
from chestgan_core.training.schedule import Budget
from chestgan_core.training.weights import load_generator
from tests.training.conftest import conditional, slices_of, small, tumour_slices

CPU = torch.device("cpu")
TORCHRUN = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
PROGRAM = """
import sys, torch
from pathlib import Path
import torch.distributed as dist
from chestgan_core.config.experiment import load_experiment
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import train
from chestgan_core.training.schedule import Budget
torch.set_num_threads(1)
out = Path(sys.argv[1])
images = torch.load(out / "images.pt", weights_only=True)
slices = LoadedSlices(images, None, ("P",) * len(images))
outcome = train(load_experiment(out / "small.yaml"), slices, out / "run", torch.device("cpu"), Budget(None, 40))
print("rank", dist.get_rank(), outcome.images_seen, flush=True)
dist.destroy_process_group()
"""


def test_a_process_starts_its_workers_without_torchrun_and_without_touching_its_environment(
    tmp_path: Path,
) -> None:
    experiment, budget = (
        conditional(),
        Budget(None, 40),
    )  # so that all that is known of slices reaches workers
    slices = tumour_slices()
    with start_gpu_workers(2, experiment, slices, tmp_path / "run", CPU, budget) as world:
        assert world is not None
        assert (world.size, world.rank) == (2, 0)
        assert not TORCHRUN & os.environ.keys()
        outcome = train(experiment, slices, tmp_path / "run", CPU, budget, world=world)
        assert outcome.images_seen == 40
    assert not TORCHRUN & os.environ.keys()
    assert load_generator(tmp_path / "run").layouts is not None
    # One process alone resumes where two stopped.
    assert train(experiment, slices, tmp_path / "run", CPU, Budget(None, 60)).resumed_at == 40


def test_a_training_whose_worker_dies_says_so(images: torch.Tensor, tmp_path: Path) -> None:
    experiment, slices = small(), slices_of(images)

    def kill(row: object, pictures: object) -> None:
        for worker in active_children():
            worker.kill()

    with (
        pytest.raises(GpuWorkerDied, match="GPU worker 1 of 2 died"),
        start_gpu_workers(2, experiment, slices, tmp_path / "run", CPU, Budget(None, 4_000)) as world,
    ):
        train(
            experiment,
            slices,
            tmp_path / "run",
            CPU,
            Budget(None, 4_000),
            callbacks=TrainingCallbacks(on_row=kill),
            world=world,
        )


@pytest.mark.slow
def test_two_processes_share_every_batch_and_the_first_one_writes(
    images: torch.Tensor, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(small().model_dump_json())
    torch.save(images, tmp_path / "images.pt")
    (tmp_path / "program.py").write_text(PROGRAM)
    ran = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            str(tmp_path / "program.py"), str(tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert sorted(line for line in ran.stdout.splitlines() if line.startswith("rank")) == [
        "rank 0 40", "rank 1 40",
    ]  # fmt: skip
    state = torch.load(tmp_path / "run" / CHECKPOINT_FILE, weights_only=True)
    assert state["images_seen"] == 40
    assert (tmp_path / "run" / "generator.safetensors").is_file()
    # One process alone resumes where two stopped.
    assert train(small(), slices_of(images), tmp_path / "run", CPU, Budget(None, 48)).resumed_at == 40


def test_a_batch_that_cannot_be_split_is_refused(images: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="batch of 4 cannot be split over 3 processes"):
        train(small(), slices_of(images), tmp_path, CPU, Budget(None, 40), world=World(size=3))


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(
    images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = batch_size.step

    def too_large(state, *rest):  # type: ignore[no-untyped-def]
        if state.experiment.training.batch_size > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        step(state, *rest)

    monkeypatch.setattr(batch_size, "step", too_large)
    with pytest.raises(
        BadInput, match=r"batch of 16 does not fit .*; set training\.batch_size to 4, which fits"
    ):
        train(small(batch_size=16), slices_of(images), tmp_path, CPU, Budget(None, 40))


def test_smaller_batches_are_tried_without_what_the_large_one_held(
    images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    step = batch_size.step

    def too_large(state, images, *rest):  # type: ignore[no-untyped-def]
        if state.experiment.training.batch_size > 8:
            activations = images * 2
            held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert held[0]() is None
        step(state, images, *rest)

    monkeypatch.setattr(batch_size, "step", too_large)
    with pytest.raises(BadInput, match=r"set training\.batch_size to 8, which fits"):
        train(small(batch_size=16), slices_of(images), tmp_path, CPU, Budget(None, 40))
    assert held
