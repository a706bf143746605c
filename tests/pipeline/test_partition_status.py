"""The state of partitions that the UI shows, where an event became visible after one with a higher number."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from chestgan_assets.automation.health_checks import states_as_made
from chestgan_assets.execution.partition_status import mend_status

PATIENTS = dg.DynamicPartitionsDefinition(name="patient")
KEY = dg.AssetKey("raw_dicom")
EVENTS = SqlEventLogStorageTable


@dg.asset(partitions_def=PATIENTS)
def raw_dicom(context: dg.AssetExecutionContext) -> None:
    if "fails" in context.run.tags:
        raise dg.Failure("it fails")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("patient", ["A1", "A2", "A3"])
        yield instance


def run(instance: dg.DagsterInstance, patient: str, **tags: str) -> None:
    dg.materialize([raw_dicom], instance=instance, partition_key=patient, tags=tags, raise_on_error=False)


def states(instance: dg.DagsterInstance) -> dict[str, str | None]:
    found = instance.get_status_by_partition(KEY, ["A1", "A2", "A3"], PATIENTS) or {}
    return {key: state.value if state else None for key, state in found.items()}


def hide(instance: dg.DagsterInstance, patient: str) -> dict[str, Any]:
    """Take the newest materialization out of the history, as if its transaction had not been committed yet."""
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        newest = (
            db.select(EVENTS)
            .where(EVENTS.c.dagster_event_type == "ASSET_MATERIALIZATION", EVENTS.c.partition == patient)
            .order_by(EVENTS.c.id.desc())
            .limit(1)
        )
        row = dict(connection.execute(newest).one()._mapping)
        connection.execute(db.delete(EVENTS).where(EVENTS.c.id == row["id"]))
    return row


def show(instance: dg.DagsterInstance, row: dict[str, Any]) -> None:
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        connection.execute(db.insert(EVENTS).values(row))


@pytest.mark.parametrize(("before", "shown"), [({}, None), ({"fails": "yes"}, "FAILED")])
def test_a_patient_whose_event_came_late_is_shown_as_made_after_the_check(
    before: dict[str, str], shown: str | None, instance: dg.DagsterInstance
) -> None:
    if before:
        run(instance, "A1", **before)
        assert states(instance)["A1"] == shown
    run(instance, "A1")
    late = hide(instance, "A1")
    run(instance, "A2")
    states(instance)  # somebody looks at the UI
    show(instance, late)
    # A fault of Dagster, which the check is there for: it can go when this is MATERIALIZED.
    assert states(instance)["A1"] == shown
    checked = states_as_made(dg.build_asset_check_context(instance=instance))
    assert isinstance(checked, dg.AssetCheckResult)
    assert (checked.passed, checked.metadata["wrong states"].value) == (False, 1)
    assert states(instance) == {"A1": "MATERIALIZED", "A2": "MATERIALIZED", "A3": None}
    assert mend_status(instance, "patient", [KEY]) == {}


def test_what_was_not_made_or_failed_later_is_left_as_it_is(instance: dg.DagsterInstance) -> None:
    run(instance, "A1", fails="yes")
    run(instance, "A2")
    run(instance, "A2", fails="yes")
    before = states(instance)
    assert before == {"A1": "FAILED", "A2": "FAILED", "A3": None}
    assert mend_status(instance, "patient", [KEY]) == {}
    assert states(instance) == before
