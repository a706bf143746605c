"""The study of an experiment whose report falls short.

In: the newest reports. Out: requests of the job `study`, one for each experiment and training set.
"""

import json

import dagster as dg

from chestgan_assets.jobs import study
from chestgan_assets.monthly import ASKED
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.automation import Thresholds, newest_report, shortfall, thresholds
from chestgan_core.errors import ChestganError
from chestgan_core.store import Store


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
    asked: dict[str, str] = json.loads(context.cursor or "{}")
    opened, limits = store.open(), thresholds()
    requests: list[dg.RunRequest] = []
    said = []
    for name, experiment in EXPERIMENTS.items():
        if experiment.origin is not None:
            continue
        try:
            request, why = _next(opened, name, limits, asked)
        except ChestganError as error:
            request, why = None, str(error)  # the other experiments must not wait for it
        said.append(f"{name}: {why}")
        if request is not None:
            requests.append(request)
    told = "; ".join(said)
    context.log.info(told)
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else told, cursor=json.dumps(asked)
    )


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
    key = f"study:{experiment}:{slices}"
    request = dg.RunRequest(run_key=key, partition_key=experiment, tags={ASKED: key})
    return request, f"{why}; study asked for"
