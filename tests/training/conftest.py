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


def conditional(family: str = "spectral", **training: Any) -> Experiment:
    """The small experiment, whose generator is told classes, positions and tumours."""
    fields = small(**training).model_dump(mode="json") | {
        "classes": ["A", "G"],
        "min_patients_per_class": 1,
        "conditions": {"position": True, "tumour": {}},
    }
    fields["network"]["family"] = family
    if family == "projected":
        fields["network"]["projection"] = {"stages": [1, 2], "maps": 4}
    fields["training"]["loss"] = {"kind": "hinge"}
    return parse_experiment(fields, "small", "test")


def tumour_slices() -> LoadedSlices:
    """Twenty slices of five patients: a bright square in each box. Of the last four nothing is known."""
    images, boxes = torch.full((20, 1, 16, 16), -0.7), torch.full((20, 2, 4), torch.nan)
    images += 0.2 * torch.rand(images.shape, generator=torch.Generator().manual_seed(3))
    for number in range(0, 16, 2):
        left, top = 2 + number // 2, 10 - number // 2
        boxes[number, 0] = torch.tensor([left, top, left + 4, top + 3])
        images[number, 0, top : top + 3, left : left + 4] = 0.9
    positions = torch.linspace(0, 1, 20)
    positions[5] = torch.nan
    return LoadedSlices(
        images,
        torch.arange(20) // 4 % 2,
        tuple(f"P{number // 4}" for number in range(20)),
        positions,
        boxes,
        torch.arange(20) < 16,
        torch.full((20,), 5.0),
    )


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
