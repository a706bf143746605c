"""Runs that a killed process left behind, which would hold their slot in the queue for ever.

Input: the local instance. Output: runs that no process executes any more are reported as failed, so that Dagster
retries those that it had launched (run_retries in dagster.yaml); those that a person was canceling, as canceled. Two
locks in Dagster's home say who is alive. The servers hold the first one too: they may outlive a killed `make dev`.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from chestgan_assets.local.supervisor import GRACE
from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_lock

# Seconds for the servers of a killed `make dev` to end.
SERVERS_END = GRACE + 10

_log = logging.getLogger(__name__)

# A run in these states is executed by somebody. Queued runs are not: the next daemon starts them.
IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
FAILED = "The process that executed this run was killed. Dagster retries it, unless it was a run of a demo."
CANCELED = "The process that executed this run was killed while it was being canceled."
# A tag that Dagster's launcher leaves on the runs that it launched; a run of a demo has none.
LAUNCHED = ".dagster/grpc_info"


@contextmanager
def dev_lock(dagster_home: Path) -> Iterator[int]:
    """Held by `make dev`, and by every process that inherits the file descriptor that it yields.

    Servers of a killed `make dev` are waited for: they end by themselves (supervisor.py). Raises BadInput: another one
    uses this home, and would execute this one's runs.
    """
    with ExitStack() as held:
        try:
            # Not inherited: whoever holds it is a `make dev` that lives.
            held.enter_context(file_lock(dagster_home / "make-dev.lock", wait=False))
        except BlockingIOError as error:
            raise _in_use(dagster_home, "is in use by another `make dev`") from error
        deadline = time.monotonic() + SERVERS_END
        while True:
            try:
                lock = held.enter_context(file_lock(dagster_home / "dev.lock", wait=False))
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    cause = "is in use by servers of a `make dev` that was killed"
                    raise _in_use(dagster_home, cause) from error
            if deadline - time.monotonic() > SERVERS_END - 0.5:
                _log.info("waiting for the servers of a killed `make dev` to end")
            time.sleep(0.5)
        yield lock


def _in_use(dagster_home: Path, cause: str) -> BadInput:
    remedy = (
        "end it (its servers: chestgan_assets.web.server, dagster-daemon), "
        "or set CHESTGAN_HOME to another folder"
    )
    return BadInput(dagster_home, cause, remedy)


@contextmanager
def demo_lock(dagster_home: Path) -> Iterator[None]:
    """Shared by every `make demo`, which executes its runs itself."""
    with file_lock(dagster_home / "demo.lock", shared=True):
        yield


def fail_orphaned_runs(instance: dg.DagsterInstance, dagster_home: Path) -> int:
    """Report the runs that no process executes; returns their number. Call it with dev_lock, before a server runs."""
    # Held to the end: a demo may start meanwhile, and its run is not an orphan.
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(dagster_home / "demo.lock", wait=False))
            demo_runs = False
        except BlockingIOError:
            demo_runs = True
        waiting = instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS))
        orphans = [run for run in waiting if not demo_runs or LAUNCHED in run.tags]
        for run in orphans:
            if run.status is dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run, CANCELED)
            else:
                instance.report_run_failed(run, FAILED)
            # The slots in pools that its steps held.
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(orphans)
