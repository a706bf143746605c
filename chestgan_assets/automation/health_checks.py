"""What looks after the collections: failed partitions and old catalogs are told daily, catalogs are made weekly."""

import time
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from chestgan_assets.automation.partition_runs import count_partitions, failed_partitions
from chestgan_assets.automation.patient_partitions import PATIENT_ASSETS, catalogued
from chestgan_assets.execution.executor import OWNERS
from chestgan_assets.jobs import jobs
from chestgan_assets.metadata import table
from chestgan_assets.partitions import DATASETS, PATIENT_PARTITIONS
from chestgan_assets.resources import StoreResource

SHOWN = 50
OLDEST = timedelta(days=15)  # the schedule makes them weekly


collections = dg.AssetSpec(
    "collections",
    deps=["series_catalog", "slice_tensors"],
    group_name="acquisition",
    owners=OWNERS,
    description="All collections as they stand. Nothing is made here: once a day its checks tell what needs somebody.",
)


@dg.asset_check(
    asset=collections.key, description="No patient's last run failed, in raw_dicom or slice_tensors."
)
def no_failed_partitions(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Counts the patients whose newest run failed and names the first of them.

    On an asset that nobody materializes: elsewhere it would run, and turn red, with every single partition.
    """
    # Where raw_dicom failed, slice_tensors was never made either: the first of them says why.
    failed = failed_partitions(context.instance, PATIENT_PARTITIONS, PATIENT_ASSETS)
    shown = [(key, asset.to_user_string()) for key, asset in sorted(failed.items())[:SHOWN]]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "failed": len(failed),
            "patients": count_partitions(context.instance, PATIENT_PARTITIONS),
            f"the first {SHOWN}": table(("patient", "failed in"), shown),
        },
    )


@dg.asset_check(asset=collections.key, description=f"No catalog is older than {OLDEST.days} days.")
def catalogs_current(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
    """By dataset: the freshness policy of series_catalog looks at whichever catalog was made last."""
    now, ages = time.time(), {}
    for dataset, _ in catalogued(store.open()):
        if not DATASETS[dataset].source.generated:
            ages[dataset] = (now - _made(context.instance, dataset)) / 86400
    old = {dataset: age for dataset, age in ages.items() if age > OLDEST.days}
    rows = [(dataset, f"{age:.1f}") for dataset, age in sorted(ages.items())]
    return dg.AssetCheckResult(
        passed=not old,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"too old": len(old), "days": table(("dataset", "days since its catalog was made"), rows)},
    )


def _made(instance: dg.DagsterInstance, dataset: str) -> float:
    """When the catalog of a dataset was materialized last, seconds since 1970; 0 where that was elsewhere."""
    records = instance.get_event_records(
        dg.EventRecordsFilter(
            dg.DagsterEventType.ASSET_MATERIALIZATION,
            asset_key=dg.AssetKey("series_catalog"),
            asset_partitions=[dataset],
        ),
        limit=1,
    )
    return records[0].timestamp if records else 0.0


failed_partitions_daily = dg.ScheduleDefinition(
    name="failed_partitions_daily",
    job=jobs.failed_partitions,
    cron_schedule="0 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Tells once a day which patients failed and which catalogs are old.",
)


@dg.schedule(
    job=jobs.catalog,
    cron_schedule="0 5 * * 1",
    description="Makes every catalog again that somebody has made once, except that of the phantoms.",
)
def catalogs_weekly(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Makes every catalog again that somebody has made once, except that of the phantoms."""
    again = [name for name, _ in catalogued(store.open()) if not DATASETS[name].source.generated]
    if not again:
        yield dg.SkipReason("no collection has a catalog yet")
    for name in again:
        yield dg.RunRequest(partition_key=name)
