"""The partitions: datasets (static, one per YAML file), patients (dynamic, registered by a sensor), experiments
(static), months (UTC, from January 2026 to the current one).

Experiments are YAML files: shipped, your own, or written to the store by a hyperparameter study. The last are read at
every load, by one short request; while the store is down, those of the last load are used.
"""

import logging
import os

import dagster as dg

from chestgan_core.config.dataset import Dataset, dataset_files, load_dataset
from chestgan_core.config.experiment import Experiment, experiment_files, load_experiment
from chestgan_core.errors import BadExperiment, BadInput, ChestganError
from chestgan_core.store.store import Store
from chestgan_core.tuning.tuned import fetch_tuned

_log = logging.getLogger("chestgan")


def _usable_datasets() -> dict[str, Dataset]:
    """Without those whose file is invalid: one file must not break the whole code location."""
    usable = {}
    for name, path in dataset_files().items():
        try:
            usable[name] = load_dataset(path)
        except BadInput as error:
            _log.warning("ignored: %s", error)
    return usable


def _usable_experiments() -> dict[str, Experiment]:
    if os.environ.get("CHESTGAN_STORE"):
        try:
            fetch_tuned(Store.open(fail_fast=True))
        except ChestganError as error:
            _log.warning(
                "the store cannot be read, so tuned experiments are those of the last load: %s", error
            )
    usable = {}
    for name, path in experiment_files().items():
        try:
            usable[name] = load_experiment(path)
        except BadExperiment as error:
            _log.warning("ignored: %s", error)
    return usable


DATASETS = _usable_datasets()
DICOM = sorted(name for name, dataset in DATASETS.items() if dataset.has_hounsfield)
IMAGES = sorted(name for name, dataset in DATASETS.items() if not dataset.has_hounsfield)
ANNOTATED = sorted(name for name, dataset in DATASETS.items() if dataset.annotations)
EXPERIMENTS = _usable_experiments()

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


dataset_to_experiments = dg.StaticPartitionMapping(
    {
        dataset: [name for name, experiment in EXPERIMENTS.items() if experiment.dataset == dataset]
        for dataset in DATASETS
    }
)
