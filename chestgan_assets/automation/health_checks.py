"""Daily checks for failed patients, wrong states and outdated catalogs; weekly catalogs."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from chestgan_assets.assets.patient_results import PATIENT_ASSETS
from chestgan_assets.automation.patient_partitions import catalogued
from chestgan_assets.execution.executor import OWNERS
from chestgan_assets.execution.partition_events import last_failure
from chestgan_assets.execution.partition_runs import count_partitions, failed_partitions
from chestgan_assets.execution.partition_status import mend_status
from chestgan_assets.jobs.asset_jobs import health_checks_job, series_catalog_job
from chestgan_assets.load_faults import left_out, load_faults
from chestgan_assets.metadata import table
from chestgan_assets.partitions import DATASETS, PATIENT_PARTITIONS
from chestgan_assets.resources import StoreResource

SHOWN = 50
MAX_CATALOG_AGE = timedelta(days=15)  # a schedule makes them weekly

collections = dg.AssetSpec(
    "collections",
    deps=["series_catalog", "slice_tensors"],
    group_name="acquisition",
    owners=OWNERS,
    description="All collections as a whole. It is never materialized; its daily checks show what needs attention.",
)


@dg.asset_check(
    asset=collections.key, description="No patient's last run of raw_dicom or slice_tensors failed."
)
def no_failed_partitions(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Counts the failed patients and names the first of them.

    On an asset that is never materialized: on any other it would run, and fail, with every single partition.
    """
    # Where raw_dicom failed, slice_tensors was never made either: the first of them says why.
    failed = failed_partitions(context.instance, PATIENT_PARTITIONS, PATIENT_ASSETS)
    shown = [
        (key, asset.to_user_string(), last_failure(context.instance, asset, key))
        for key, asset in sorted(failed.items())[:SHOWN]
    ]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "failed patients": len(failed),
            "patients": count_partitions(context.instance, PATIENT_PARTITIONS),
            f"first {SHOWN} failed patients": table(("patient", "failed asset", "why"), shown),
        },
    )


@dg.asset_check(asset=collections.key, description="The UI shows as made what was made of each patient.")
def states_as_made(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Counts the patients whose state was wrong, names the first, and lets Dagster find out their states anew."""
    wrong = mend_status(context.instance, PATIENT_PARTITIONS, PATIENT_ASSETS)
    shown = [(key, asset.to_user_string()) for key, asset in sorted(wrong.items())[:SHOWN]]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Patients shown as missing or failed though made: {len(wrong)}"
        + ("; their states are found out anew." if wrong else "."),
        metadata={
            "wrong states": len(wrong),
            f"first {SHOWN} wrong states": table(("patient", "asset that was made"), shown),
        },
    )


@dg.asset_check(asset=collections.key, description=f"No catalog is older than {MAX_CATALOG_AGE.days} days.")
def catalogs_fresh(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
    """Per dataset; the freshness policy of series_catalog considers only the catalog that was made last."""
    now, ages = time.time(), {}
    for dataset, _ in catalogued(store.open()):
        if not DATASETS[dataset].source.generated:
            ages[dataset] = (now - _materialized(context.instance, dataset)) / 86400
    old = {dataset: age for dataset, age in ages.items() if age > MAX_CATALOG_AGE.days}
    rows = [(dataset, round(age, 1)) for dataset, age in sorted(ages.items())]
    return dg.AssetCheckResult(
        passed=not old,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"outdated catalogs": len(old), "ages": table(("dataset", "days since its catalog"), rows)},
    )


@dg.asset_check(
    asset=collections.key,
    description="Every file of an experiment or a dataset, and every setting, can be used.",
)
def configuration_loads() -> dg.AssetCheckResult:
    """What the code location left out when it loaded; and the settings of the store, which no load opens."""
    if os.environ.get("CHESTGAN_STORE"):
        with left_out("CHESTGAN_STORE", "nothing can be read or stored"):
            StoreResource().open()
    faults = load_faults()
    return dg.AssetCheckResult(
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description=faults[0] if faults else "Everything was loaded.",
        metadata={"left out": len(faults), "faults": table(("fault",), [(fault,) for fault in faults])},
    )


def _materialized(instance: dg.DagsterInstance, dataset: str) -> float:
    """When the catalog of a dataset was last materialized, in seconds since 1970; 0 where another instance did it."""
    last = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("series_catalog"), asset_partitions=[dataset]), limit=1
    )
    return last.records[0].timestamp if last.records else 0.0


daily_health_checks_schedule = dg.ScheduleDefinition(
    name="daily_health_checks_schedule",
    job=health_checks_job,
    cron_schedule="0 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Checks daily for failed patients, wrong states and outdated catalogs.",
)


@dg.schedule(
    job=series_catalog_job,
    cron_schedule="0 5 * * 1",
    description="Updates every existing catalog weekly, except those of the phantoms.",
)
def weekly_series_catalogs_schedule(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Updates every existing catalog, except those of the phantoms."""
    names = [name for name, _ in catalogued(store.open()) if not DATASETS[name].source.generated]
    if not names:
        yield dg.SkipReason("no collection has a catalog yet")
    for name in names:
        yield dg.RunRequest(partition_key=name)
