"""The synthetic set of an experiment between store and store.

In: the newest run of an experiment, and its report. Out: `synthetic/<experiment>/<version>/` and its line in
the index. Only generated images go in: what is published must not carry a slice of a real person.
"""

import builtins
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.evaluation.run import latest_report
from chestgan_core.experiment import Experiment
from chestgan_core.publishing.sets import publish_set, write_set
from chestgan_core.sources.datasets import dataset_named
from chestgan_core.store import Store
from chestgan_core.training.checkpoints import GENERATOR_FILE
from chestgan_core.training.devices import pick_device
from chestgan_core.training.run import fetch_generator, newest_run


@dataclass(frozen=True)
class Release:
    """A published set. images: counted in the labels as they were written."""

    uri: str
    version: str
    images: int
    bytes: int
    samples_png: builtins.bytes


def release_experiment(store: Store, experiment: Experiment, device: str, folder: Path) -> Release:
    """Generate and publish the set of an experiment; the same run gives the same version.

    Raises NotInStore when the run or its report is missing.
    """
    _, run = newest_run(store, experiment.name)
    report = latest_report(store, experiment.name)
    generator = fetch_generator(store, run, folder / "model", pick_device(device))
    dataset = dataset_named(experiment.dataset)
    written = write_set(
        generator,
        experiment,
        count=experiment.publication.images,
        first_seed=experiment.publication.first_seed,
        folder=folder / "set",
        provenance={
            "source": dataset.title,
            "source_licence": dataset.licence,
            "run": run.manifest["run"],
            "generator_sha256": run.find(GENERATOR_FILE).sha256,
            "training_set": run.manifest["training_set"],
            "report": report.uri,
            "metrics": report.told,
        },
    )
    published = publish_set(store, written)
    return Release(
        uri=published.uri,
        version=published.version,
        images=written.images,
        bytes=published.bytes,
        samples_png=written.samples_png,
    )
