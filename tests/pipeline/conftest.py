"""The pipeline as people run it: `make dev` in a process of its own, with an experiment small enough for a test."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from chestgan_core.config.names import SHIPPED_DATASETS
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.evaluation.stored_report import StoredReport
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.sources.folder.folder_series import FolderFiles
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.run import TrainedRun
from tests.pipeline.dev_server import Dev, start_dev, stop_dev
from tests.pipeline.small_patients import fresh_environment
from tests.pipeline.stages import Stages

TINY = """
description: The smallest training that goes through every part.
dataset: phantom
resolution: 32
network: {generator_width: 4, discriminator_width: 4, latent_dim: 8}
training:
  batch_size: 16
  images: 160
  checkpoint_every_images: 80
  sample_every_images: 80
  validation: {every_images: 80, images: 16}
evaluation: {images: 16, others: []}
publication: {images: 12}
"""
# A training of a second cannot pass any rule.
NO_RULES = """
release: {max_kid_above_floor: null, min_coverage_of_floor: null, min_diversity_of_real: null,
  max_memorized_above_floor: null, grey_levels: null}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def write_small_phantoms(folder: Path) -> Path:
    """The dataset `phantom` with fewer slices per patient, for CHESTGAN_DATASETS; a patient takes 2 s less."""
    folder.mkdir()
    shipped = (SHIPPED_DATASETS / "phantom.yaml").read_text()
    assert "slices: 40" in shipped
    (folder / "phantom.yaml").write_text(shipped.replace("slices: 40", "slices: 16"))
    return folder


@pytest.fixture
def small_phantoms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_DATASETS", str(write_small_phantoms(tmp_path / "datasets")))


@pytest.fixture
def delivery(phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private DICOM folder: three phantoms that are treated as people."""
    folder = deliver(phantom_folder, tmp_path / "delivery")
    monkeypatch.setenv("CHESTGAN_FOLDER", str(folder))
    return folder


def deliver(phantom_folder: Path, folder: Path) -> Path:
    for patient in sorted(phantom_folder.iterdir())[:3]:
        shutil.copytree(patient, folder / patient.name)
    return folder


@pytest.fixture(scope="session")
def stages(embedded: EmbeddedStore, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """The first steps of the chain, made once: patients, and a run of `tiny` with its report."""
    folder = tmp_path_factory.mktemp("stages")
    deliver(phantom_folder, folder / "delivery")
    return Stages(embedded, folder)


@pytest.fixture
def slices(stages: Stages, store: Store, home: Path, delivery: Path) -> tuple[str, ...]:
    """All patients of the delivery as slices in the store; returns their keys."""
    patients = stages.bring("slices", store)
    shutil.copytree(stages.home, home)  # with the key of the pseudonyms
    return cast("tuple[str, ...]", patients)


@pytest.fixture
def trained(stages: Stages, store: Store) -> TrainedRun:
    """A run of `tiny` in the store."""
    return cast("TrainedRun", stages.bring("trained", store))


@pytest.fixture
def reported(stages: Stages, store: Store) -> StoredReport:
    """A run of `tiny` with its report in the store."""
    return cast("StoredReport", stages.bring("reported", store))


def files_of(store: Store, delivery: Path, home: Path, patient: str) -> list[Path]:
    """The files of a patient's slices, from feet to head, found by the keyed hashes in the catalog."""
    files = FolderFiles(delivery, Pseudonyms.private(home))
    row = read_catalog(store, "folder").of(patient)[0]
    return [Path(files.location_of(file).path) for file in row.files]


@pytest.fixture(scope="session")
def pipeline_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a fresh installation: no store, no Dagster home, two more experiments: `tiny`, and `strict`, which
    is the same with the usual release rules.
    """
    folder = tmp_path_factory.mktemp("installation")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "tiny.yaml").write_text(TINY + NO_RULES)
    (folder / "experiments" / "strict.yaml").write_text(TINY)
    return {
        **fresh_environment(),
        "CHESTGAN_HOME": str(folder / "local"),
        "CHESTGAN_EXPERIMENTS": str(folder / "experiments"),
        "CHESTGAN_DATASETS": str(write_small_phantoms(folder / "datasets")),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="module")
def dev(pipeline_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """`make dev` for the tests of one module."""
    running = start_dev(pipeline_environment, tmp_path_factory.mktemp("dev") / "log")
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stop_dev(running)
