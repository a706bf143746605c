"""What was made of a patient's slices by training: training sets, features, runs, reports, and where these are shown.

In: the store, a dataset, a patient. Out: traces. Only manifests are read, of training sets, runs, sets, reader studies,
comparisons, leaderboards and months; reports and features are found by their keys. What was made of a training set that
is deleted already is found by its tombstone, whoever withdrew: a writer may have committed it afterwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chestgan_core.config.experiment import load_experiment
from chestgan_core.config.names import experiment_files
from chestgan_core.errors import BadExperiment
from chestgan_core.forgetting.traces import (
    HELD_OUT,
    TRAIN,
    Folder,
    Kind,
    Remaining,
    Trace,
    artefacts,
    fields_of,
    folders,
)
from chestgan_core.store import keys
from chestgan_core.store.artefacts import StoredObject
from chestgan_core.store.store import Store
from chestgan_core.training.run_manifest import GENERATOR_FILE, run_name_of

_SIDE, _TRAINING_SET, _DATASET, _GENERATOR = "side", "training_set", "dataset", "generator_sha256"


@dataclass
class Models:
    """What was found. training_sets: version -> side of the patient. runs: `<experiment>/<run>` -> side. generators:
    sha256 of weights -> side. others: sha256 of the weights of all other runs. reports: `<experiment>/<version>`.
    experiments: with such a run. named: a training set lists the patient.
    """

    traces: list[Trace] = field(default_factory=list)
    remaining: list[Remaining] = field(default_factory=list)
    training_sets: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    generators: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    reports: set[str] = field(default_factory=set)
    experiments: set[str] = field(default_factory=set)
    named: bool = False

    def add(self, trace: Trace | None) -> None:
        """One more, unless it is gone already."""
        if trace is not None:
            self.traces.append(trace)


def find_models(store: Store, dataset: str, patient: str, *, known: bool) -> Models:
    """Training sets with the patient on a side, and what was made of them. known: there are files or series of the
    patient, so that unfinished training sets may show them. Raises DamagedObject, StoreError.
    """
    found = Models()
    others, unfinished = _training_sets(store, dataset, patient, found)
    if known or found.training_sets:
        for one in unfinished:
            # Contact sheets are sent before the manifest, and nobody reads them.
            found.add(one.trace(Kind.TRAINING_SET))
    if found.training_sets:
        _features(store, dataset, found)
        _runs(store, dataset, others, found)
        _reports(store, found)
        _of_reports(store, found, Kind.COMPARISON, keys.comparisons_prefix())
        _of_reports(store, found, Kind.LEADERBOARD, keys.leaderboards_prefix())
        _months(store, found)
        _studies(store, found)
    return found


def _training_sets(store: Store, dataset: str, patient: str, found: Models) -> tuple[list[str], list[Folder]]:
    """Fills in training_sets; returns the versions of the others, and those without a manifest."""
    others: list[str] = []
    unfinished: list[Folder] = []
    # The manifest of a training set names each shard: tens of megabytes for 40,000 patients.
    for one in artefacts(store, keys.training_sets_prefix(dataset), 1, at_once=2):
        with fields_of(store, one.key):
            side = one.tombstone.facts.get(_SIDE, TRAIN) if one.tombstone else _side_of(one, patient)
        if side:
            found.named |= one.tombstone is None
            found.training_sets[one.name] = side
            found.add(one.trace(Kind.TRAINING_SET, _note(side), **{_SIDE: side}))
        elif one.orphaned:
            unfinished.append(one)
        else:
            others.append(one.name)
    return others, unfinished


def _side_of(one: Folder, patient: str) -> str:
    for shard in one.manifest.get("shards", []):
        if shard["stored"]["name"] == patient:
            return str(shard["side"])
    return ""


def _note(side: str) -> str:
    return "the patient is held out" if side == HELD_OUT else ""


def _features(store: Store, dataset: str, found: Models) -> None:
    prefix = keys.features_prefix(dataset)
    for version, objects in sorted(folders(store.list(prefix), prefix, 1).items()):
        if version in found.training_sets:
            found.add(Trace(Kind.FEATURES, f"of training set {version}", tuple(objects)))


def _runs(store: Store, dataset: str, others: Iterable[str], found: Models) -> None:
    unfinished: list[Folder] = []
    datasets: dict[str, set[str]] = {}
    for one in artefacts(store, keys.runs_prefix(), 2):
        experiment = one.name.partition("/")[0]
        facts: Mapping[str, object] = one.tombstone.facts if one.tombstone else one.manifest
        if one.orphaned:
            unfinished.append(one)
            continue
        datasets.setdefault(experiment, set()).add(str(facts.get(_DATASET)))
        side = found.training_sets.get(str(facts.get(_TRAINING_SET)), "")
        with fields_of(store, one.key):
            sha256 = str(facts.get(_GENERATOR) or _generator_of(one))
        if facts.get(_DATASET) != dataset or not side:
            found.others.add(sha256)
            continue
        found.runs[one.name] = side
        found.experiments.add(experiment)
        found.generators[sha256] = side
        if side == TRAIN:
            kept = {_DATASET: dataset, _TRAINING_SET: str(facts[_TRAINING_SET]), _GENERATOR: sha256}
            found.add(one.trace(Kind.RUN, **kept))
        else:
            why = "the patient was held out: the weights have not seen the slices"
            found.remaining.append(Remaining(f"training run {one.name}", why))
    if TRAIN in found.training_sets.values():
        for one in unfinished:
            if _may_have_seen(one, dataset, others, datasets):
                found.experiments.add(one.name.partition("/")[0])
                found.add(Trace(Kind.UNFINISHED_RUN, one.name, one.objects))


def _generator_of(run: Folder) -> str:
    listed = run.manifest.get("objects", [])
    return next((one["sha256"] for one in listed if one["key"].endswith(f"/{GENERATOR_FILE}")), "")


def _may_have_seen(
    run: Folder, dataset: str, others: Iterable[str], datasets: Mapping[str, set[str]]
) -> bool:
    """Whether an unfinished training may be on a training set with the patient. It says so only to those who know the
    experiment as it was: a run is named by a hash of its settings and of the version of the training set.
    """
    name, number = run.name.split("/")
    known = set(datasets.get(name, set()))
    try:
        files = experiment_files()
        experiment = load_experiment(files[name]) if name in files else None
    except BadExperiment:
        experiment = None
    if experiment is not None:
        known.add(experiment.dataset)
        fingerprint = experiment.fingerprint()
        if number in {run_name_of(fingerprint, version) for version in others}:
            return False
    return not known or dataset in known


def _reports(store: Store, found: Models) -> None:
    for one in artefacts(store, keys.reports_prefix(), 3):
        experiment, run, version = one.name.split("/")
        if f"{experiment}/{run}" in found.runs:
            found.reports.add(f"{experiment}/{version}")
            found.add(one.trace(Kind.REPORT))


def _of_reports(store: Store, found: Models, kind: Kind, prefix: str) -> None:
    """Artefacts whose manifest names the reports that they show."""
    for one in artefacts(store, prefix, 2):
        with fields_of(store, one.key):
            reports = {f"{name}/{version}" for name, version in one.manifest.get("reports", {}).items()}
        if one.orphaned or one.tombstone or reports & found.reports:
            found.add(one.trace(kind))


def _months(store: Store, found: Models) -> None:
    """A month shows images of its runs, none of patients; so it is deleted for models that were trained on one."""
    trained = {name for name, side in found.runs.items() if side == TRAIN}
    if not trained:
        return
    of_trained = {name.partition("/")[0] for name in trained}
    reports = {name for name in found.reports if name.partition("/")[0] in of_trained}
    for one in artefacts(store, keys.months_prefix(), 2):
        with fields_of(store, one.key):
            shows = one.orphaned or one.tombstone or _month_shows(store, one, trained, reports)
        if shows:
            found.add(one.trace(Kind.MONTH))


def _month_shows(store: Store, month: Folder, runs: set[str], reports: set[str]) -> bool:
    data = next((item for item in month.objects if item.key.endswith("/month.json")), None)
    if data is None:
        return True
    fields = store.get_pointer(data.key)[0]
    shown = {f"{one['experiment']}/{one['run']}" for one in fields.get("runs", [])}
    if shown & runs:
        return True
    said = {f"{one['experiment']}/{one['version']}" for one in fields.get("reports", [])}
    said |= {f"{one['experiment']}/{one['before']}" for one in fields.get("reports", [])}
    return bool(said & reports)


def _studies(store: Store, found: Models) -> None:
    """Hyperparameter studies have neither images nor weights."""
    for one in artefacts(store, keys.studies_prefix(), 3):
        if one.manifest.get(_TRAINING_SET) in found.training_sets:
            found.remaining.append(Remaining(f"hyperparameter study {one.name}", "holds numbers only"))


def objects_of(listed: Iterable[StoredObject], names: Iterable[str]) -> tuple[StoredObject, ...]:
    """The objects whose file has one of these names."""
    chosen = set(names)
    return tuple(item for item in listed if item.key.rpartition("/")[2] in chosen)
