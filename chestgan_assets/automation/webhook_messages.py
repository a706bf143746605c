"""Failed runs and new synthetic sets, told to a webhook.

In: Dagster's event log after the cursor (a storage id). Out: messages; the cursor stands after the last one delivered.
Not Dagster's run_failure_sensor: its cursor moves on where a delivery failed. A message that is refused for a day is
left out: one that a receiver can never take must not keep back all others. A message names job, run, steps, and the
dataset or the experiment; no patient, and no words of an error, which may name one.
"""

import time
from collections.abc import Sequence
from typing import Any

import dagster as dg

from chestgan_assets.tags import PARTITION_TAG
from chestgan_core.errors import ChestganError, SourceRefused
from chestgan_core.local.webhook import Webhook

AT_ONCE = 20
PATIENCE = 24 * 3600.0  # seconds
LONGEST = 25.0  # seconds after which a tick begins no more deliveries; the daemon gives it 60
SET = dg.AssetKey("synthetic_image_set")


@dg.sensor(
    minimum_interval_seconds=30, description="Tells $CHESTGAN_WEBHOOK which runs failed. Off by default."
)
def failure_messages(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tells $CHESTGAN_WEBHOOK which runs failed. Begins with those after it was turned on."""
    if context.cursor is None:
        last = context.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
        return _begins(last)
    after = dg.RunStatusChangeRecordsFilter(
        event_type=dg.DagsterEventType.RUN_FAILURE, after_storage_id=int(context.cursor)
    )
    records = context.instance.fetch_run_status_changes(after, limit=AT_ONCE, ascending=True).records
    return _deliver(context, records, lambda record: _failure(context.instance, record))


@dg.sensor(
    minimum_interval_seconds=30,
    description="Tells $CHESTGAN_WEBHOOK which synthetic sets are new. Off by default.",
)
def release_messages(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tells $CHESTGAN_WEBHOOK which synthetic sets were published. Begins with those after it was turned on."""
    if context.cursor is None:
        return _begins(context.instance.fetch_materializations(SET, limit=1).records)
    after = dg.AssetRecordsFilter(asset_key=SET, after_storage_id=int(context.cursor))
    records = context.instance.fetch_materializations(after, limit=AT_ONCE, ascending=True).records
    return _deliver(context, records, _release)


def _begins(last: Sequence[dg.EventLogRecord]) -> dg.SensorResult:
    begin = last[0].storage_id if last else 0
    return dg.SensorResult(skip_reason="begins with what comes after now", cursor=str(begin))


def _deliver(
    context: dg.SensorEvaluationContext, records: Sequence[dg.EventLogRecord], told: Any
) -> dg.SensorResult:
    cursor, sent, left_out, began = context.cursor, 0, 0, time.monotonic()
    said = ""
    try:
        webhook = Webhook.of_environment()
        for record in records:
            if time.monotonic() - began > LONGEST:
                break
            message = told(record)
            try:
                webhook.deliver(f"{message['kind']}-{message['run']}-{record.storage_id}", message)
                sent += 1
            except SourceRefused as error:
                if time.time() - record.timestamp < PATIENCE:
                    raise
                context.log.warning(f"left out {message['kind']} of run {message['run']}: {error}")
                left_out += 1
            cursor = str(record.storage_id)
    except ChestganError as error:
        said = f"; {error}"
    waiting = len(records) - sent - left_out
    counts = f"{sent} delivered, {waiting} waiting, {left_out} left out"
    return dg.SensorResult(skip_reason=counts + said, cursor=cursor)


def _failure(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> dict[str, Any]:
    run = instance.get_run_by_id(record.run_id)
    partition = run.tags.get(PARTITION_TAG, "") if run else ""
    steps = instance.get_run_step_stats(record.run_id)
    failed = [step.step_key for step in steps if step.status and step.status.value == "FAILURE"]
    return {
        "kind": "run-failed",
        "at": round(record.timestamp, 3),
        "run": record.run_id,
        "job": run.job_name if run else "",
        "partition": partition.partition(":")[0],  # of <dataset>:<patient>, the dataset
        "steps": sorted(failed),
    }


def _release(record: dg.EventLogRecord) -> dict[str, Any]:
    materialization = record.asset_materialization
    metadata = materialization.metadata if materialization else {}
    images = metadata.get("images")
    return {
        "kind": "set-published",
        "at": round(record.timestamp, 3),
        "run": record.run_id,
        "set": record.partition_key or "",
        "images": images.value if images else None,
    }
