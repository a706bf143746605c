"""raw_dicom and slice_tensors: the files of patients in the store, and the slices of them that show lung.

In: the patients of a run, one or many. Out: for each patient its own materializations, checks, usage and, if need be,
failure; the step fails in the end if one of them did. One step makes both assets, so that the next patient is
downloaded while the present one is normalized.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

import dagster as dg

from chestgan_assets.assets.acquisition import series_catalog
from chestgan_assets.assets.patient_results import (
    CHECKS,
    RAW,
    SLICES,
    archive_result,
    identity_found,
    slices_result,
)
from chestgan_assets.execution.batch_progress import BatchProgress
from chestgan_assets.execution.batch_size import backfill_policy
from chestgan_assets.execution.dagster_internals import held_slot
from chestgan_assets.execution.executor import DOWNLOAD_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import describe, one_line_failures
from chestgan_assets.execution.partition_events import Event, PartitionEvents
from chestgan_assets.execution.patient_failures import PatientFailures
from chestgan_assets.execution.remaining_patients import RemainingPatients
from chestgan_assets.execution.usage import SharedCpu, on_cpu
from chestgan_assets.metadata import raise_if_refused
from chestgan_assets.partitions import NO_PARTITION, patients
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PATIENT_IMAGES
from chestgan_core.config.names import parse_patient_partition
from chestgan_core.errors import IdentityFound, PatientForgotten
from chestgan_core.slices import recipe


@dg.multi_asset(
    name="patient_slices",
    specs=[
        dg.AssetSpec(
            RAW,
            deps=[dg.AssetDep(series_catalog, partition_mapping=NO_PARTITION)],
            description="The DICOM files of one patient, unchanged, one zip per series. Series in the store are not "
            "downloaded again.",
            group_name="acquisition",
            kinds={"dicom", "s3"},
            tags=PATIENT_IMAGES,
            owners=OWNERS,
            code_version="2",
            skippable=True,
        ),
        dg.AssetSpec(
            SLICES,
            deps=[RAW],
            description="The slices of one patient that show lung, in Hounsfield units. Training sets are made of "
            "them.",
            group_name="slices",
            kinds={"dicom", "safetensors", "parquet", "s3"},
            tags=PATIENT_IMAGES,
            owners=OWNERS,
            code_version=str(recipe.VERSION),
            automation_condition=dg.AutomationCondition.eager(),
            skippable=True,
        ),
    ],
    check_specs=CHECKS,
    partitions_def=patients,
    can_subset=True,
    backfill_policy=backfill_policy(),
    retry_policy=RETRY,
)
def patient_slices(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> Iterator[dg.Output[None]]:
    """Each patient of the run: archived, normalized, or both. One that fails does not stop the others."""
    from chestgan_core.slices.patient_batch import PatientBatch

    def log(found: Iterable[Event]) -> None:
        # Not yielded: a signal that arrives while Dagster has control ends the step, and nobody could ask for a retry.
        for event in found:
            context.log_event(event)

    wanted = [name for name in (RAW, SLICES) if dg.AssetKey(name) in context.selected_asset_keys]
    events = PartitionEvents(context)
    remaining = RemainingPatients(context, events, wanted)
    patients_of_run = remaining.in_order()
    places = {patient: at for at, patient in enumerate(patients_of_run)}
    failures, cpu = PatientFailures(len(patients_of_run)), SharedCpu()
    progress = BatchProgress(context.log, len(patients_of_run))
    with (
        one_line_failures(),
        PatientBatch(
            store.open(),
            patients_of_run,
            machine.home,
            archiving=RAW in wanted,
            normalizing=SLICES in wanted,
            downloading=lambda patient: _download_slot(context, places[patient]),
        ) as batch,
    ):
        for patient in patients_of_run:
            if made := remaining.made(patient):
                for asset in wanted:
                    log(events.made_before(asset, patient, made[asset]))
                progress.made_before()
                continue
            if why := remaining.failure(patient):
                failures.again(patient, why)
                progress.failed(before=True)
                continue
            asset, slices = wanted[0], 0
            try:
                if RAW in wanted:
                    archived = batch.archive(patient)
                    dataset, _ = parse_patient_partition(patient)
                    usage = on_cpu(cpu.own(archived.cpu_seconds), archived.traffic)
                    result = archive_result(archived.archive, dataset, usage)
                    log(events.made(RAW, patient, result))
                    raise_if_refused(result)
                if SLICES in wanted:
                    asset = SLICES
                    normalized = batch.slices(patient)
                    slices = normalized.slices.report.kept
                    usage = on_cpu(cpu.rest(), normalized.traffic)
                    result = slices_result(normalized.slices, usage)
                    log(events.made(SLICES, patient, result))
                    raise_if_refused(result)
            except PatientForgotten as error:
                context.log.info(str(error))
                progress.withdrew()
            except Exception as error:
                if isinstance(error, IdentityFound):
                    log(events.checked(RAW, patient, identity_found(error)))
                described = describe(error)
                log(events.failed(asset, patient, described))
                failures.add(patient, asset, described)
                progress.failed()
                if failures.must_stop:
                    failures.raise_if_any(not_tried=len(patients_of_run) - places[patient] - 1)
            else:
                failures.made()
                progress.made(slices)
            finally:
                batch.release(patient)
        failures.raise_if_any(not_tried=0)
    yield from events.end()


def _download_slot(context: dg.AssetExecutionContext, place: int) -> AbstractContextManager[None]:
    """A slot of the pool for as long as files are on their way, and not while slices are normalized."""
    from chestgan_core.local.cancellation import pause

    holder = f"{context.op_handle}[{place}]"
    return held_slot(context.instance, context.run, DOWNLOAD_POOL, holder, pause)
