"""How patients are divided into runs, and what the setting of the size may be."""

import itertools

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_assets import load_faults
from chestgan_assets.execution.batch_size import VARIABLE, backfill_policy, batch_size, runs_of, tags_of
from chestgan_assets.execution.partition_runs import failed_partitions, partitions_in_flight
from chestgan_assets.partitions import PATIENT_PARTITIONS
from chestgan_assets.tags import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG

KEYS = [f"listed:A{number}" for number in range(12)]


@given(wanted=st.lists(st.sampled_from(KEYS)), registered=st.permutations(KEYS), size=st.integers(1, 20))
def test_every_patient_is_in_one_run_and_nobody_else_is(
    wanted: list[str], registered: list[str], size: int
) -> None:
    groups = list(runs_of(wanted, registered, size))
    assert [key for group in groups for key in group] == [key for key in registered if key in wanted]
    for group in groups:
        first, last = registered.index(group[0]), registered.index(group[-1])
        # Dagster knows the first and the last one only: whoever is between them is in the run.
        assert registered[first : last + 1] == group
        assert len(group) <= size
    # No two runs could have been one.
    for one, other in itertools.pairwise(groups):
        neighbours = registered.index(other[0]) == registered.index(one[-1]) + 1
        assert not neighbours or len(one) == size


def test_a_run_of_one_patient_is_a_run_of_that_partition() -> None:
    assert tags_of(["a"]) == {PARTITION_TAG: "a"}
    assert tags_of(["a", "b", "c"]) == {RANGE_START_TAG: "a", RANGE_END_TAG: "c"}


@pytest.mark.parametrize(
    ("setting", "executor", "expected"),
    [("", "", 20), ("", "k8s", 50), ("7", "k8s", 7), (" 1 ", "", 1), ("1000", "", 1000)],
)
def test_the_size_depends_on_the_executor_unless_it_is_set(
    setting: str, executor: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, setting)
    monkeypatch.setenv("CHESTGAN_EXECUTOR", executor)
    assert batch_size() == expected
    assert backfill_policy().max_partitions_per_run == expected


@pytest.mark.parametrize("setting", ["0", "-3", "1.5", "many", "1001", "\u0663", "1e2"])
def test_a_size_that_cannot_be_is_a_fault_and_the_usual_one_is_used(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_faults, "_faults", [])
    monkeypatch.setenv(VARIABLE, setting)
    monkeypatch.delenv("CHESTGAN_EXECUTOR", raising=False)
    assert batch_size() == 20
    (fault,) = load_faults.load_faults()
    assert fault.startswith(
        f"{VARIABLE}: {setting!r} is not a whole number from 1 to 1000; correct it, or unset it"
    )


def a_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, *keys: str) -> None:
    run = dg.DagsterRun("job", status=status, tags=dict(tags_of(keys)))
    instance.add_run(run)


def test_a_run_of_several_patients_is_in_flight_for_each_of_them() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(PATIENT_PARTITIONS, KEYS)
        a_run(instance, dg.DagsterRunStatus.STARTED, KEYS[2], KEYS[3], KEYS[4])
        a_run(instance, dg.DagsterRunStatus.STARTING, KEYS[9])
        a_run(instance, dg.DagsterRunStatus.SUCCESS, KEYS[6], KEYS[7])
        assert partitions_in_flight(instance, KEYS) == {*KEYS[2:5], KEYS[9]}
        assert partitions_in_flight(instance, KEYS[4:6]) == {KEYS[4]}
        # Whoever was between two patients that have gone is not known any more; it must not end in an error.
        instance.delete_dynamic_partition(PATIENT_PARTITIONS, KEYS[2])
        assert partitions_in_flight(instance, KEYS) == {KEYS[4], KEYS[9]}


def test_a_failed_run_whose_patients_were_never_planned_names_nobody() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(PATIENT_PARTITIONS, KEYS)
        a_run(instance, dg.DagsterRunStatus.FAILURE, *KEYS[:3])
        assert failed_partitions(instance, PATIENT_PARTITIONS, (dg.AssetKey("raw_dicom"),)) == {}
