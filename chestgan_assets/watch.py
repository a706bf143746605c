"""What looks after the collection: failed partitions are told once a day, catalogs are made again once a week."""

from collections.abc import Iterator

import dagster as dg
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from chestgan_assets.jobs import catalog, failed_partitions
from chestgan_assets.partitions import DATASETS, patients
from chestgan_assets.presentation import table
from chestgan_assets.registration import PARTITIONS, catalogued
from chestgan_assets.resources import StoreResource

SHOWN = 50
WATCHED = (dg.AssetKey("raw_dicom"), dg.AssetKey("slice_tensors"))


@dg.asset_check(
    asset="series_catalog", description="No patient's last run failed, in raw_dicom or slice_tensors."
)
def no_failed_partitions(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Counts the patients whose newest run failed and names the first of them.

    It belongs to the catalog, not to raw_dicom: there it would run again with every single patient.
    """
    instance = context.instance
    keys = instance.get_dynamic_partitions(PARTITIONS)
    failed = [
        (asset.to_user_string(), key)
        for asset in WATCHED
        for key, status in (instance.get_status_by_partition(asset, keys, patients) or {}).items()
        if status == AssetPartitionStatus.FAILED
    ]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            # Where raw_dicom failed, slice_tensors counts as failed too.
            "failed": len({key for _, key in failed}),
            "patients": len(keys),
            f"the first {SHOWN}": table(("asset", "patient"), list(failed[:SHOWN])),
        },
    )


failed_partitions_daily = dg.ScheduleDefinition(
    name="failed_partitions_daily",
    job=failed_partitions,
    cron_schedule="0 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Tells once a day which patients failed.",
)


@dg.schedule(job=catalog, cron_schedule="0 5 * * 1")
def catalogs_weekly(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Makes every catalog again that somebody has made once, except that of the phantoms."""
    again = [name for name, _ in catalogued(store.open()) if DATASETS[name].source.kind != "phantom"]
    if not again:
        yield dg.SkipReason("no collection has a catalog yet")
    for name in again:
        yield dg.RunRequest(partition_key=name)
