"""The partitions: datasets (static, one per YAML file), patients (dynamic, registered by a sensor), experiments
(static), months (UTC, from January 2026 to the current one).

Experiments are YAML files: shipped, your own, or written to the store by a hyperparameter study. The last are read at
every load, by one short request; while the store is down, those of the last load are used. A file that cannot be used
is left out, and load_faults.py says so.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import dagster as dg

from chestgan_assets.load_faults import left_out
from chestgan_core.config.dataset import load_dataset
from chestgan_core.config.experiment import load_experiment
from chestgan_core.config.names import dataset_files, experiment_files
from chestgan_core.store.store import Store
from chestgan_core.tuning.tuned import fetch_tuned

_Loaded = TypeVar("_Loaded")


def _usable(files: Mapping[str, Path], load: Callable[[Path], _Loaded]) -> dict[str, _Loaded]:
    """Name -> what its file says. A file that cannot be used is left out: it must not break the whole code location."""
    usable = {}
    for name, path in files.items():
        with left_out(path):
            dg.StaticPartitionsDefinition([name])  # raises where Dagster takes no such key
            usable[name] = load(path)
    return usable


def _unusable_folders() -> list[str]:
    """The variables that name no folder of a person's own files."""
    unusable = []
    for variable, files in (("CHESTGAN_DATASETS", dataset_files), ("CHESTGAN_EXPERIMENTS", experiment_files)):
        usable = False
        with left_out(variable, "none of its files is loaded"):
            files()
            usable = True
        if not usable:
            unusable.append(variable)
    return unusable


def _fetch_tuned_experiments() -> None:
    if os.environ.get("CHESTGAN_STORE"):
        with left_out("CHESTGAN_STORE", "tuned experiments are those of the last load"):
            fetch_tuned(Store.open(fail_fast=True))


@contextmanager
def _without(variables: Sequence[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in variables}
    try:
        yield
    finally:
        os.environ.update(kept)


# Only while loading: a step that needs a file of such a folder fails, instead of using a shipped one of the same name.
with _without(_unusable_folders()):
    DATASETS = _usable(dataset_files(), load_dataset)
    _fetch_tuned_experiments()
    EXPERIMENTS = _usable(experiment_files(), load_experiment)
DICOM = sorted(name for name, dataset in DATASETS.items() if dataset.has_hounsfield)
IMAGES = sorted(name for name, dataset in DATASETS.items() if not dataset.has_hounsfield)
ANNOTATED = sorted(name for name, dataset in DATASETS.items() if dataset.annotations)

datasets = dg.StaticPartitionsDefinition(sorted(DATASETS))
dicom_datasets = dg.StaticPartitionsDefinition(DICOM)
image_datasets = dg.StaticPartitionsDefinition(IMAGES)
annotated_datasets = dg.StaticPartitionsDefinition(ANNOTATED)
PATIENT_PARTITIONS = "patient"  # their name in the instance
patients = dg.DynamicPartitionsDefinition(name=PATIENT_PARTITIONS)
experiments = dg.StaticPartitionsDefinition(sorted(EXPERIMENTS))
months = dg.MonthlyPartitionsDefinition(start_date="2026-01", fmt="%Y-%m", end_offset=1)


def same_dataset(upstream: list[str], downstream: list[str]) -> dg.StaticPartitionMapping:
    """Each dataset to itself, where it is a partition of both assets."""
    return dg.StaticPartitionMapping({name: [name] for name in upstream if name in downstream})


# For a dependency on partitions of which Dagster cannot say which ones they are: the patients of one dataset, what a
# month contains. With all partitions instead, each new patient, catalog or report of any dataset would mark everything
# downstream as "Unsynced". What is new is known elsewhere: by new_series_sensor (catalogs), retraining_sensor (slices).
NO_PARTITION = dg.SpecificPartitionsPartitionMapping([])

dataset_to_experiments = dg.StaticPartitionMapping(
    {
        dataset: [name for name, experiment in EXPERIMENTS.items() if experiment.dataset == dataset]
        for dataset in DATASETS
    }
)
