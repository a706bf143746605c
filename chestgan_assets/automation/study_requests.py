"""A hyperparameter study of an experiment whose report does not pass.

Input: the newest reports. Output: run requests of hyperparameter_study_job, one per experiment and training set.
"""

import dagster as dg

from chestgan_assets.automation.run_requests import for_each_experiment, run_request
from chestgan_assets.jobs.asset_jobs import hyperparameter_study_job
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.evaluation.thresholds import Thresholds, newest_payload, shortfall, thresholds
from chestgan_core.store.store import Store


@dg.sensor(
    job=hyperparameter_study_job,
    minimum_interval_seconds=600,
    description="Starts a hyperparameter study of experiments whose report does not pass. Off by default.",
)
def hyperparameter_study_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Starts a hyperparameter study of experiments whose report does not pass.

    The cursor holds per experiment the training set for which a study was requested: another study on the same slices
    would repeat the search. Experiments that come from a study are not studied again.
    """
    opened, limits = store.open(), thresholds()
    names = [name for name, experiment in EXPERIMENTS.items() if experiment.provenance is None]
    return for_each_experiment(context, names, lambda name, requested: _next(opened, name, limits, requested))


def _next(
    store: Store, experiment: str, limits: Thresholds, requested: dict[str, str]
) -> tuple[dg.RunRequest | None, str]:
    """The study of one experiment, or why there is none. Writes into requested."""
    report = newest_payload(store, experiment)
    if report is None:
        return None, "has no report"
    short, why = shortfall(report, limits.study_floors)
    if not short:
        return None, why
    training_set = str(report.provenance["training set"])
    if requested.get(experiment) == training_set:
        return (
            None,
            f"{why}; a study on {training_set} was already requested, its results are for a person to judge",
        )
    requested[experiment] = training_set
    return run_request(f"study:{experiment}:{training_set}", experiment), f"{why}; study requested"
