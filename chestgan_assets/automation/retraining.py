"""Retraining after enough new slices, after drift, or after a patient has withdrawn.

Input: the store (current runs, training sets, slices) and what was requested before (the cursor, Dagster's runs).
Output: run requests, first for the training set, then for the experiments that were trained on an older one.
"""

from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.automation.run_requests import for_each_experiment, latest_run, run_request
from chestgan_assets.jobs.asset_jobs import synthetic_set_job, training_set_job
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.config.dataset import dataset_named
from chestgan_core.errors import Forgotten
from chestgan_core.evaluation.thresholds import Thresholds, current_training_set, thresholds
from chestgan_core.store import keys
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from chestgan_core.slices.drift import Drift

NO_CHECKPOINT = "no checkpoint; the first training has to be started by a person"
NOTHING_NEW = "no new slices"
WITHDRAWN = "a patient whose slices were used has withdrawn"


@dg.sensor(
    jobs=[training_set_job, synthetic_set_job],
    minimum_interval_seconds=3600,
    description="Retrains experiments after enough new slices, drift, or a patient's withdrawal. Off by default.",
)
def retraining_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Retrains experiments after enough new slices, after drift, or after a patient has withdrawn.

    The cursor holds the last request key per dataset and per experiment: a state is never requested twice, even if its
    run failed.
    """
    opened, limits = store.open(), thresholds()
    return for_each_experiment(
        context,
        EXPERIMENTS,
        lambda name, requested: _next(context.instance, opened, name, limits, requested),
        unremarkable=(NOTHING_NEW, NO_CHECKPOINT),
    )


def _next(
    instance: dg.DagsterInstance, store: Store, experiment: str, limits: Thresholds, requested: dict[str, str]
) -> tuple[dg.RunRequest | None, str]:
    """The next run of one experiment, and why. Writes into requested."""
    from chestgan_core.slices.drift import drift_since, present_state
    from chestgan_core.slices.training_set import open_training_set

    current = current_training_set(store, experiment)
    if current is None:
        return None, NO_CHECKPOINT
    dataset, version = current
    why: str | None
    try:
        drift = drift_since(store, open_training_set(store, dataset, version))
    except Forgotten:
        # The same slices may have been requested before, when the patient had not come yet.
        why, state = WITHDRAWN, f"{present_state(store, dataset_named(dataset))}:after-{version}"
    else:
        why, state = enough(drift, limits), drift.state
        if why is None and not drift.slices:
            return None, NOTHING_NEW
        if why is None:
            return (
                None,
                f"{drift.slices} slices of {drift.patients} patients are new: not enough, and no drift",
            )
    (newest,) = store.read_pointer(keys.training_set_latest(dataset), "version")
    key = f"training-set:{dataset}:{state}"
    if newest != version and _is_current(store, dataset, newest):
        status = dg.DagsterRunStatus.SUCCESS  # somebody has built it from all current slices
    elif (run := latest_run(instance, key)) is not None:
        status = run.status
    elif requested.get(dataset) == key:
        status = dg.DagsterRunStatus.QUEUED  # the daemon is about to launch it
    else:
        requested[dataset] = key
        return run_request(key, dataset, training_set_job.name), f"{why}: training set of {dataset} requested"
    if status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        return (
            None,
            f"{why}, but the run of the training set failed; not requested again before slices change",
        )
    if status is not dg.DagsterRunStatus.SUCCESS:
        return None, f"{why}: waits for the training set of {dataset}"
    if newest == version:
        return None, f"{why}, but the rules of {dataset} exclude the new slices: same training set"
    key = f"retraining:{experiment}:{newest}"
    if requested.get(f"experiment {experiment}") == key or latest_run(instance, key) is not None:
        return None, f"{why}: training on {newest} was already requested"
    requested[f"experiment {experiment}"] = key
    return run_request(key, experiment, synthetic_set_job.name), f"{why}: training on {newest} requested"


def _is_current(store: Store, dataset: str, version: str) -> bool:
    """Whether a training set was built from all current slices, and is there."""
    from chestgan_core.slices.drift import drift_since
    from chestgan_core.slices.training_set import open_training_set

    try:
        return not drift_since(store, open_training_set(store, dataset, version)).slices
    except Forgotten:
        return False


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
