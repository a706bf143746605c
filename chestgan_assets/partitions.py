"""The partitions: datasets (static), patients (registered by series_catalog), experiments (one per YAML file)."""

import dagster as dg

from chestgan_core.experiment import experiment_files, load_experiment
from chestgan_core.sources.datasets import DATASETS

EXPERIMENTS = {name: load_experiment(path) for name, path in experiment_files().items()}

datasets = dg.StaticPartitionsDefinition(sorted(DATASETS))
patients = dg.DynamicPartitionsDefinition(name="patient")
experiments = dg.StaticPartitionsDefinition(sorted(EXPERIMENTS))

dataset_to_experiments = dg.StaticPartitionMapping(
    {
        dataset: [name for name, experiment in EXPERIMENTS.items() if experiment.dataset == dataset]
        for dataset in DATASETS
    }
)
