"""A hyperparameter study between store and store: opened, worked on by any number of processes, committed.

In: an experiment, a search space, and the newest training set of the experiment's dataset. Out:
`studies/<experiment>/<study>/<version>/` with trials, figures, report and best.yaml, and the tuned experiment in the
pointer that every machine reads. A study is named by what decides the scores of its trials, so one that was
interrupted goes on, and more trials join those that are there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from optuna.storages import RDBStorage

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.slices.training_set import TrainingSet, open_training_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.store import Store
from chestgan_core.training.devices import pick_device
from chestgan_core.tuning.data import Slices
from chestgan_core.tuning.plan import StudyPlan, Wanted
from chestgan_core.tuning.report_files import BEST, report_files
from chestgan_core.tuning.space import SearchSpace
from chestgan_core.tuning.study import OpenStudy, counts, open_study
from chestgan_core.tuning.summary import summary
from chestgan_core.tuning.table import read_table
from chestgan_core.tuning.tuned import publish_tuned, tuned_experiment
from chestgan_core.tuning.worker import OnTrial, work


@dataclass(frozen=True)
class StoredStudy:
    """A committed study. told: its manifest. Figures: PNG by file name. best: the YAML of the tuned experiment."""

    uri: str
    version: str
    told: dict[str, Any]
    figures: dict[str, bytes]
    html: str
    best: str


def open_experiment_study(
    store: Store,
    storage: RDBStorage,
    experiment: Experiment,
    space: SearchSpace,
    wanted: Wanted,
    device: str,
    folder: Path,
    caller: str = "",
) -> OpenStudy:
    """The study of an experiment on its newest training set, made where there is none. folder: scratch.

    caller: a name under which find_study finds it. Raises NotInStore (no training set), NotAvailable (no extractor, no
    driver of the database), BadInput, StoreError.
    """
    where = pick_device(device)
    training_set = open_training_set(store, experiment.dataset)
    slices = _slices(store, training_set, experiment, folder)
    dataset = training_set.dataset
    plan = StudyPlan.of(
        experiment, space, slices.data(training_set.version, dataset.title, dataset.image_kind), wanted
    )
    return open_study(storage, plan, slices.yardstick(plan, where), caller)


def work_on_study(
    store: Store,
    study: OpenStudy,
    trials: int,
    device: str,
    folder: Path,
    threads: int | None = None,
    on_trial: OnTrial = lambda row: None,
) -> int:
    """Run trials until so many have ended; returns how many did here. threads: of a processor, by default all.
    on_trial: gets each of them when it ends.

    The slices are those of the training set that the study was opened on. Raises what work() raises, StoreError.
    """
    where = pick_device(device)
    if threads:
        torch.set_num_threads(threads)
    if counts(study.optuna).ended >= trials:
        return 0
    plan = study.plan
    training_set = open_training_set(store, plan.experiment.dataset, plan.data.version)
    slices = _slices(store, training_set, plan.experiment, folder)
    return work(study, slices.material(plan, where, folder), trials, on_trial)


def commit_study(store: Store, study: OpenStudy) -> StoredStudy:
    """Commit the trials as they are now, with the report; the best becomes the tuned experiment.

    Raises BadInput (no trial has ended), StoreError.
    """
    table, plan = read_table(study), study.plan
    if not table.rows:
        raise BadInput(f"study {plan.name}", "has no trial that ended", "run trials first")
    best, initial = table.best, table.initial
    manifest_key = keys.study_manifest(plan.experiment.name, plan.study, table.version)
    manifest = {
        "kind": "hyperparameter-study",
        "plan": plan.model_dump(mode="json"),
        "study": plan.study,
        "training_set": plan.data.version,
        "extractor": table.yardstick.extractor,
        "held_out_images": table.yardstick.images,
        "floor": table.yardstick.floor,
        "trials": len(table.rows),
        "pruned": table.pruned,
        "failed": table.failed,
        "best": None if best is None else {"trial": best.number, "kid": best.kid, "drawn": best.drawn},
        "initial": None
        if initial is None
        else {"trial": initial.number, "kid": initial.kid, "drawn": initial.drawn},
        "importances": table.importances,
        "summary": summary(table),
    }
    if store.head(manifest_key) is None:
        store.commit(manifest_key, report_files(table), manifest)
    store.update_pointer(
        keys.study_latest(plan.experiment.name), {"study": plan.study, "version": table.version}
    )
    if best is not None:
        publish_tuned(store, tuned_experiment(table))
    return _stored(store, store.read_manifest(manifest_key), table.version)


def latest_study(store: Store, experiment: str) -> StoredStudy:
    """The study of an experiment that was committed last. Raises NotInStore."""
    try:
        pointer = store.get_pointer(keys.study_latest(experiment))[0]
    except NotInStore as error:
        raise NotInStore(
            f"experiment {experiment}", "has no study in the store", "materialize hyperparameter_study first"
        ) from error
    version = str(pointer["version"])
    key = keys.study_manifest(experiment, str(pointer["study"]), version)
    return _stored(store, store.read_manifest(key), version)


def _slices(store: Store, training_set: TrainingSet, experiment: Experiment, folder: Path) -> Slices:
    train = training_set.fetch(store, "train", folder / "train")
    return Slices(train, training_set.fetch(store, "held-out", folder / "held-out"), experiment)


def _stored(store: Store, artefact: Artefact, version: str) -> StoredStudy:
    names = [artefact.name(item) for item in artefact.objects]
    return StoredStudy(
        uri=store.uri(artefact.manifest_key),
        version=version,
        told=dict(artefact.manifest),
        figures={
            name.removeprefix("figures/"): store.read(artefact, name)
            for name in names
            if name.startswith("figures/")
        },
        html=store.read(artefact, "report.html").decode(),
        best=store.read(artefact, BEST).decode() if BEST in names else "",
    )
