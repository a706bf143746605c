"""Which patients a run still has to make, and in which order.

In: a step and the patients of its run. Out: those that nobody has made since the run was requested. So a step that is
tried again, in the same run or in the one that Dagster starts for a dead one, takes up where the other ended, and of
two backfills over the same patients the second finds done what the first has made meanwhile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dagster as dg

from chestgan_assets.execution.partition_events import PartitionEvents
from chestgan_assets.execution.partition_runs import RegisteredPatients
from chestgan_assets.tags import RESUMED_TAGS, RETRY_TAG


@dataclass
class RemainingPatients:
    """assets: what the run makes of each patient, in the order of the chain. events: of the step."""

    context: dg.AssetExecutionContext
    events: PartitionEvents
    assets: Sequence[str]
    since: float = field(init=False)  # seconds since 1970: what was made after it is not made again

    def __post_init__(self) -> None:
        run = self.context.run
        retried = int(run.tags.get(RETRY_TAG, 0))
        # A person who executes a run again wants all of it again, unless they asked for what failed.
        while (before := run.get_parent_run_id()) and not run.tags.keys().isdisjoint(
            (RETRY_TAG, *RESUMED_TAGS)
        ):
            parent = self.context.instance.get_run_by_id(before)
            if parent is None:
                break
            run = parent
        self._attempt = self.context.retry_number + retried
        record = self.context.instance.get_run_record_by_id(run.run_id)
        self.since = record.create_timestamp.timestamp() if record else 0.0

    def in_order(self) -> list[str]:
        """The patients of the run.

        A run that died was at the first one that is not made, perhaps because of it: that one comes last in the next
        attempt, so that it does not stop the others. Two runs over the same patients start from both ends.
        """
        patients = list(self.context.partition_keys)
        if self._overlaps(patients):
            patients.reverse()
        if self._attempt:
            ended = [patient for patient in patients if self.made(patient) or self.failure(patient)]
            left = [patient for patient in patients if patient not in ended]
            turned = self._attempt % len(left) if left else 0
            patients = [*ended, *left[turned:], *left[:turned]]
        return patients

    def made(self, patient: str) -> dict[str, dg.EventLogRecord]:
        """Asset -> its materialization since the run was requested; empty unless that was everything."""
        found = {}
        for asset in reversed(self.assets):
            record = self.events.newest(asset, patient, self.since)
            if record is None:
                return {}
            found[asset] = record
        return found

    def failure(self, patient: str) -> str:
        """Why an earlier attempt of this run could not make the patient, where another cannot either; else ""."""
        if not self._attempt:
            return ""
        found = (self.events.failure(asset, patient, self.since) for asset in self.assets)
        return next(filter(None, found), "")

    def _overlaps(self, patients: Sequence[str]) -> bool:
        """Whether a run that started earlier is at work on one of the patients."""
        if len(patients) == 1:
            return False
        mine, registered = set(patients), RegisteredPatients(self.context.instance)
        return any(not mine.isdisjoint(registered.of_run(run)) for run in self._started())

    def _started(self) -> Iterator[dg.DagsterRun]:
        executing = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        own = self.context.instance.get_run_record_by_id(self.context.run.run_id)
        for record in self.context.instance.get_run_records(executing):
            if own and record.storage_id < own.storage_id:
                yield record.dagster_run
