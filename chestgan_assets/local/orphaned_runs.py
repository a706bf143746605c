"""Runs that a killed process left behind: they would hold their place in the queue for ever.

In: the local instance. Out: runs that nobody executes any more are reported as failed, so that Dagster starts those
again that it had started (run_retries in dagster.yaml); those that a person was cancelling, as canceled. Two locks in
Dagster's home say who is alive. The first is held by the servers too: they may outlive a `make dev` that was killed.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_lock

# A run in these states is executed by somebody. Queued runs are not: the next daemon starts them.
IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
SAID = "The process that executed this run was killed. Dagster starts it again, unless a demo had started it."
CANCELED = "The process that executed this run was killed while it was being canceled."
# Dagster's launcher leaves it on the runs that it started; a demo's run has none.
LAUNCHED = ".dagster/grpc_info"


@contextmanager
def only_dev(dagster_home: Path) -> Iterator[int]:
    """Held by `make dev`, and by every process that inherits the file descriptor that it gives.

    Raises BadInput: another one works in this home, and would take this one's runs.
    """
    with ExitStack() as held:
        try:
            lock = held.enter_context(file_lock(dagster_home / "dev.lock", wait=False))
        except BlockingIOError as error:
            raise BadInput(
                dagster_home,
                "another `make dev` works here, or servers of one that was killed",
                "end it (its servers: dagster-webserver, dagster-daemon), or set CHESTGAN_HOME to another folder",
            ) from error
        yield lock


@contextmanager
def one_of_the_demos(dagster_home: Path) -> Iterator[None]:
    """Held by `make demo`, whose runs are executed by itself."""
    with file_lock(dagster_home / "demo.lock", shared=True):
        yield


def end_orphans(instance: dg.DagsterInstance, dagster_home: Path) -> int:
    """Reports what nobody executes; to be called while only_dev is held, before a server runs."""
    # Held to the end: the run of a demo that starts meanwhile is no orphan.
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
                instance.report_run_failed(run, SAID)
            # The places in pools that its steps held.
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(orphans)
