"""How many patients one run takes, and which runs the patients of a backfill are divided into.

In: $CHESTGAN_BATCH and $CHESTGAN_EXECUTOR. Out: the policy of backfills, automation and sensors. What starts a run, a
process or a pod, loads the pipeline and asks the database is paid once for so many patients; a run that dies repeats
the patient in hand only, so the size hardly matters for failures. It decides how evenly several runs share the work.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from chestgan_assets.execution.executor import on_kubernetes
from chestgan_assets.load_faults import note_fault
from chestgan_assets.tags import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import whole_number_from_environment

VARIABLE = "CHESTGAN_BATCH"
# A pod takes most of a minute to start, a process some seconds.
IN_PODS, ELSEWHERE, LARGEST = 50, 20, 1_000


def batch_size() -> int:
    """Patients per run. Where the setting cannot be used, that of an installation without it, and a fault."""
    usual = IN_PODS if on_kubernetes() else ELSEWHERE
    try:
        return whole_number_from_environment(VARIABLE, 1, LARGEST, usual)
    except BadInput as fault:
        note_fault(f"{fault} ({usual} patients per run until then)")
        return usual


def runs_of(partitions: Sequence[str], registered: Sequence[str], size: int) -> Iterator[list[str]]:
    """Partitions in groups of at most `size` that a run can have: neighbours in the order of registration.

    partitions: some of the registered ones, in any order, each once or more often. Dagster knows the partitions of a
    run by its first and its last one only.
    """
    wanted = set(partitions)
    group: list[str] = []
    for key in registered:
        if key in wanted:
            group.append(key)
        if group and (key not in wanted or len(group) == size):
            yield group
            group = []
    if group:
        yield group


def tags_of(group: Sequence[str]) -> Mapping[str, str]:
    """The tags of a run for a group of `runs_of`."""
    if len(group) == 1:
        return {PARTITION_TAG: group[0]}
    return {RANGE_START_TAG: group[0], RANGE_END_TAG: group[-1]}


def backfill_policy() -> dg.BackfillPolicy:
    """At most so many patients in one run of a backfill, or of what automation requests."""
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=batch_size())
