"""The study of an experiment whose report falls short.

In: the newest reports. Out: requests of the job `study`, one for each experiment and training set.
"""

import dagster as dg

from chestgan_assets.automation.run_requests import each_experiment, run_request
from chestgan_assets.jobs.jobs import study
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.evaluation.thresholds import Thresholds, newest_report, shortfall, thresholds
from chestgan_core.store.store import Store


@dg.sensor(
    job=study,
    minimum_interval_seconds=600,
    description="Asks for a hyperparameter study where a report falls short. Off until somebody turns it on.",
)
def study_when_short(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Asks for a hyperparameter study where a report falls short. Off until somebody turns it on.

    The cursor holds by experiment the training set for which a study was asked: another one on the same slices would
    only search the same again. An experiment that a study found is not studied by itself.
    """
    opened, limits = store.open(), thresholds()
    names = [name for name, experiment in EXPERIMENTS.items() if experiment.origin is None]
    return each_experiment(context, names, lambda name, asked: _next(opened, name, limits, asked))


def _next(
    store: Store, experiment: str, limits: Thresholds, asked: dict[str, str]
) -> tuple[dg.RunRequest | None, str]:
    """The study of one experiment, or why there is none. Writes into asked."""
    report = newest_report(store, experiment)
    if report is None:
        return None, "has no report"
    short, why = shortfall(report, limits.study_floors)
    if not short:
        return None, why
    slices = str(report["provenance"]["training set"])
    if asked.get(experiment) == slices:
        return None, f"{why}; a study was asked for on {slices}, what follows from it a person decides"
    asked[experiment] = slices
    return run_request(f"study:{experiment}:{slices}", experiment), f"{why}; study asked for"
