"""A training small enough for tests: 16 pixels, narrow networks, images that are discs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.weights import load_generator, save_generator


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads only wait for each other on networks of this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def experiment() -> Experiment:
    return small()


@pytest.fixture
def changed() -> Callable[..., Experiment]:
    """The small experiment with other fields of its training section."""
    return small


def small(**training: Any) -> Experiment:
    fields: dict[str, Any] = {
        "dataset": "phantom",
        "resolution": 16,
        "network": {"latent_dim": 8, "generator_width": 3, "discriminator_width": 3},
        "training": {
            "batch_size": 4,
            "images": 40,
            "ema_images": 20,
            "checkpoint_every_images": 16,
            "sample_every_images": 12,
        }
        | training,
    }
    return parse_experiment(fields, "small", "test")


def slices_of(images: torch.Tensor, classes: torch.Tensor | None = None) -> LoadedSlices:
    """Each image of another patient."""
    return LoadedSlices(images, classes, tuple(f"P{number}" for number in range(len(images))))


@pytest.fixture
def images() -> torch.Tensor:
    return discs()


def discs() -> torch.Tensor:
    """(20, 1, 16, 16) in [-1, 1]: discs of growing radius."""
    axis = torch.linspace(-1, 1, 16)
    radius = (axis[:, None] ** 2 + axis**2).sqrt()
    return torch.stack([torch.where(radius < 0.3 + 0.03 * k, 0.8, -1.0) for k in range(20)])[:, None]


@pytest.fixture
def model(tmp_path: Path, experiment: Experiment) -> Path:
    """The folder of a generator with random weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    save_generator(folder, build_generator(experiment), experiment)
    load_generator(folder)
    return folder
