"""A hyperparameter study of an experiment whose report does not pass.

Input: the newest reports. Output: run requests of hyperparameter_study_job, one per experiment and training set.
"""

from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.automation.run_requests import (
    ENDED_BADLY,
    for_each_experiment,
    latest_run,
    run_request,
)
from chestgan_assets.execution.partition_runs import IN_FLIGHT
from chestgan_assets.jobs.asset_jobs import hyperparameter_study_job
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_assets.tags import PARTITION_TAG
from chestgan_core.config.names import tuned_name
from chestgan_core.evaluation.thresholds import PASSED, Thresholds, newest_payload, shortfall, thresholds

if TYPE_CHECKING:
    from chestgan_core.store.store import Store

NO_REPORT = "no report yet"
FROM_STUDY = "comes from a study itself"


@dg.sensor(
    job=hyperparameter_study_job,
    minimum_interval_seconds=600,
    description="Starts a hyperparameter study of experiments whose report does not pass. Costs 20 short trainings, or "
    "$CHESTGAN_STUDY_TRIALS. Off by default.",
)
def hyperparameter_study_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Starts a hyperparameter study of experiments whose report does not pass.

    One study at a time. The cursor holds per experiment the training set for which a study was requested: another study
    on the same slices would repeat the search. Experiments that come from a study are not studied again, so that no
    study leads to the next.
    """
    opened, limits = store.open(), thresholds()
    busy = _study_in_flight(context.instance)

    def step(name: str, requested: dict[str, str]) -> tuple[dg.RunRequest | None, str]:
        nonlocal busy
        if EXPERIMENTS[name].provenance is not None:
            return None, FROM_STUDY
        request, reason = _next(context.instance, opened, name, limits, requested, busy)
        busy = busy or (name if request else "")
        return request, reason

    return for_each_experiment(context, EXPERIMENTS, step, unremarkable=(NO_REPORT, PASSED, FROM_STUDY))


def _study_in_flight(instance: dg.DagsterInstance) -> str:
    """The experiment of a study that is queued or runs; "" without one."""
    found = instance.get_run_records(
        dg.RunsFilter(job_name=hyperparameter_study_job.name, statuses=IN_FLIGHT), limit=1
    )
    return found[0].dagster_run.tags.get(PARTITION_TAG, "another experiment") if found else ""


def _next(
    instance: dg.DagsterInstance,
    store: "Store",
    experiment: str,
    limits: Thresholds,
    requested: dict[str, str],
    busy: str,
) -> tuple[dg.RunRequest | None, str]:
    """The study of one experiment, or why there is none. Writes into requested. busy: whose study is in flight."""
    report = newest_payload(store, experiment)
    if report is None:
        return None, NO_REPORT
    short, why = shortfall(report, limits.study_floors)
    if not short:
        return None, why
    training_set = str(report.provenance["training set"])
    key = f"study:{experiment}:{training_set}"
    run = latest_run(instance, key)
    if run is not None or requested.get(experiment) == training_set:
        return None, f"{why}; a study on {training_set} was already requested{_outcome(run, experiment)}"
    if busy:
        return None, f"{why}; waits for the study of {busy}"
    requested[experiment] = training_set
    config = {"ops": {"hyperparameter_study": {"config": {"trials": limits.study_trials}}}}
    return run_request(key, experiment, config=config), f"{why}; study requested"


def _outcome(run: dg.DagsterRun | None, experiment: str) -> str:
    """What became of a study that was requested, as the end of a sentence."""
    if run is not None and run.status in ENDED_BADLY:
        return f", and its run {ENDED_BADLY[run.status]}: start it by hand, it goes on where it ended"
    if run is not None and run.status is dg.DagsterRunStatus.SUCCESS:
        return f"; what it found is {tuned_name(experiment)}"
    return ""
