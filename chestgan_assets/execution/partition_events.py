"""The events of one partition in a run that has many: its own materialization, checks, version and failure.

In: a MaterializeResult and a partition. Out: events for `context.log_event`. What a step returns or yields as a result
counts for all partitions of its run, with one data version and one set of metadata; explicit events count for one.
"""

from collections.abc import Iterator

import dagster as dg

from chestgan_assets.execution.dagster_internals import (
    AssetCheckEvaluationTargetMaterializationData,
    version_of,
    version_tags,
)
from chestgan_assets.execution.failures import Described
from chestgan_assets.execution.usage import USAGE_LABELS
from chestgan_assets.metadata import MADE_BY

FAILED, PERMANENT = "failed", "another attempt cannot help"

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.AssetObservation


class PartitionEvents:
    """Makes the events of one step. It asks the history for the versions of inputs and the targets of checks."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._instance, self._context = context.instance, context
        definition = context.assets_def
        self._code_versions = definition.code_versions_by_key
        self._parents = {
            key: sorted(definition.asset_deps[key], key=dg.AssetKey.to_user_string) for key in definition.keys
        }
        self._checks = {spec.key: spec for spec in definition.check_specs}
        self._unpartitioned: dict[dg.AssetKey, tuple[str, int | None]] = {}
        # The last one that this step has made: asset -> its partition and record.
        self._last: dict[dg.AssetKey, tuple[str, dg.EventLogRecord | None]] = {}

    def made(self, asset: str, partition: str, result: dg.MaterializeResult[None]) -> Iterator[Event]:
        """A materialization of the partition, then its checks. result: has a data version."""
        key = dg.AssetKey(asset)
        yield dg.AssetMaterialization(
            key,
            partition=partition,
            metadata=result.metadata or {},
            tags=version_tags(
                self._code_versions[key] or "",
                result.data_version.value if result.data_version else "",
                {parent: self._version(parent, partition) for parent in self._parents[key]},
            ),
        )
        self._last = {key: (partition, self.newest(asset, partition))}
        for checked in result.check_results or ():
            yield from self.checked(asset, partition, checked)

    def made_before(self, asset: str, partition: str, record: dg.EventLogRecord) -> Iterator[Event]:
        """The materialization again, for a run that was to make what another one has made since it was requested.

        Without it Dagster counts the partition as failed when this run fails for another one.
        """
        before = record.asset_materialization
        if before is None or record.run_id == self._context.run.run_id:
            return
        metadata = {label: value for label, value in before.metadata.items() if label not in USAGE_LABELS}
        yield dg.AssetMaterialization(
            dg.AssetKey(asset),
            partition=partition,
            metadata={**metadata, MADE_BY: dg.MetadataValue.dagster_run(record.run_id)},
            tags=before.tags,
        )

    def checked(self, asset: str, partition: str, result: dg.AssetCheckResult) -> Iterator[Event]:
        """The result of one check, where the run was to evaluate it."""
        key = dg.AssetCheckKey(dg.AssetKey(asset), result.check_name or "")
        if key not in self._context.selected_asset_check_keys:
            return
        target = self._known(key.asset_key, partition)
        yield dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=result.passed,
            metadata=result.metadata or {},
            severity=result.severity,
            description=result.description,
            blocking=self._checks[key].blocking,
            partition=partition,
            target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
                storage_id=target.storage_id, run_id=target.run_id, timestamp=target.timestamp
            )
            if target
            else None,
        )

    def end(self) -> Iterator[dg.Output[None]]:
        """What a step yields last: Dagster misses an output of each check, and would say so in the log."""
        for name, spec in self._context.assets_def.check_specs_by_output_name.items():
            if spec.key in self._context.selected_asset_check_keys:
                yield dg.Output(None, output_name=name)

    def failed(self, asset: str, partition: str, error: Described) -> Iterator[Event]:
        """Why there is none of this partition, on the page of the partition."""
        yield dg.AssetObservation(
            asset,
            partition=partition,
            description=error.sentence,
            metadata={FAILED: error.sentence, PERMANENT: not error.temporary, **error.metadata},
        )

    def newest(self, asset: str, partition: str, since: float | None = None) -> dg.EventLogRecord | None:
        """The newest materialization of a partition. since: seconds since 1970, of those after it only."""
        wanted = dg.AssetRecordsFilter(
            dg.AssetKey(asset), asset_partitions=[partition], after_timestamp=since
        )
        records = self._instance.fetch_materializations(wanted, limit=1).records
        return records[0] if records else None

    def failure(self, asset: str, partition: str, since: float) -> str:
        """Why an earlier attempt could not make a partition, where another one cannot either; else ""."""
        return last_failure(self._instance, dg.AssetKey(asset), partition, since, permanent=True)

    def _version(self, parent: dg.AssetKey, partition: str) -> tuple[str, int | None]:
        """Data version and storage id of the newest materialization of an input."""
        if parent in self._code_versions:
            return version_of(self._known(parent, partition))
        if parent not in self._unpartitioned:
            records = self._instance.fetch_materializations(parent, limit=1).records
            self._unpartitioned[parent] = version_of(records[0] if records else None)
        return self._unpartitioned[parent]

    def _known(self, asset: dg.AssetKey, partition: str) -> dg.EventLogRecord | None:
        """The newest materialization, which is not asked for where it was the last one that this step has made."""
        of, record = self._last.get(asset, ("", None))
        return record if of == partition else self.newest(asset.to_user_string(), partition)


def last_failure(
    instance: dg.DagsterInstance,
    asset: dg.AssetKey,
    partition: str,
    since: float | None = None,
    permanent: bool = False,
) -> str:
    """Why a partition could not be made the last time that this was tried; "" where nothing says so.

    since: seconds since 1970, of attempts after it only. permanent: only where another attempt cannot help.
    """
    wanted = dg.AssetRecordsFilter(asset, asset_partitions=[partition], after_timestamp=since)
    for record in instance.fetch_observations(wanted, limit=1).records:
        event = record.event_log_entry.asset_observation
        metadata = event.metadata if event else {}
        if FAILED in metadata and (metadata[PERMANENT].value or not permanent):
            return str(metadata[FAILED].value)
    return ""
