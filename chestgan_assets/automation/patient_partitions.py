"""The patient partitions: those of the newest catalog of each dataset, registered a part at a time.

In: what a catalog lists and what Dagster has. Out: the next keys to add and to delete. Dagster's history of a patient
who left stays; only the partition goes.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from chestgan_assets.execution.executor import widen_download_pool
from chestgan_assets.partitions import DATASETS, DICOM, patients
from chestgan_assets.resources import StoreResource
from chestgan_core.config.dataset import patient_partition
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.store.store import Store

PARTITIONS = str(patients.name)
# A tick must end within the minute that Dagster gives it, also where the database is slow.
AT_ONCE = 5_000


@dataclass(frozen=True)
class Step:
    """Keys to add and to delete now. complete: nothing is left after them."""

    add: list[str]
    delete: list[str]
    complete: bool


def next_step(dataset: str, wanted: Iterable[str], present: Iterable[str], at_once: int = AT_ONCE) -> Step:
    """What brings the partitions of one dataset nearer to its patients. present: the keys of all datasets."""
    mine = {key for key in present if key.startswith(patient_partition(dataset, ""))}
    keys = [patient_partition(dataset, patient) for patient in sorted(wanted)]
    add = [key for key in keys if key not in mine]
    delete = sorted(mine.difference(keys))
    return Step(add[:at_once], delete[:at_once], len(add) <= at_once and len(delete) <= at_once)


def stray_keys(present: Iterable[str]) -> list[str]:
    """Keys that no dataset can have: the UI's dialog adds whatever somebody types. At most AT_ONCE."""
    known = tuple(patient_partition(dataset, "") for dataset in {*DICOM, *DATASETS})
    return sorted(key for key in present if not key.startswith(known))[:AT_ONCE]


def register_all(instance: dg.DagsterInstance, dataset: str, wanted: Iterable[str]) -> None:
    """All at once, for a process that has no daemon beside it (`make demo`)."""
    _take(instance, next_step(dataset, wanted, instance.get_dynamic_partitions(PARTITIONS), at_once=1 << 30))


def _take(instance: dg.DagsterInstance, step: Step) -> None:
    # Here, as it is the one place that runs in every deployment before anything is fetched.
    widen_download_pool(instance)
    instance.add_dynamic_partitions(PARTITIONS, step.add)
    for key in step.delete:
        instance.delete_dynamic_partition(PARTITIONS, key)


def catalogued(store: Store) -> Iterator[tuple[str, str]]:
    """Each dataset that has a catalog, and the version of the newest."""
    from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version

    for dataset in DICOM:
        try:
            yield dataset, newest_catalog_version(store, dataset)
        except NotInStore:
            continue


def listed_patients(store: Store, dataset: str, version: str) -> Mapping[str, tuple[str, str]] | None:
    """As read_patients; None, and told, where the catalog is damaged: the other datasets must not wait for it."""
    from chestgan_core.sources.catalog.stored_catalog import read_patients

    try:
        return read_patients(store, dataset, version)
    except (BadInput, DamagedObject, NotInStore) as error:
        print(f"{dataset}: {error}; materialize series_catalog again", file=sys.stderr, flush=True)
        return None


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers one partition per patient of every catalog, at most 5,000 a tick.",
)
def patient_partitions(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Registers one partition per patient of every catalog, at most 5,000 a tick.

    The cursor holds one catalog version per dataset: that whose patients are all registered.
    """
    done: dict[str, str] = json.loads(context.cursor or "{}")
    opened = store.open()
    if strays := stray_keys(context.instance.get_dynamic_partitions(PARTITIONS)):
        for key in strays:
            context.instance.delete_dynamic_partition(PARTITIONS, key)
        return dg.SensorResult(
            skip_reason=f"{len(strays)} keys of no dataset removed", cursor=json.dumps(done)
        )
    for dataset, version in catalogued(opened):
        if done.get(dataset) == version:
            continue
        wanted = listed_patients(opened, dataset, version)
        if wanted is None:
            continue
        step = next_step(dataset, wanted, context.instance.get_dynamic_partitions(PARTITIONS))
        # Not as requests in the result: the daemon looks for each key by itself, minutes for 5,000 of them.
        _take(context.instance, step)
        if step.complete:
            done[dataset] = version
        said = f"{dataset}: {len(step.add)} patients registered, {len(step.delete)} removed"
        context.log.info(said)
        return dg.SensorResult(skip_reason=said, cursor=json.dumps(done))
    return dg.SensorResult(skip_reason="the partitions are those of the newest catalogs")
