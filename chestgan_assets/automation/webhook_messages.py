"""Webhook messages about failed runs and new synthetic sets.

Input: Dagster's event log after the cursor (a storage id). Output: messages; the cursor is that of the last one
delivered. Not Dagster's run_failure_sensor, whose cursor advances even where a delivery failed. A message that is
refused for a day is dropped: one that a receiver never accepts must not hold back all others. A message names job, run,
steps, and the dataset or the experiment; no patient, and nothing from an error message, which may name one.

Whoever sets the webhook's address and secret wants its messages: the sensors are on from then, unless a person turned
them off in the UI.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from chestgan_assets.tags import partitions_in_words
from chestgan_core.errors import ChestganError, SourceRefused
from chestgan_core.local.webhook import ADDRESS, SECRET, Webhook

MAX_PER_TICK = 20
MAX_AGE = 24 * 3600.0  # seconds for which a refused message is retried
MAX_TICK = 25.0  # seconds after which a tick starts no more deliveries; the daemon gives it 60
SET = dg.AssetKey("synthetic_image_set")
_IS_SET = bool(os.environ.get(ADDRESS) and os.environ.get(SECRET))
STATUS = dg.DefaultSensorStatus.RUNNING if _IS_SET else dg.DefaultSensorStatus.STOPPED


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=STATUS,
    description="Sends a message about each failed run to $CHESTGAN_WEBHOOK. On where that is set.",
)
def run_failure_webhook_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Sends a message about each run that fails after it was turned on."""
    if context.cursor is None:
        last = context.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
        return _start(last)
    after = dg.RunStatusChangeRecordsFilter(
        event_type=dg.DagsterEventType.RUN_FAILURE, after_storage_id=int(context.cursor)
    )
    records = context.instance.fetch_run_status_changes(after, limit=MAX_PER_TICK, ascending=True).records
    return _deliver(context, records, lambda record: _failure(context.instance, record))


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=STATUS,
    description="Sends a message about each published synthetic set to $CHESTGAN_WEBHOOK. On where that is set.",
)
def synthetic_set_webhook_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Sends a message about each synthetic set that is published after it was turned on."""
    if context.cursor is None:
        return _start(context.instance.fetch_materializations(SET, limit=1).records)
    after = dg.AssetRecordsFilter(asset_key=SET, after_storage_id=int(context.cursor))
    records = context.instance.fetch_materializations(after, limit=MAX_PER_TICK, ascending=True).records
    return _deliver(context, records, _release)


def _start(last: Sequence[dg.EventLogRecord]) -> dg.SensorResult:
    storage_id = last[0].storage_id if last else 0
    return dg.SensorResult(skip_reason="messages start from now on", cursor=str(storage_id))


def _deliver(
    context: dg.SensorEvaluationContext,
    records: Sequence[dg.EventLogRecord],
    message_of: Callable[[dg.EventLogRecord], dict[str, Any]],
) -> dg.SensorResult:
    cursor, sent, dropped, started = context.cursor, 0, 0, time.monotonic()
    problem = ""
    try:
        webhook = Webhook.from_environment()
        for record in records:
            if time.monotonic() - started > MAX_TICK:
                break
            message = message_of(record)
            try:
                webhook.deliver(f"{message['kind']}-{message['run']}-{record.storage_id}", message)
                sent += 1
            except SourceRefused as error:
                if time.time() - record.timestamp < MAX_AGE:
                    raise
                context.log.warning(f"dropped {message['kind']} of run {message['run']}: {error}")
                dropped += 1
            cursor = str(record.storage_id)
    except ChestganError as error:
        problem = f"; {error}"
    waiting = len(records) - sent - dropped
    counts = f"{sent} delivered, {waiting} waiting, {dropped} dropped"
    return dg.SensorResult(skip_reason=counts + problem, cursor=cursor)


def _failure(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> dict[str, Any]:
    run = instance.get_run_by_id(record.run_id)
    partition = partitions_in_words(run.tags) if run else ""
    steps = instance.get_run_step_stats(record.run_id)
    failed = [step.step_key for step in steps if step.status and step.status.value == "FAILURE"]
    return {
        "kind": "run-failed",
        "at": round(record.timestamp, 3),
        "run": record.run_id,
        "job": run.job_name if run else "",
        "partition": partition.partition(":")[0],  # the dataset of <dataset>:<patient>
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
