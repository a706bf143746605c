"""What the first days of a month ask for: training sets, trainings with reports and sets, the report of the month.

In: the experiments that have a checkpoint. Out: run requests, one a partition and month; Dagster's run keys see to it
that no schedule asks twice.
"""

from collections.abc import Iterator

import dagster as dg

from chestgan_assets.automation.run_requests import run_request
from chestgan_assets.jobs.jobs import report_month, split, synthetic_set
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.evaluation.thresholds import current_training_set
from chestgan_core.store.store import Store


@dg.schedule(
    job=split,
    cron_schedule="0 1 1 * *",
    description="On the first of the month: the training sets of all experiments that have a checkpoint.",
)
def training_sets_monthly(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """On the first of the month: the training sets of all experiments that have a checkpoint."""
    names = sorted(set(_trained(store.open()).values()))
    if not names:
        yield dg.SkipReason("no experiment has a checkpoint")
    for dataset in names:
        yield _request(context, dataset)


@dg.schedule(
    job=synthetic_set,
    cron_schedule="0 4 1 * *",
    description="On the first of the month, after training_sets_monthly: training, report and set.",
)
def experiments_monthly(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """On the first of the month: training (nothing where the training set is the same), report and set."""
    names = sorted(_trained(store.open()))
    skipped = ", ".join(sorted(set(EXPERIMENTS) - set(names)))
    context.log.info(f"skipped, without a checkpoint: {skipped or 'none'}")
    if not names:
        yield dg.SkipReason(f"no experiment has a checkpoint: {skipped}")
    for name in names:
        yield _request(context, name)


@dg.schedule(
    job=report_month,
    cron_schedule="0 8 2 * *",
    description="On the second of the month: the report of the month before.",
)
def reports_monthly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """On the second of the month, when nothing is committed any more in it: the report of the month before."""
    from chestgan_core.evaluation.monthly.month import month_before

    return _request(context, month_before(f"{context.scheduled_execution_time:%Y-%m}"))


def _request(context: dg.ScheduleEvaluationContext, partition: str) -> dg.RunRequest:
    key = f"monthly:{context.scheduled_execution_time:%Y-%m}:{partition}"
    return run_request(key, partition)


def _trained(store: Store) -> dict[str, str]:
    """Experiment -> its dataset, where there is a checkpoint."""
    found = {name: current_training_set(store, name) for name in EXPERIMENTS}
    return {name: current[0] for name, current in found.items() if current is not None}
