"""A small generator with random weights, and a set made by it."""

from pathlib import Path

import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator, load_generator, save_generator
from tests.publishing.boxed_sets import asking_experiment, asking_generator


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    return parse_experiment(
        {
            "dataset": "phantom",
            "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
            "training": {"images": 100},
        },
        "tiny",
        "a test",
    )


@pytest.fixture(scope="session")
def generator(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> LoadedGenerator:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    save_generator(folder, build_generator(experiment), experiment)
    return load_generator(folder)


@pytest.fixture(scope="session")
def asking(tmp_path_factory: pytest.TempPathFactory) -> LoadedGenerator:
    """A generator that is told positions and tumours."""
    return asking_generator(tmp_path_factory.mktemp("asking"), asking_experiment())


@pytest.fixture(scope="session")
def provenance() -> dict[str, str]:
    return {"source": "generated phantom images", "source_licence": "none needed", "run": "r1"}


@pytest.fixture
def store_of_the_environment(embedded: EmbeddedStore, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of the test, found through the environment, as commands and open_set find theirs."""
    for name, value in {**embedded.environment, "CHESTGAN_STORE": store.uri("").rstrip("/")}.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.fixture
def ready(
    generator: LoadedGenerator, experiment: Experiment, provenance: dict[str, str], tmp_path: Path
) -> SetFolder:
    """A complete set of 20 images in its own folder."""
    return write_set(generator, experiment, 20, 100, tmp_path / "set", provenance)
