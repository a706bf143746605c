"""From a source to the real side of a report, and the same as a stranger makes it again."""

import json
from pathlib import Path

import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.split.row import SplitRow
from chestgan_core.publishing.split.rows import split_rows
from chestgan_core.publishing.split.table import SPLIT, read_split, split_csv
from chestgan_core.publishing.writing.instructions import (
    Instructions,
    instructions_for,
    read_instructions,
)
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.slices.training_set import TrainingSet, build_training_set
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.store import Store
from chestgan_core.training.data import load_slices

RESOLUTION = 32


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def prepared(store: Store, dataset: str, home: Path) -> TrainingSet:
    """From the source to a training set."""
    catalog, _ = catalog_series(store, dataset, home)
    for patient in catalog.patients:
        archive_patient(store, dataset, patient, home)
        normalize_patient(store, dataset, patient, home)
    return build_training_set(store, dataset)


def published(
    store: Store, training_set: TrainingSet, tmp_path: Path
) -> tuple[list[SplitRow], Instructions, SetFacts]:
    """What a stranger has of a training set: a CSV, JSON, and facts of the images."""
    (tmp_path / SPLIT).write_bytes(split_csv(split_rows(store, training_set)))
    text = json.dumps(instructions_for(training_set).as_json())
    window = experiment_on(training_set).display_window
    facts = SetFacts(
        "tiny", "tiny", 10, 0, RESOLUTION, window.centre, window.width, "0" * 64, "title", "licence", window.unit
    )  # fmt: skip
    return read_split(tmp_path / SPLIT), read_instructions(json.loads(text), "a test"), facts


def experiment_on(training_set: TrainingSet) -> Experiment:
    dataset = training_set.dataset
    fields = {
        "dataset": dataset.name,
        "resolution": RESOLUTION,
        "window": "lung" if dataset.has_hounsfield else "grey",
        "training": {"images": 64},
    }
    return parse_experiment(fields, "tiny", "a test")


def as_a_report_loads_them(store: Store, training_set: TrainingSet, folder: Path) -> dict[str, RealImages]:
    experiment = experiment_on(training_set)
    loaded = {
        side: load_slices(training_set.fetch(store, side, folder / side), experiment)
        for side in ("train", "held-out")
    }
    return {side: RealImages(found.images, found.patients) for side, found in loaded.items()}


def require_the_same(found: dict[str, RealImages], wanted: dict[str, RealImages]) -> None:
    assert found.keys() == wanted.keys()
    for side, images in wanted.items():
        assert torch.equal(found[side].images, images.images), side
        assert found[side].patients == images.patients, side
