"""Fixtures for tests with stand-in servers: a small collection, a local folder, dataset files, short patience."""

from pathlib import Path

import pytest

from chestgan_core.sources.phantom.patients import write_phantom
from chestgan_core.store.embedded import EmbeddedStore
from tests.standins.collection import StandInCollection
from tests.standins.routes import ROUTES, Route


@pytest.fixture(scope="session")
def one_patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("patient"), 1, size=32, slices=12).folder


@pytest.fixture
def collection(one_patient: Path, tmp_path: Path) -> StandInCollection:
    """One patient with 12 small slices and a localizer."""
    return StandInCollection.of_files(tmp_path / "collection", one_patient.iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for dataset files ($CHESTGAN_DATASETS); retries take at most 20 s."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    monkeypatch.setenv("CHESTGAN_DATASETS", str(folder))
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "20")
    return folder


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest, embedded: EmbeddedStore, datasets: Path) -> Route:
    return Route(request.param, embedded, datasets)


@pytest.fixture
def nbia(embedded: EmbeddedStore, datasets: Path) -> Route:
    return Route("nbia", embedded, datasets)


@pytest.fixture
def idc(embedded: EmbeddedStore, datasets: Path) -> Route:
    return Route("idc", embedded, datasets)
