"""What a tuned experiment needs next: a training, a report, a publication, or nothing, and why.

In: the store and a tuned experiment. Out: for each of the three steps the state that it would be requested for, and a
sentence. Only pointers, manifests and report.json are read. The state names everything that decides the outcome, so
whoever requests a state once never repeats a step, and a change of any part of it is a reason to act again.
"""

from dataclasses import dataclass

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import Forgotten, NotInStore
from chestgan_core.evaluation.scoring.gate import experiment_gate
from chestgan_core.evaluation.scoring.read_report import NewestReport, newest_report, read_payload
from chestgan_core.publishing.reader.manifest import manifest_from
from chestgan_core.publishing.versions.status import status_of
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version
from chestgan_core.store.store import Store
from chestgan_core.training.run_manifest import generator_sha256, trained_as
from chestgan_core.tuning.gain import gain

TRAINED = "is trained"
SCORED = "is scored"
PUBLISHED = "is published"
NOT_TRAINED = "is not trained yet"
NOT_SCORED = "has no report yet"


@dataclass(frozen=True)
class NextStep:
    """state: what the step would be requested for; "" where there is nothing to request. reason: why, in words."""

    reason: str
    state: str = ""


def next_training(store: Store, experiment: Experiment) -> NextStep:
    """Whether the configuration that a study found is to be trained.

    Its first training only: later training sets are a matter of retraining, for this experiment as for any other.
    Raises DamagedObject, StoreError.
    """
    if experiment.provenance is None:
        return NextStep("was not written by a study")
    shown, why = gain(experiment.provenance)
    if not shown:
        return NextStep(why)
    try:
        found = _newest_run(store, experiment.name)
    except Forgotten:
        return NextStep("a patient whose slices its generator saw has withdrawn; that is for retraining")
    if found is not None and trained_as(found[1].manifest.get("experiment"), experiment):
        return NextStep(TRAINED)
    dataset = experiment.dataset
    try:
        (version,) = store.read_pointer(keys.training_set_latest(dataset), "version")
        store.read_manifest(keys.training_set_manifest(dataset, version))
    except Forgotten:
        return NextStep(f"a patient of the training set has withdrawn; waits for a new one of {dataset}")
    except NotInStore:
        return NextStep(f"{dataset} has no training set")
    return NextStep(why, f"{experiment.fingerprint()}:{version}")


def next_report(store: Store, experiment: Experiment) -> NextStep:
    """Whether the newest run is to be scored: it has no report, or one made with other release rules.

    Raises DamagedObject, StoreError.
    """
    current = _current_run(store, experiment)
    if isinstance(current, str):
        return NextStep(current)
    name, _ = current
    state = f"{name}:{_version_of(experiment, 'evaluation', 'release', 'publication')}"
    report = newest_report(store, experiment.name)
    if report is None or report.run != name:
        return NextStep(f"its run {name} has no report", state)
    if not _has_present_rules(store, experiment, report):
        return NextStep("its report was made with other release rules", state)
    return NextStep(SCORED)


def next_publication(store: Store, experiment: Experiment) -> NextStep:
    """Whether the set of the newest run is to be published: its own report passed the present release gate, and these
    images have never been published.

    Raises DamagedObject, StoreError.
    """
    current = _current_run(store, experiment)
    if isinstance(current, str):
        return NextStep(current)
    name, run = current
    report = newest_report(store, experiment.name)
    if report is None or report.run != name:
        return NextStep(NOT_SCORED)
    if not _has_present_rules(store, experiment, report):
        return NextStep("its report was made with other release rules; waits for one with these")
    gate = read_payload(store, report.artefact).gate
    if not gate.passed:
        return NextStep(f"is not published: {gate.line()}")
    if said := _published(store, experiment, run):
        return NextStep(said)
    return NextStep(
        f"its report passed the release gate: {gate.line()}",
        f"{name}:{report.version}:{_version_of(experiment, 'publication')}",
    )


def _newest_run(store: Store, experiment: str) -> tuple[str, Artefact] | None:
    """Name and artefact of the newest run; None without one. Raises Forgotten."""
    try:
        (name,) = store.read_pointer(keys.run_latest(experiment), "run")
    except NotInStore:
        return None
    return name, store.read_manifest(keys.run_manifest(experiment, name))


def _current_run(store: Store, experiment: Experiment) -> tuple[str, Artefact] | str:
    """The newest run where it was trained as the experiment says now, or why there is none."""
    try:
        found = _newest_run(store, experiment.name)
    except Forgotten:
        return "a patient whose slices its generator saw has withdrawn"
    if found is None:
        return NOT_TRAINED
    if not trained_as(found[1].manifest.get("experiment"), experiment):
        return "its newest run was trained with the configuration of an earlier study"
    return found


def _has_present_rules(store: Store, experiment: Experiment, report: NewestReport) -> bool:
    payload = read_payload(store, report.artefact)
    present = experiment_gate(payload.rows, experiment)
    return present == payload.gate


def _published(store: Store, experiment: Experiment, run: Artefact) -> str:
    """What is known of the newest set where it holds the images that would be published; "" where it holds others."""
    try:
        (version,) = store.read_pointer(keys.set_latest(experiment.name), "version")
    except NotInStore:
        return ""
    key = keys.set_manifest(experiment.name, version)
    try:
        facts = manifest_from(store.read_manifest(key).manifest, store.uri(key)).set
    except Forgotten:
        return ""
    wanted = experiment.publication
    same = (
        facts.model_sha256 == generator_sha256(run)
        and (facts.images, facts.first_seed, facts.bits) == (wanted.images, wanted.first_seed, wanted.bits)
        and facts.tumour_fraction == wanted.tumour_fraction
    )
    if not same:
        return ""
    status = status_of(store, experiment.name, version)
    if status is not None and status.state == "withdrawn":
        return f"version {version} of these images was withdrawn; not published again"
    return PUBLISHED


def _version_of(experiment: Experiment, *sections: str) -> str:
    return content_version(experiment.model_dump(mode="json", include=set(sections)))
