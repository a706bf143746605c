"""The partitions: datasets (static), patients (registered by series_catalog), experiments (one per YAML file)."""

import logging

import dagster as dg

from chestgan_core.errors import BadExperiment
from chestgan_core.experiment import Experiment, experiment_files, load_experiment
from chestgan_core.sources.datasets import DATASETS


def _usable_experiments() -> dict[str, Experiment]:
    """One broken file must not take the whole code location with it."""
    usable = {}
    for name, path in experiment_files().items():
        try:
            usable[name] = load_experiment(path)
        except BadExperiment as error:
            logging.getLogger("chestgan").warning("left out: %s", error)
    return usable


EXPERIMENTS = _usable_experiments()

datasets = dg.StaticPartitionsDefinition(sorted(DATASETS))
patients = dg.DynamicPartitionsDefinition(name="patient")
experiments = dg.StaticPartitionsDefinition(sorted(EXPERIMENTS))

dataset_to_experiments = dg.StaticPartitionMapping(
    {
        dataset: [name for name, experiment in EXPERIMENTS.items() if experiment.dataset == dataset]
        for dataset in DATASETS
    }
)
