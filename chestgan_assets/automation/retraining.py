"""Retraining by itself: enough new slices, or slices of another kind.

In: the store (current runs, training sets, slices) and what was asked for before (the cursor, Dagster's runs). Out: run
requests. First the training set is made again, then the experiments that were trained on an older one.
"""

from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.automation.run_requests import ASKED, each_experiment, run_request
from chestgan_assets.jobs.jobs import split, synthetic_set
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.evaluation.thresholds import Thresholds, current_training_set, thresholds
from chestgan_core.store import keys
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from chestgan_core.slices.drift import News


@dg.sensor(
    jobs=[split, synthetic_set],
    minimum_interval_seconds=3600,
    description="Trains again where enough slices are new, or of another kind. Off until somebody turns it on.",
)
def retraining(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Trains again where enough slices are new, or of another kind. Off until somebody turns it on.

    The cursor holds the last run key by dataset and by experiment: the same state is never asked for twice, also where
    the run failed.
    """
    opened, limits = store.open(), thresholds()
    return each_experiment(
        context, EXPERIMENTS, lambda name, asked: _next(context.instance, opened, name, limits, asked)
    )


def _next(
    instance: dg.DagsterInstance, store: Store, experiment: str, limits: Thresholds, asked: dict[str, str]
) -> tuple[dg.RunRequest | None, str]:
    """The next step of one experiment, and why. Writes into asked."""
    from chestgan_core.slices.drift import news_since
    from chestgan_core.slices.training_set import open_training_set

    current = current_training_set(store, experiment)
    if current is None:
        return None, "has no checkpoint: the first training is a person's"
    dataset, version = current
    news = news_since(store, open_training_set(store, dataset, version))
    why = enough(news, limits)
    if why is None:
        return None, f"{news.slices} slices of {news.patients} patients are new: not enough, and no drift"
    newest = str(store.get_pointer(keys.training_set_latest(dataset))[0]["version"])
    split_key = f"split:{dataset}:{news.state}"
    if newest != version and not news_since(store, open_training_set(store, dataset, newest)).slices:
        status = None  # somebody has made it of all that is there
    elif asked.get(dataset) != split_key and not _runs(instance, split_key):
        asked[dataset] = split_key
        return run_request(split_key, dataset, "split"), f"{why}: training set of {dataset} asked for"
    else:
        runs = _runs(instance, split_key)
        status = runs[0].status if runs else dg.DagsterRunStatus.QUEUED
    if status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        return None, f"{why}, but the training set failed: see its run; not asked again before slices change"
    if status not in (None, dg.DagsterRunStatus.SUCCESS):
        return None, f"{why}: waits for the training set of {dataset}"
    if newest == version:
        return (
            None,
            f"{why}, but the rules of {dataset} leave the new slices out: the training set is the same",
        )
    key = f"retrain:{experiment}:{newest}"
    if asked.get(f"experiment {experiment}") == key or _runs(instance, key):
        return None, f"{why}: training on {newest} was asked for already"
    asked[f"experiment {experiment}"] = key
    return run_request(key, experiment, "synthetic_set"), f"{why}: training on {newest} asked for"


def enough(news: "News", limits: Thresholds) -> str | None:
    """Why the news are enough; None where they are not."""
    if news.slices and (
        news.slices >= limits.retrain_slices or news.slices >= limits.retrain_share * news.known
    ):
        return f"{news.slices} slices are new or revised, beside {news.known}"
    for drift in news.drifts:
        if drift.distance > max(limits.drift, drift.least):
            return f"{drift.measure} of the new patients is {drift.distance:.2f} away (chance: {drift.least:.2f})"
    return None


def _runs(instance: dg.DagsterInstance, key: str) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(tags={ASKED: key}), limit=1))
