"""Everything that this project takes from Dagster's private modules (`dagster._core`), each with the reason.

Nothing else imports them but dagster_pod_internals.py; a test says so. Read and run against Dagster 1.13.27: look here
first after an upgrade.
"""

import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

# A check of one partition of a run that has several: AssetCheckResult, which is public, gets no partition then.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

# Dagster writes these tags itself, with one value for all partitions of a run. They decide what is "Unsynced".
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

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
    "AssetCheckEvaluationTargetMaterializationData",
    "DagsterLogRecordMetadata",
    "ExecutionPlan",
    "PlanOrchestrationContext",
    "RetryMode",
    "SentenceFailure",
    "SentenceInterruption",
    "erase_partition",
    "erase_runs",
    "held_slot",
    "is_backfill_in_progress",
    "runs_of_partition",
    "submit_backfill",
    "version_of",
    "version_tags",
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


def version_tags(
    code_version: str, data_version: str, inputs: Mapping[dg.AssetKey, tuple[str, int | None]]
) -> dict[str, str]:
    """The tags by which Dagster knows from what a materialization was made, and whether it is out of date.

    data_version: of the content. inputs: upstream asset -> its data version, and the storage id of that event.
    """
    tags = {
        CODE_VERSION_TAG: code_version,
        DATA_VERSION_TAG: data_version,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
    }
    for key, (version, storage_id) in inputs.items():
        tags[get_input_data_version_tag(key)] = version
        tags[get_input_event_pointer_tag(key)] = str(storage_id) if storage_id else NULL_EVENT_POINTER
    return tags


def version_of(record: dg.EventLogRecord | None) -> tuple[str, int | None]:
    """Data version and storage id of a materialization; what Dagster assumes of an input that nobody has made."""
    made = record.asset_materialization if record else None
    if record is None or made is None:
        return DEFAULT_DATA_VERSION.value, None
    return (made.tags or {}).get(DATA_VERSION_TAG, DEFAULT_DATA_VERSION.value), record.storage_id


@contextmanager
def held_slot(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    pool: str,
    holder: str,
    wait: Callable[[float], None],
) -> Iterator[None]:
    """A slot of a pool, for a part of a step. holder: shown in the UI; once per run. wait: sleeps, in seconds.

    The pool of an asset is public, and held for the whole step. A run that dies with a slot loses it as usual
    (free_slots_after_run_end_seconds of dagster.yaml).
    """
    from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

    with InstanceConcurrencyContext(instance, run) as pools:
        while not pools.claim(pool, holder):
            wait(1.0)
        try:
            yield
        finally:
            pools.free_step(holder)


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


def runs_of_partition(instance: dg.DagsterInstance, partition: str) -> dict[str, bool]:
    """Runs that made a partition, or were to make it -> whether it was their only one.

    instance.fetch_materializations is public, and knows no run that failed.
    """
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
    from sqlalchemy import select

    storage, events = instance.event_log_storage, SqlEventLogStorageTable.c
    if not isinstance(storage, SqlEventLogStorage):
        return {}
    found: dict[str, bool] = {}
    with storage.index_connection() as connection:
        runs = select(events.run_id).where(events.partition == partition).distinct()
        for (run,) in connection.execute(runs).all():
            others = select(events.id).where(events.run_id == run, events.partition != partition).limit(1)
            found[run] = connection.execute(others).first() is None
    return found


def erase_partition(instance: dg.DagsterInstance, run: str, partition: str, name: str) -> None:
    """Delete what a run with other partitions says of this one: its events, its checks, and the logs of the run.

    name: what other events may call it by; they get "withdrawn" in its place.
    """
    from dagster._core.storage.event_log.schema import (
        AssetCheckExecutionsTable,
        AssetEventTagsTable,
        AssetKeyTable,
        SqlEventLogStorageTable,
    )
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
    from sqlalchemy import select

    storage, events, assets = instance.event_log_storage, SqlEventLogStorageTable.c, AssetKeyTable.c
    assert isinstance(storage, SqlEventLogStorage)  # noqa: S101 runs_of_partition found the run in it
    named = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
    with storage.index_connection() as connection:
        checks = AssetCheckExecutionsTable
        connection.execute(checks.delete().where(checks.c.run_id == run, checks.c.partition == partition))
        gone = select(events.id).where(events.run_id == run, events.partition == partition)
        connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(gone)))
        shown = AssetKeyTable.update().where(assets.last_run_id == run)
        connection.execute(shown.values(cached_status_data=None))
        last = shown.where(assets.last_materialization.contains(name, autoescape=True))
        connection.execute(last.values(last_materialization=None))
    for opened in (storage.run_connection(run), storage.index_connection()):
        with opened as connection:
            table = SqlEventLogStorageTable
            connection.execute(table.delete().where(events.run_id == run, events.partition == partition))
            texts = select(events.id, events.event).where(
                events.run_id == run, events.event.contains(name, autoescape=True)
            )
            for number, text in connection.execute(texts).all():
                changed = table.update().where(events.id == number)
                connection.execute(changed.values(event=named.sub("withdrawn", text)))
    instance.compute_log_manager.delete_logs(prefix=[run])
    if isinstance(storage, SqliteEventLogStorage):
        _vacuum([Path(storage.path_for_shard(one)) for one in (run, "index")])


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
