"""The synthetic set of an experiment between store and store.

In: the newest run of an experiment, and its report. Out: `synthetic/<experiment>/<version>/` and its line in
the index. Only generated images go in: what is published must not carry a slice of a real person.
"""

import builtins
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.evaluation.scoring.gate import experiment_gate
from chestgan_core.evaluation.stored_report import StoredReport, latest_report
from chestgan_core.publishing.reader.set_folder import GENERATOR, SAMPLES
from chestgan_core.publishing.split.counts import split_counts
from chestgan_core.publishing.split.rows import split_rows
from chestgan_core.publishing.split.table import SPLIT, split_csv
from chestgan_core.publishing.transfer.generated_upload import publish_plan
from chestgan_core.publishing.writing.contents import ExtraFile, plan_set, weights_file
from chestgan_core.publishing.writing.documents import card_of, summary_of
from chestgan_core.publishing.writing.gathering import gather_provenance
from chestgan_core.publishing.writing.provenance import AskedCounts
from chestgan_core.slices.training_set import open_training_set
from chestgan_core.store.store import Store
from chestgan_core.training.devices import pick_device
from chestgan_core.training.run import fetch_generator, newest_run
from chestgan_core.training.run_manifest import GENERATOR_FILE, read_run_manifest


@dataclass(frozen=True)
class Release:
    """A published set. images: rows of its labels. conditions: what the generator was told of them. asked: counts of
    what they were asked to show, where it was told of tumours. summary: of its card, Markdown.
    """

    uri: str
    version: str
    images: int
    bytes: int
    samples_png: builtins.bytes
    summary: str
    conditions: tuple[str, ...] = ()
    asked: AskedCounts | None = None


def release_experiment(store: Store, experiment: Experiment, device: str, folder: Path) -> Release:
    """Generate and publish the set of an experiment; the same run gives the same version.

    folder: empty. After a kill the same call, in any folder, generates only what is not in the store yet.

    Raises NotInStore (the run or its report is missing, or belongs to other settings or another run), BadInput (the
    report does not pass the release gate), Forgotten (a patient withdrew meanwhile; nothing of the set stays),
    DamagedObject (what was written is not what was generated; nothing is published then), SetWithdrawn, DiskFull,
    StoreError.
    """
    _, run = newest_run(store, experiment)
    trained = read_run_manifest(store, run)
    report = latest_report(store, experiment.name)
    _require_passed(report, trained.run, experiment)
    generator = fetch_generator(store, run, folder / "model", pick_device(device))
    training_set = open_training_set(store, experiment.dataset, trained.training_set)
    split = split_rows(store, training_set, generator.experiment.classes)
    publication = experiment.publication
    extra_files: dict[str, ExtraFile] = {SPLIT: lambda contents: split_csv(split)}
    if publication.weights:
        extra_files[GENERATOR] = weights_file(folder / "model" / GENERATOR_FILE)
    plan = plan_set(
        generator,
        experiment,
        count=publication.images,
        first_seed=publication.first_seed,
        provenance=gather_provenance(run, trained, report, training_set, split_counts(split)),
        bits=publication.bits,
        extra_files=extra_files,
        tumour_fraction=publication.tumour_fraction,
    )
    written = folder / "set"
    written.mkdir(exist_ok=True)
    made_of = [training_set.artefact.manifest_key, run.manifest_key]
    published = publish_plan(store, plan, written, made_of)
    return Release(
        uri=published.uri,
        version=published.version,
        images=published.images,
        bytes=published.bytes,
        samples_png=(written / SAMPLES).read_bytes(),
        summary=summary_of(written, published.version, published.uri),
        conditions=plan.facts.conditions,
        asked=card_of(written).asked if plan.facts.has_boxes else None,
    )


def _require_passed(report: StoredReport, run: str, experiment: Experiment) -> None:
    """Newest run and newest report are two pointers; what is published is what was scored, and passed."""
    what = f"experiment {experiment.name}"
    if report.payload.run.run != run:
        raise NotInStore(what, "its newest run has no report", "materialize metric_report")
    gate = experiment_gate(report.payload.rows, experiment)
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
