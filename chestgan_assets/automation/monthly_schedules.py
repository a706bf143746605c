"""The first days of a month: training sets, then trainings with reports and sets, then the report of the month.

Input: the experiments that have a checkpoint. Output: run requests, one per partition and month; Dagster's run keys
prevent a second request.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.automation.run_requests import run_request
from chestgan_assets.jobs.asset_jobs import monthly_report_job, synthetic_set_job, training_set_job
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.errors import ChestganError, StoreUnreachable
from chestgan_core.evaluation.thresholds import current_training_set

if TYPE_CHECKING:
    from chestgan_core.store.store import Store


@dg.schedule(
    job=training_set_job,
    cron_schedule="0 1 1 * *",
    description="Builds the training sets of all experiments that have a checkpoint, on the 1st of the month.",
)
def monthly_training_sets_schedule(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Builds the training sets of all experiments that have a checkpoint."""
    names = sorted(set(_trained(context, store.open()).values()))
    if not names:
        yield dg.SkipReason("no experiment has a checkpoint")
    for dataset in names:
        yield _request(context, dataset)


@dg.schedule(
    job=synthetic_set_job,
    cron_schedule="0 4 1 * *",
    description="Trains, evaluates and publishes all experiments that have a checkpoint, on the 1st of the month.",
)
def monthly_synthetic_sets_schedule(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Trains (unless the training set is unchanged), evaluates and publishes all experiments with a checkpoint."""
    names = sorted(_trained(context, store.open()))
    skipped = ", ".join(sorted(set(EXPERIMENTS) - set(names)))
    context.log.info(f"skipped, without a checkpoint: {skipped or 'none'}")
    if not names:
        yield dg.SkipReason(f"no experiment has a checkpoint: {skipped}")
    for name in names:
        yield _request(context, name)


@dg.schedule(
    job=monthly_report_job,
    cron_schedule="0 8 2 * *",
    description="Reports on the previous month, on the 2nd of the month.",
)
def monthly_reports_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Reports on the previous month, once nothing is committed in it any more."""
    from chestgan_core.evaluation.monthly.month import month_before

    return _request(context, month_before(f"{context.scheduled_execution_time:%Y-%m}"))


def _request(context: dg.ScheduleEvaluationContext, partition: str) -> dg.RunRequest:
    key = f"monthly:{context.scheduled_execution_time:%Y-%m}:{partition}"
    return run_request(key, partition)


def _trained(context: dg.ScheduleEvaluationContext, store: "Store") -> dict[str, str]:
    """Experiment -> its dataset, where there is a checkpoint. One that cannot be read is logged and left out: for the
    others the next tick is a month away.
    """
    trained = {}
    for name in EXPERIMENTS:
        try:
            current = current_training_set(store, name)
        except StoreUnreachable:
            raise  # of all of them: the tick fails, and says so
        except ChestganError as error:
            context.log.warning(f"{name} is left out: {error}")
            continue
        if current is not None:
            trained[name] = current[0]
    return trained
