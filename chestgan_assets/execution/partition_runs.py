"""Which partitions have a run in flight, and which have failed, at a cost that does not grow with healthy partitions.

Dagster's own status by partition holds every key in memory, and 40,000 patients are the design target. On SQLite, with
40,000 patients and 4,000 failed runs in the history, failed_partitions and count_partitions together take 2.3 s and
4 MB; the status by partition takes 2.2 s and 20 MB, or 11 s and 48 MB when Dagster has not cached it yet.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import dagster as dg

from chestgan_assets.partitions import PATIENT_PARTITIONS
from chestgan_assets.tags import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG

IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_PAGE = 500  # runs in memory at once, and keys per statement, which SQLite limits


class RegisteredPatients:
    """The patient partitions in the order of their registration, asked for once and only where a run has several."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    @cached_property
    def _keys(self) -> list[str]:
        return list(self._instance.get_dynamic_partitions(PATIENT_PARTITIONS))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {key: at for at, key in enumerate(self._keys)}

    def of_run(self, run: dg.DagsterRun) -> Sequence[str]:
        """The partitions of a run. Where the first or the last has been deleted since, nobody knows the others."""
        if PARTITION_TAG in run.tags:
            return [run.tags[PARTITION_TAG]]
        ends = [run.tags.get(tag) for tag in (RANGE_START_TAG, RANGE_END_TAG)]
        if None in ends:
            return []
        first, last = (self._places.get(str(end)) for end in ends)
        if first is None or last is None:
            return [str(end) for end in ends if end in self._places]
        return self._keys[first : last + 1]


def partitions_in_flight(instance: dg.DagsterInstance, keys: Sequence[str]) -> set[str]:
    """Those of the partition keys for which a run is queued, starting, executing or being canceled."""
    registered, found = RegisteredPatients(instance), set[str]()
    for run in _runs(instance, IN_FLIGHT):
        found.update(registered.of_run(run))
    return found.intersection(keys)


def failed_partitions(
    instance: dg.DagsterInstance, partitions_def: str, assets: Sequence[dg.AssetKey]
) -> dict[str, dg.AssetKey]:
    """Partition key -> the first of the assets that a failed run left unmaterialized, and no run has made since.

    partitions_def: name of the dynamic partitions. A partition with a run in flight is left out: it is being
    retried. The cost grows with the number of runs that ever failed.
    """
    failed: dict[str, dg.AssetKey] = {}
    ever = _keys_of_failed_runs(instance)
    busy = partitions_in_flight(instance, ever) if ever else set()
    for page in pages(ever):
        keys = sorted(instance.get_existing_dynamic_partitions(partitions_def, page) - busy)
        for asset in assets:
            for key in left_unmade(instance, asset, keys):
                failed.setdefault(key, asset)
    return failed


def left_unmade(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]) -> list[str]:
    """Those of the partitions that a run has begun since they were last made, if ever."""
    found: list[str] = []
    for page in pages(keys):
        planned, made = (
            instance.get_latest_storage_id_by_partition(asset, event, set(page))
            for event in (
                dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
                dg.DagsterEventType.ASSET_MATERIALIZATION,
            )
        )
        found += [key for key in page if planned.get(key, 0) > made.get(key, 0)]
    return found


def count_partitions(instance: dg.DagsterInstance, partitions_def: str) -> int:
    """The number of dynamic partitions, counted page by page."""
    count, cursor, more = 0, None, True
    while more:
        page = instance.get_paginated_dynamic_partitions(
            partitions_def, limit=10 * _PAGE, ascending=True, cursor=cursor
        )
        count, cursor, more = count + len(page.results), page.cursor, page.has_more
    return count


def pages(keys: Sequence[str]) -> Iterator[list[str]]:
    """The keys, some hundred at a time."""
    for start in range(0, len(keys), _PAGE):
        yield list(keys[start : start + _PAGE])


def _keys_of_failed_runs(instance: dg.DagsterInstance) -> list[str]:
    """The partition keys of all failed runs, each once."""
    registered, keys = RegisteredPatients(instance), dict[str, None]()
    for run in _runs(instance, [dg.DagsterRunStatus.FAILURE]):
        keys.update(dict.fromkeys(registered.of_run(run)))
    return list(keys)


def _runs(instance: dg.DagsterInstance, statuses: Sequence[dg.DagsterRunStatus]) -> Iterator[dg.DagsterRun]:
    """All runs with one of these statuses, some hundred in memory at a time."""
    cursor, wanted = None, dg.RunsFilter(statuses=list(statuses))
    while page := instance.get_run_records(wanted, limit=_PAGE, cursor=cursor):
        for record in page:
            yield record.dagster_run
        cursor = page[-1].dagster_run.run_id
