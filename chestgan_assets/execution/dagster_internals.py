"""Everything that this project takes from Dagster's private modules (`dagster._core`), each with the reason.

Nothing else imports them but dagster_pod_internals.py; a test says so. Read and run against Dagster 1.13.27: look here
first after an upgrade.
"""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

# The one kind of error that Dagster stores as it was given, instead of with the stack trace of where it was raised.
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

if TYPE_CHECKING:
    # The types in the signature of the public dg.Executor.execute.
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan

    # dg.Executor is public; the type of its property `retries` is not.
    from dagster._core.execution.retries import RetryMode

    # What Dagster attaches to each log record; a logging.Handler in dagster.yaml sees nothing else.
    from dagster._core.log_manager import DagsterLogRecordMetadata

__all__ = [
    "DagsterLogRecordMetadata",
    "ExecutionPlan",
    "PlanOrchestrationContext",
    "RetryMode",
    "SentenceFailure",
    "SentenceInterruption",
    "erase_runs",
    "is_backfill_in_progress",
    "submit_backfill",
]


class SentenceFailure(DagsterUserCodeProcessError, dg.Failure):
    """A permanent failure of a step that is a sentence for people: the UI, and `dagster job execute`, show it as it is.

    dg.Failure is shown with the stack trace of Dagster's own frames, in which nobody finds the sentence.
    """

    def __init__(self, sentence: str, metadata: Mapping[str, Any]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            description=sentence,
            metadata=metadata,
            allow_retries=False,
            user_code_process_error_infos=[SerializableErrorInfo(f"{sentence}\n", [], None)],
        )

    def __reduce__(self) -> tuple[type["SentenceFailure"], tuple[str, Mapping[str, Any]]]:
        return type(self), (str(self.description), self.metadata)


class SentenceInterruption(DagsterUserCodeProcessError, dg.DagsterExecutionInterruptedError):
    """The end of a run that was canceled, or whose process was ended: a sentence instead of Dagster's stack trace."""

    def __init__(self, sentence: str) -> None:
        info = SerializableErrorInfo(f"{sentence}\n", [], None)
        super().__init__(sentence, user_code_process_error_infos=[info])  # type: ignore[no-untyped-call]


def submit_backfill(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    assets: Sequence[dg.AssetKey],
    partitions: Sequence[str],
    tags: Mapping[str, str],
    title: str,
) -> str:
    """Hand a backfill of these partitions of the assets to the daemon; returns its id.

    The public ways are the UI and its GraphQL mutation. A run does not know where the webserver is, and the webserver
    may be read-only or behind a login.
    """
    from dagster._core.execution.backfill import PartitionBackfill

    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=uuid.uuid4().hex[:8],
        asset_graph=repository.asset_graph,
        partition_names=list(partitions),
        asset_selection=list(assets),
        backfill_timestamp=time.time(),
        tags=tags,
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=title,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def erase_runs(instance: dg.DagsterInstance, runs: Collection[str]) -> None:
    """Delete runs with their events, checks and logs, so that nothing of their metadata can be read any more.

    instance.wipe_asset_partitions is public, and no storage of open-source Dagster has it. instance.delete_run leaves
    the event of each asset that was materialized last (in the table of assets), the results of checks, the logs, and
    on SQLite the bytes of what it deletes in the files.
    """
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            for run in runs:
                checks = AssetCheckExecutionsTable
                connection.execute(checks.delete().where(checks.c.run_id == run))
                # As of an asset that was never materialized; the next materialization fills it in.
                last = AssetKeyTable.update().where(AssetKeyTable.c.last_run_id == run)
                connection.execute(last.values(last_materialization=None, cached_status_data=None))
    for run in runs:
        instance.delete_run(run)
        instance.compute_log_manager.delete_logs(prefix=[run])
    if runs and isinstance(storage, SqliteEventLogStorage):
        _vacuum([Path(storage.path_for_shard(name)) for name in (*runs, "index")])


def _vacuum(files: Sequence[Path]) -> None:
    """Write SQLite's files anew, without the bytes of deleted rows. One that another process is reading stays as it is:
    its free pages are overwritten by the next rows.
    """
    import sqlite3

    for path in filter(Path.is_file, files):
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_backfill_in_progress(instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey]) -> bool:
    """Whether the daemon is working on a backfill of any of the assets.

    instance.get_backfills is public by its name, but the type of its filter is not.
    """
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    unfinished = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=unfinished))
    # A backfill of a job names no assets.
    return any(
        not backfill.asset_selection or set(assets).intersection(backfill.asset_selection)
        for backfill in backfills
    )
