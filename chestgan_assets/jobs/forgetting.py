"""A job that forgets a patient: in the store as `chestgan forget --apply` does, and in Dagster's own history.

Input: the configuration of the job, from the launchpad. Output: the record of the withdrawal as metadata of the run;
the partition of the patient is gone, and so are the runs whose events show slices or name the series; runs that made
other patients too lose the events of this one. retraining_sensor requests the training without the patient.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from chestgan_assets.assets.patient_results import PATIENT_ASSETS
from chestgan_assets.execution.dagster_internals import (
    erase_partition,
    erase_runs,
    is_backfill_in_progress,
    runs_of_partition,
)
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import URI, table
from chestgan_assets.partitions import PATIENT_PARTITIONS
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PARTITION_TAG, SMALL_WORK
from chestgan_core.config.names import patient_partition
from chestgan_core.errors import BadInput

if TYPE_CHECKING:
    from chestgan_core.store.store import Store

# Those whose events show slices, or images of a model, or name series. Each event has the address of its manifest.
SHOWING = (
    *("series_catalog", "tumour_annotations", "training_set", "generator_checkpoint", "metric_report"),
    *(
        "reader_study_images",
        "synthetic_image_set",
        "architecture_comparison",
        "tuning_comparison",
        "leaderboard",
        "monthly_report",
    ),
)
_PAGE = 200  # events with pictures, in memory at once


class ForgetConfig(dg.Config):
    """Which patient, and who says so."""

    patient: str = Field(description="The partition of the patient: DATASET:PATIENT.")
    confirm: str = Field(default="", description="The same again. Nothing is deleted without it.")
    by: str = Field(default="", description="Who does it, for the record.")


@dg.op
def forget_patient_op(
    context: dg.OpExecutionContext, config: ForgetConfig, store: StoreResource, machine: MachineResource
) -> None:
    """Delete everything that came of the patient, and keep the patient out."""
    from chestgan_core.forgetting.forget import forget_patient
    from chestgan_core.forgetting.naming import patient_named, require_known
    from chestgan_core.forgetting.walk import find_traces
    from chestgan_core.store.forgotten import tombstone_of

    with one_line_failures():
        dataset, patient = patient_named(config.patient)
        key = patient_partition(dataset.name, patient)
        if config.confirm != config.patient:
            raise BadInput(key, "is not confirmed", "write the same partition into the field confirm")
        opened = store.open()
        if tombstone_of(opened, dataset.name, patient) is None:
            require_known(opened, dataset, patient, find_traces(opened, dataset.name, patient, machine.home))
        done = forget_patient(opened, dataset, patient, machine.home, "forget_patient_job", config.by)
    own = runs_of_partition(context.instance, key)
    alone = {run for run, only in own.items() if only}
    alone.update(_runs_of(context.instance, key), _runs_showing(context.instance, opened))
    runs = sorted({*own, *alone} - {context.run_id})
    finished, unfinished = _by_state(context.instance, runs)
    erase_runs(context.instance, [run for run in finished if run in alone])
    for run in finished:
        if run not in alone:  # the other patients of this run keep their events
            erase_partition(context.instance, run, key, patient)
    kept = not unfinished and not is_backfill_in_progress(context.instance, PATIENT_ASSETS)
    if kept:
        context.instance.delete_dynamic_partition(PATIENT_PARTITIONS, key)
    last = done.records[-1]
    context.log.info(
        f"{dataset.name}: a patient is forgotten: {len(done.found.traces)} things, {len(finished)} runs; {last.state}"
    )
    for asked in last.requested:
        context.log.info(f"to be made again: {asked}")
    if unfinished:
        context.log.warning(
            f"{len(unfinished)} runs that show the patient are executing or queued: cancel them, and launch this again"
        )
    context.add_output_metadata(
        {
            URI: opened.uri(last.key),
            "record sha256": last.sha256,
            "complete": done.complete and not unfinished,
            "deleted": table(
                ("what", "number", "objects", "bytes"),
                [
                    (kind, one["count"], one["objects"], one["bytes"])
                    for kind, one in done.found.counted().items()
                ],
            ),
            "remains": table(("what", "why"), [(one.what, one.why) for one in last.remaining]),
            "out of reach": table(("what",), [(said,) for said in last.unreachable]),
            "to be made again": table(("what",), [(said,) for said in last.requested]),
            "deleted runs": len(finished),
        }
    )


def _runs_of(instance: dg.DagsterInstance, key: str) -> Iterator[str]:
    """Runs that were for the patient alone, whatever became of them."""
    for record in instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: key})):
        yield record.dagster_run.run_id


def _runs_showing(instance: dg.DagsterInstance, store: "Store") -> Iterator[str]:
    """Runs that made something in whose place there is a tombstone now, or a set that was withdrawn for this reason."""
    from chestgan_core.forgetting.publications import is_gone

    root, known = f"{store.uri()}/", {}
    for asset in SHOWING:
        for run, uri in _materializations(instance, dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset))):
            if not uri.startswith(root):
                continue
            if uri not in known:
                known[uri] = is_gone(store, uri.removeprefix(root))
            if known[uri]:
                yield run


def _materializations(
    instance: dg.DagsterInstance, found: dg.AssetRecordsFilter
) -> Iterator[tuple[str, str]]:
    """Run and address of each event."""
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(found, limit=_PAGE, cursor=cursor)
        for record in page.records:
            made = record.asset_materialization
            uri = made.metadata.get(URI) if made else None
            yield record.run_id, str(uri.value) if uri else ""
        cursor, more = page.cursor, page.has_more


def _by_state(instance: dg.DagsterInstance, runs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that have ended, or whose events are all that is left of them; and the others."""
    unfinished = []
    for run in runs:
        found = instance.get_run_by_id(run)
        if found is not None and not found.is_finished:
            unfinished.append(run)
    return [run for run in runs if run not in unfinished], unfinished


@dg.job(
    description="A patient withdraws: delete everything that came of the patient, and keep the patient out.",
    # What the launchpad opens with.
    config={
        "ops": {"forget_patient_op": {"config": {"patient": "DATASET:PATIENT", "confirm": "", "by": ""}}}
    },
    tags=SMALL_WORK,
)
def forget_patient_job() -> None:
    """The job of one step."""
    forget_patient_op()
