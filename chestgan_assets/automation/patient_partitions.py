"""The patient partitions: those of the newest catalog of each dataset, registered some thousand at a time.

Input: the patients in a catalog and the partitions that Dagster has. Output: partitions added and deleted. A partition
with a run in flight is deleted later. Dagster keeps the history of a deleted partition.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.assets.patient_results import PATIENT_ASSETS
from chestgan_assets.automation.tick_lines import lines
from chestgan_assets.execution.dagster_internals import is_backfill_in_progress
from chestgan_assets.execution.executor import widen_download_pool
from chestgan_assets.execution.partition_runs import pages, partitions_in_flight
from chestgan_assets.load_faults import load_faults
from chestgan_assets.partitions import DATASETS, DICOM, PATIENT_PARTITIONS
from chestgan_assets.resources import StoreResource
from chestgan_core.config.names import patient_partition
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.store import keys

if TYPE_CHECKING:
    from chestgan_core.store.store import Store

# A tick must end within the minute that Dagster gives it, even where the database is slow.
MAX_PER_TICK = 5_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changes:
    """Partition keys to add and to delete, each sorted."""

    add: list[str]
    delete: list[str]


@dataclass(frozen=True)
class Applied:
    """What one tick did. spared: keys that could not be deleted yet; complete: nothing is left to do."""

    added: int
    deleted: int
    spared: int
    complete: bool


def changes(dataset: str, wanted: Iterable[str], present: Iterable[str]) -> Changes:
    """The difference between the patients of a dataset and its partitions. present: the keys of all datasets."""
    mine = {key for key in present if key.startswith(patient_partition(dataset, ""))}
    keys = [patient_partition(dataset, patient) for patient in sorted(wanted)]
    return Changes([key for key in keys if key not in mine], sorted(mine.difference(keys)))


def unknown_keys(present: Iterable[str]) -> list[str]:
    """Keys that belong to no dataset: the dialog of the UI adds whatever somebody types."""
    known = tuple(patient_partition(dataset, "") for dataset in {*DICOM, *DATASETS})
    return sorted(key for key in present if not key.startswith(known))


def apply_changes(instance: dg.DagsterInstance, wanted: Changes, limit: int) -> Applied:
    """Add and delete at most `limit` partitions each."""
    # Here, since this is the one place that every deployment passes before anything is downloaded.
    widen_download_pool(instance)
    add = wanted.add[:limit]
    instance.add_dynamic_partitions(PATIENT_PARTITIONS, add)
    deleted = delete_idle(instance, wanted.delete, limit)
    spared = len(wanted.delete) - deleted if deleted < limit else 0
    return Applied(len(add), deleted, spared, len(add) == len(wanted.add) and deleted == len(wanted.delete))


def delete_idle(instance: dg.DagsterInstance, keys: Sequence[str], limit: int) -> int:
    """Delete at most `limit` of these partitions, none with a run in flight; returns how many.

    None at all while a backfill of patients is in progress: it would fail as a whole if one of its partitions went.
    """
    deleted = 0
    if not keys or is_backfill_in_progress(instance, PATIENT_ASSETS):
        return deleted
    for page in pages(keys):
        busy = partitions_in_flight(instance, page)
        for key in page:
            if key in busy:
                continue
            if deleted == limit:
                return deleted
            instance.delete_dynamic_partition(PATIENT_PARTITIONS, key)
            deleted += 1
    return deleted


def register_all(instance: dg.DagsterInstance, dataset: str, wanted: Iterable[str]) -> None:
    """Everything at once, for a process without a daemon beside it (`make demo`)."""
    found = changes(dataset, wanted, instance.get_dynamic_partitions(PATIENT_PARTITIONS))
    apply_changes(instance, found, limit=len(found.add) + len(found.delete))


def catalogued(store: "Store") -> Iterator[tuple[str, str]]:
    """Each dataset that has a catalog, with the version of its newest one."""
    for dataset in DICOM:
        try:
            yield dataset, newest_catalog(store, dataset)
        except NotInStore:
            continue


def newest_catalog(store: "Store", dataset: str) -> str:
    """The version of the newest catalog. Raises NotInStore."""
    from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version

    return newest_catalog_version(store, dataset)


def listed_patients(store: "Store", dataset: str, version: str) -> Mapping[str, tuple[str, str]] | None:
    """See read_patients, without those who have withdrawn; None where the catalog is damaged, which is logged: other
    datasets must not wait for it. Of a catalog that a withdrawal has replaced, its replacement counts.
    """
    from chestgan_core.sources.catalog.stored_catalog import read_patients
    from chestgan_core.store.forgotten import artefact_tombstone, forgotten_patients

    try:
        if removed := artefact_tombstone(store, keys.catalog_manifest(dataset, version)):
            version = removed.facts.get("replaced_by") or newest_catalog(store, dataset)
        forgotten = forgotten_patients(store, dataset)
        listed = read_patients(store, dataset, version)
        return {patient: facts for patient, facts in listed.items() if patient not in forgotten}
    except (BadInput, DamagedObject, NotInStore) as error:
        _log.warning("%s: %s; materialize series_catalog again", dataset, error)
        return None


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Registers one partition per patient in a catalog, at most {MAX_PER_TICK:,} per tick. On by default.",
)
def patient_partitions_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Registers one partition per patient in a catalog.

    The cursor holds one catalog version per dataset: the one whose patients are all registered.
    """
    done: dict[str, str] = json.loads(context.cursor or "{}")
    opened = store.open()
    present = context.instance.get_dynamic_partitions(PATIENT_PARTITIONS)
    # A dataset that could not be loaded looks like one that does not exist: its patients must stay.
    if not load_faults() and (unknown := unknown_keys(present)):
        deleted = delete_idle(context.instance, unknown, MAX_PER_TICK)
        if deleted:
            said = f"{deleted} partitions that belong to no dataset deleted"
            return dg.SensorResult(skip_reason=said, cursor=json.dumps(done))
    faults = [f"left out: {fault}" for fault in load_faults()]
    waiting = []
    for dataset, version in catalogued(opened):
        if done.get(dataset) == version:
            continue
        listed = listed_patients(opened, dataset, version)
        if listed is None:
            continue
        # Not as requests in the result: the daemon would look up each key by itself, minutes for 5,000 of them.
        applied = apply_changes(context.instance, changes(dataset, listed, present), MAX_PER_TICK)
        if applied.complete:
            done[dataset] = version
        said = f"{dataset}: {applied.added} patients added, {applied.deleted} deleted"
        if applied.spared:
            said += f", {applied.spared} that left wait for their runs and backfills"
        if not applied.complete and not applied.added and not applied.deleted:
            waiting.append(said)  # the other datasets must not wait for it
            continue
        context.log.info(said)
        return dg.SensorResult(skip_reason=lines([*faults, said]), cursor=json.dumps(done))
    state = waiting or ["the partitions are those of the newest catalogs"]
    return dg.SensorResult(skip_reason=lines([*faults, *state]), cursor=json.dumps(done))
