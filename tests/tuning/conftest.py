"""A study small enough for tests: phantoms at 16 pixels, narrow networks, trials of a few steps, a space of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import write_shard
from chestgan_core.tuning.plan import StudySettings
from chestgan_core.tuning.space import SearchSpace
from chestgan_core.tuning.study_files import Shards

SPACE = {
    "training.optimizer.lr": {"kind": "number", "low": 1e-4, "high": 1e-2, "log": True},
    "training.batch_size": {"kind": "choice", "choices": [8, 16]},
    "network.generator_width": {"kind": "integer", "low": 2, "high": 6},
    "training.augmentation": {"kind": "choice", "choices": {"none": None, "weak": {"cutout": 0.25}}},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sides(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Slices of three phantoms to train on, and of two others."""
    folder = tmp_path_factory.mktemp("sides")
    patients = sorted(phantom_folder.iterdir())
    names = Pseudonyms()
    for side, chosen in {"train": patients[:3], "held-out": patients[3:]}.items():
        write_shard(
            normalize(chosen, NormalizationRecipe(size=64), names).shard, folder / f"{side}.safetensors"
        )
    return {side: folder / f"{side}.safetensors" for side in ("train", "held-out")}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CHESTGAN_STUDY_STORAGE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def shards(sides: dict[str, Path], home: Path) -> Shards:
    """What a worker loads; a dead one is noticed after two seconds."""
    return Shards([sides["train"]], [sides["held-out"]], "cpu", home, threads=1, heartbeat=1, grace=2)


def small(family: str = "spectral", **training: Any) -> Experiment:
    fields: dict[str, Any] = {
        "dataset": "phantom",
        "resolution": 16,
        "network": {"family": family, "latent_dim": 4, "generator_width": 3, "discriminator_width": 3},
        "training": {
            "loss": {"kind": "hinge"},
            "batch_size": 8,
            "images": 640,
            "validation": {"every_images": 100, "images": 8},
            **training,
        },
    }
    return parse_experiment(fields, "small", "test")


def space(**parameters: Any) -> SearchSpace:
    return SearchSpace.model_validate({"name": "test", "parameters": parameters or SPACE})


def study_settings(trials: int = 3, validations: int = 2, **more: Any) -> StudySettings:
    return StudySettings(trials=trials, images=more.pop("images", 64), validations=validations, **more)
