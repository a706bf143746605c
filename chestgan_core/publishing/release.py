"""The synthetic set of an experiment between store and store.

In: the newest run of an experiment, and its report. Out: `synthetic/<experiment>/<version>/` and its line in
the index. Only generated images go in: what is published must not carry a slice of a real person.
"""

import builtins
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.scoring.gate import apply_gate
from chestgan_core.evaluation.stored_report import StoredReport, latest_report
from chestgan_core.publishing.transfer.fetching import verify_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.store import Store
from chestgan_core.training.devices import pick_device
from chestgan_core.training.run import fetch_generator, newest_run
from chestgan_core.training.run_manifest import GENERATOR_FILE, read_run_manifest


@dataclass(frozen=True)
class Release:
    """A published set. images: rows of its labels."""

    uri: str
    version: str
    images: int
    bytes: int
    samples_png: builtins.bytes


def release_experiment(store: Store, experiment: Experiment, device: str, folder: Path) -> Release:
    """Generate and publish the set of an experiment; the same run gives the same version.

    Raises NotInStore (the run or its report is missing, or belongs to other settings or another run), BadInput (the
    report does not pass the release gate), DamagedObject (what was written is not what its manifest and labels say;
    nothing is published then).
    """
    _, run = newest_run(store, experiment)
    trained = read_run_manifest(store, run)
    report = latest_report(store, experiment.name)
    _require_passed(report, trained.run, experiment)
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
            "run": trained.run,
            "generator_sha256": run.find(GENERATOR_FILE).sha256,
            "training_set": trained.training_set,
            "report": report.version,
            "metrics": report.payload.as_json(),
        },
    )
    checked = verify_set(written.path)
    if checked.broken:
        raise DamagedObject(experiment.name, checked.line().replace("\n", "; "), "publish it again")
    published = publish_set(store, written)
    return Release(
        uri=published.uri,
        version=published.version,
        images=written.images,
        bytes=published.bytes,
        samples_png=written.samples_png,
    )


def _require_passed(report: StoredReport, run: str, experiment: Experiment) -> None:
    """Newest run and newest report are two pointers; what is published is what was scored, and passed."""
    what = f"experiment {experiment.name}"
    if report.payload.run.run != run:
        raise NotInStore(what, "its newest run has no report", "materialize metric_report")
    gate = apply_gate(report.payload.rows, experiment.release)
    if not gate.passed:
        raise BadInput(
            what,
            f"its report does not pass the release gate: {gate.line()}",
            "train it longer, or change its section `release`",
        )
    if gate != report.payload.gate:
        # The set names its report, which must show the result that let it pass. Nothing is scored again for it.
        cause = "its report was made with other release rules"
        raise NotInStore(
            what, cause, "materialize metric_report, which applies the rules to the stored numbers"
        )
    if report.spread <= 0:
        raise BadInput(what, "its generated images are all the same", "train it again")
