"""A hyperparameter study from store to store: opened, worked on by any number of processes, committed.

In: an experiment, a search space, and the newest training set of the experiment's dataset. Out:
`studies/<experiment>/<study>/<version>/` with trials, figures, report and best.yaml; the tuned experiment in the
pointer that every machine reads. A study is named by what decides the scores of its trials, so an interrupted one is
resumed, and more trials are added to those that exist.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from optuna.storages import RDBStorage

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.slices.training_set import TrainingSet, open_training_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, parse_typed
from chestgan_core.store.store import Store
from chestgan_core.training.devices import pick_device
from chestgan_core.tuning.data import StudySlices
from chestgan_core.tuning.manifest import StudyManifest
from chestgan_core.tuning.plan import StudyPlan, StudySettings
from chestgan_core.tuning.report_files import BEST, report_files
from chestgan_core.tuning.space import SearchSpace
from chestgan_core.tuning.study import OpenStudy, counts, open_study
from chestgan_core.tuning.table import read_table
from chestgan_core.tuning.tuned import publish_tuned, tuned_experiment
from chestgan_core.tuning.worker import OnTrial, work


@dataclass(frozen=True)
class StoredStudy:
    """A committed study. figures: PNG by file name. best: the YAML of the tuned experiment, "" without one."""

    uri: str
    version: str
    manifest: StudyManifest
    figures: dict[str, bytes]
    html: str
    best: str


def open_experiment_study(
    store: Store,
    storage: RDBStorage,
    experiment: Experiment,
    space: SearchSpace,
    settings: StudySettings,
    device: str,
    folder: Path,
    caller: str = "",
) -> OpenStudy:
    """Open the study of an experiment on its newest training set; create it where there is none.

    folder: scratch. caller: a name under which find_study finds the study again. Raises NotInStore (no training set),
    NotAvailable (no extractor, no database driver), BadInput, StoreError.
    """
    where = pick_device(device)
    training_set = open_training_set(store, experiment.dataset)
    slices = _slices(store, training_set, experiment, folder)
    dataset = training_set.dataset
    plan = StudyPlan.of(
        experiment, space, slices.data(training_set.version, dataset.title, dataset.image_kind), settings
    )
    return open_study(storage, plan, slices.kid_floor(plan, where), caller)


def work_on_study(
    store: Store,
    study: OpenStudy,
    trials: int,
    device: str,
    folder: Path,
    threads: int | None = None,
    on_trial: OnTrial = lambda row: None,
) -> int:
    """Run trials until `trials` have ended; returns how many ended here.

    threads: CPU threads, by default all. on_trial: is called with each trial when it ends. The slices are those of the
    training set that the study was opened on. Raises what work() raises, StoreError.
    """
    where = pick_device(device)
    if threads:
        torch.set_num_threads(threads)
    if counts(study.optuna).ended >= trials:
        return 0
    plan = study.plan
    training_set = open_training_set(store, plan.experiment.dataset, plan.data.version)
    slices = _slices(store, training_set, plan.experiment, folder)
    return work(study, slices.inputs(plan, where, folder), trials, on_trial)


def commit_study(store: Store, study: OpenStudy) -> StoredStudy:
    """Commit the present trials with their report; the best becomes the tuned experiment.

    Raises BadInput (no trial has ended), StoreError.
    """
    table, plan = read_table(study), study.plan
    if not table.rows:
        raise BadInput(f"study {plan.name}", "has no trial that ended", "run trials first")
    manifest_key = keys.study_manifest(plan.experiment.name, plan.study, table.version)
    if store.head(manifest_key) is None:
        store.commit(manifest_key, report_files(table), asdict(StudyManifest.of(table)))
    store.update_pointer(
        keys.study_latest(plan.experiment.name), {"study": plan.study, "version": table.version}
    )
    if table.best is not None:
        publish_tuned(store, tuned_experiment(table))
    return _stored(store, store.read_manifest(manifest_key), table.version)


def latest_study(store: Store, experiment: str) -> StoredStudy:
    """The study of an experiment that was committed last. Raises NotInStore, DamagedObject."""
    try:
        study, version = store.read_pointer(keys.study_latest(experiment), "study", "version")
    except NotInStore as error:
        raise NotInStore(
            f"experiment {experiment}", "has no study in the store", "materialize hyperparameter_study first"
        ) from error
    return _stored(store, store.read_manifest(keys.study_manifest(experiment, study, version)), version)


def _slices(store: Store, training_set: TrainingSet, experiment: Experiment, folder: Path) -> StudySlices:
    train = training_set.fetch(store, "train", folder / "train")
    marks = training_set.marks(store) if experiment.conditions.tumour is not None else None
    held_out = training_set.fetch(store, "held-out", folder / "held-out")
    return StudySlices(train, held_out, experiment, marks)


def _stored(store: Store, artefact: Artefact, version: str) -> StoredStudy:
    names = [artefact.name(item) for item in artefact.objects]
    return StoredStudy(
        uri=store.uri(artefact.manifest_key),
        version=version,
        manifest=parse_typed(
            StudyManifest,
            artefact.manifest,
            store.uri(artefact.manifest_key),
            "materialize hyperparameter_study again",
            "the manifest of a study",
        ),
        figures={
            name.removeprefix("figures/"): store.read(artefact, name)
            for name in names
            if name.startswith("figures/")
        },
        html=store.read(artefact, "report.html").decode(),
        best=store.read(artefact, BEST).decode() if BEST in names else "",
    )
