"""Retraining after enough new slices, after drift, after tumours were drawn anew, or after a patient has withdrawn.

Input: the store (current runs, training sets, slices) and what was requested before (the cursor, Dagster's runs).
Output: run requests, first for the training set, then for the experiments that were trained on an older one.
"""

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.automation.run_requests import (
    ENDED_BADLY,
    asked_before,
    for_each_experiment,
    latest_run,
    run_request,
)
from chestgan_assets.jobs.asset_jobs import synthetic_set_job, training_set_job
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.errors import Forgotten
from chestgan_core.evaluation.thresholds import Thresholds, current_training_set, thresholds
from chestgan_core.store import keys

if TYPE_CHECKING:
    from chestgan_core.slices.drift import Drift
    from chestgan_core.store.store import Store

NO_CHECKPOINT = "no checkpoint; the first training has to be started by a person"
NOTHING_NEW = "no new slices"
WITHDRAWN = "a patient whose slices were used has withdrawn"
DRAWN = "tumours were drawn anew"


@dg.sensor(
    jobs=[training_set_job, synthetic_set_job],
    minimum_interval_seconds=3600,
    description="Retrains experiments after enough new slices, drift, tumours drawn anew, or a patient's withdrawal. "
    "Off by default.",
)
def retraining_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Retrains experiments after enough new slices, drift, tumours drawn anew, or after a patient has withdrawn.

    The cursor holds the last request key per dataset and per experiment: a state is never requested twice, even if its
    run failed.
    """
    opened, limits = store.open(), thresholds()
    earlier = set(json.loads(context.cursor or "{}").values())
    return for_each_experiment(
        context,
        EXPERIMENTS,
        lambda name, requested: _next(context.instance, opened, name, limits, requested, earlier),
        unremarkable=(NOTHING_NEW, NO_CHECKPOINT),
    )


def _next(
    instance: dg.DagsterInstance,
    store: "Store",
    experiment: str,
    limits: Thresholds,
    requested: dict[str, str],
    earlier: Collection[str],
) -> tuple[dg.RunRequest | None, str]:
    """The next run of one experiment, and why. Writes into requested. earlier: keys that earlier ticks requested."""
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.slices.drift import annotations_since, drift_since, present_state
    from chestgan_core.slices.training_set import open_training_set

    current = current_training_set(store, experiment)
    if current is None:
        return None, NO_CHECKPOINT
    dataset, version = current
    (newest,) = store.read_pointer(keys.training_set_latest(dataset), "version")
    why: str | None
    try:
        trained_on = open_training_set(store, dataset, version)
        drift = drift_since(store, trained_on)
    except Forgotten:
        # The same slices may have been requested before, when the patient had not come yet. Named by the newest set:
        # experiments that were trained on different ones need one more between them.
        why, state = WITHDRAWN, f"{present_state(store, dataset_named(dataset))}:after-{newest}"
    else:
        why, state = enough(drift, limits), drift.state
        if (
            why is None
            and _depends_on_tumours(experiment)
            and (drawn := annotations_since(store, trained_on))
        ):
            why, state = DRAWN, f"{state}:annotations-{drawn}"
        if why is None and not drift.slices:
            return None, NOTHING_NEW
        if why is None:
            return (
                None,
                f"{drift.slices} slices of {drift.patients} patients are new: not enough, and no drift",
            )
    key = f"training-set:{dataset}:{state}"
    if newest != version and _is_current(store, dataset, newest, why == DRAWN):
        status = dg.DagsterRunStatus.SUCCESS  # somebody has built it from all current slices
    elif (run := latest_run(instance, key)) is not None:
        status = run.status
    elif key in earlier:
        return None, f"{why}: the training set {asked_before(instance, key, True)}"
    elif requested.get(dataset) == key:
        status = dg.DagsterRunStatus.QUEUED  # by another experiment, in this tick
    else:
        requested[dataset] = key
        return run_request(key, dataset, training_set_job.name), f"{why}: training set of {dataset} requested"
    if status in ENDED_BADLY:
        return (
            None,
            f"{why}, but the run of the training set {ENDED_BADLY[status]}; not requested again before that changes",
        )
    if status is not dg.DagsterRunStatus.SUCCESS:
        return None, f"{why}: waits for the training set of {dataset}"
    if newest == version:
        return None, f"{why}, but that changes nothing of what the rules of {dataset} use: same training set"
    if why == DRAWN:
        why, few = _enough_drawn(store, dataset, (version, newest), limits)
        if few:
            return None, why
    key = f"retraining:{experiment}:{newest}"
    if said := asked_before(instance, key, key in earlier):
        return None, f"{why}: training on {newest}: {said}"
    requested[f"experiment {experiment}"] = key
    return run_request(key, experiment, synthetic_set_job.name), f"{why}: training on {newest} requested"


def _depends_on_tumours(experiment: str) -> bool:
    """Whether what experts drew decides what its generator learns: what it is told, or which slices it sees."""
    from chestgan_core.config.dataset import dataset_named

    trained = EXPERIMENTS[experiment]
    only_tumours = dataset_named(trained.dataset).training_set.slices == "tumour"
    return trained.conditions.tumour is not None or only_tumours


def _is_current(store: "Store", dataset: str, version: str, with_annotations: bool) -> bool:
    """Whether a training set was built from all current slices, and is there. with_annotations: and knows the newest
    tumours.
    """
    from chestgan_core.slices.drift import annotations_since, drift_since
    from chestgan_core.slices.training_set import open_training_set

    try:
        built = open_training_set(store, dataset, version)
        if drift_since(store, built).slices:
            return False
    except Forgotten:
        return False
    return not (with_annotations and annotations_since(store, built))


def _enough_drawn(
    store: "Store", dataset: str, versions: tuple[str, str], limits: Thresholds
) -> tuple[str, bool]:
    """What tumours that were drawn anew change, and whether that is too little to retrain. versions: of the training
    set that was trained on, and of the newest.
    """
    from chestgan_core.slices.drift import changed_marks
    from chestgan_core.slices.training_set import open_training_set

    before, after = (open_training_set(store, dataset, version) for version in versions)
    changed, known = changed_marks(store, before, after), sum(before.manifest["slices"].values())
    said = f"{DRAWN} on {changed} slices of {known}"
    few = changed < min(limits.retrain_slices, limits.retrain_fraction * known)
    return (f"{said}: not enough" if few else said), few


def enough(drift: "Drift", limits: Thresholds) -> str | None:
    """Why the drift is enough to retrain; None where it is not."""
    if drift.slices and (
        drift.slices >= limits.retrain_slices or drift.slices >= limits.retrain_fraction * drift.known
    ):
        return f"{drift.slices} slices are new or revised, next to {drift.known}"
    for shift in drift.shifts:
        if shift.distance > max(limits.drift, shift.critical):
            return (
                f"{shift.variable} of the new patients has shifted by {shift.distance:.2f} "
                f"(chance: {shift.critical:.2f})"
            )
    return None
