"""Sensors and the backfill job: patients become partitions, and only what has changed is requested."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from hypothesis import given
from hypothesis import strategies as st

from chestgan_assets.assets.patient_results import PATIENT_ASSETS
from chestgan_assets.automation import new_series as new_series_module
from chestgan_assets.automation import patient_partitions as patient_partitions_module
from chestgan_assets.automation.health_checks import no_failed_partitions
from chestgan_assets.automation.new_series import changed_patients, new_series_sensor
from chestgan_assets.automation.patient_partitions import changes, patient_partitions_sensor
from chestgan_assets.definitions import defs
from chestgan_assets.execution.dagster_internals import submit_backfill
from chestgan_assets.execution.partition_runs import failed_partitions
from chestgan_assets.jobs.backfills import BackfillConfig, backfill_patients_job, selected_patients
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import RANGE_END_TAG, RANGE_START_TAG
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from tests.pipeline.listed import write_dataset, write_index

PATIENT = st.text(alphabet="ABEG0123456789", min_size=1, max_size=5)


class Listed:
    """The dataset `listed` in a store, with a Dagster instance beside it."""

    def __init__(self, folder: Path, store: Store, instance: dg.DagsterInstance) -> None:
        self.index, self.store, self.instance = folder / "index.csv", store, instance
        self.home = folder
        self.cursors: dict[str, str | None] = {}

    def catalogue(self, **patients: str) -> None:
        """A new catalog: patient -> revision."""
        write_index(self.index, patients)
        catalog_series(self.store, "listed", self.home)

    def tick(self, sensor: dg.SensorDefinition) -> dg.SensorResult:
        """One tick; the daemon keeps its cursor."""
        context = dg.build_sensor_context(
            self.instance,
            cursor=self.cursors.get(sensor.name),
            resources={"store": StoreResource(uri=self.store.uri())},
            definitions=None,
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursors[sensor.name] = result.cursor or self.cursors.get(sensor.name)
        return result

    @property
    def partitions(self) -> set[str]:
        return set(self.instance.get_dynamic_partitions("patient"))


@pytest.fixture
def listed(
    tmp_path: Path, store: Store, embedded: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Listed]:
    write_dataset(tmp_path / "datasets", tmp_path / "index.csv")
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setattr(patient_partitions_module, "DICOM", ["listed"])
    for name, value in embedded.environment.items():  # type: ignore[attr-defined]
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Listed(tmp_path, store, instance)


def test_patients_become_partitions_some_at_a_time(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_partitions_module, "MAX_PER_TICK", 2)
    listed.catalogue(A1="x", A2="x", B1="x")
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1", "listed:A2"}
    assert not json.loads(listed.cursors["patient_partitions_sensor"] or "{}")
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1", "listed:A2", "listed:B1"}
    listed.tick(patient_partitions_sensor)
    assert len(listed.partitions) == 3


def test_patients_who_left_a_dataset_lose_their_partition_and_others_keep_theirs(listed: Listed) -> None:
    listed.instance.add_dynamic_partitions("patient", ["folder:A1", "listed:gone"])
    listed.catalogue(A1="x")
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"folder:A1", "listed:A1"}


def test_keys_typed_into_the_dialog_of_partitions_are_removed(listed: Listed) -> None:
    listed.instance.add_dynamic_partitions("patient", ["", "A1", "nowhere:A1", "folder:P1"])
    listed.catalogue(A1="x")
    listed.tick(patient_partitions_sensor)
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"folder:P1", "listed:A1"}


def test_a_damaged_catalog_keeps_no_other_dataset_waiting(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_index(listed.index, {"A1": "x"})
    (listed.home / "datasets" / "broken.yaml").write_text(
        (listed.home / "datasets" / "listed.yaml").read_text()
    )
    monkeypatch.setattr(patient_partitions_module, "DICOM", ["broken", "listed"])
    catalog_series(listed.store, "listed", listed.home)
    listed.store.update_pointer(keys.catalog_latest("broken"), {"version": "0" * 16})
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1"}


def test_the_cursor_stays_small_whatever_the_number_of_patients(listed: Listed) -> None:
    listed.catalogue(**{f"A{number:05d}": "x" for number in range(3000)})
    listed.tick(patient_partitions_sensor)
    assert len(listed.partitions) == 3000
    assert len(listed.cursors["patient_partitions_sensor"] or "") < 100


def test_the_first_catalog_requests_no_run(listed: Listed) -> None:
    listed.catalogue(A1="x")
    listed.tick(patient_partitions_sensor)
    assert not listed.tick(new_series_sensor).run_requests


def test_only_new_and_revised_patients_are_requested_and_only_once(listed: Listed) -> None:
    listed.catalogue(A1="x", A2="x", A3="x")
    listed.tick(patient_partitions_sensor)
    listed.tick(new_series_sensor)
    listed.catalogue(A1="x", A2="revised", A3="x", B1="x")
    # The new patient has no partition yet: the sensor waits for it, and requests the other one.
    first = listed.tick(new_series_sensor).run_requests or []
    assert [request.partition_key for request in first] == ["listed:A2"]
    assert "waits for patient_partitions_sensor" in str(listed.tick(new_series_sensor).skip_reason)
    listed.tick(patient_partitions_sensor)
    second = listed.tick(new_series_sensor).run_requests or []
    assert [request.partition_key for request in second] == ["listed:B1"]
    assert not listed.tick(new_series_sensor).run_requests
    assert len({request.run_key for request in [*first, *second]}) == 2


def test_a_patient_who_came_and_left_between_two_ticks_holds_up_nobody(listed: Listed) -> None:
    listed.catalogue(A1="x")
    listed.tick(patient_partitions_sensor)
    listed.tick(new_series_sensor)
    listed.catalogue(A1="x", B1="x")
    assert not listed.tick(new_series_sensor).run_requests  # waits for the partition of B1
    listed.catalogue(A1="revised")
    listed.tick(patient_partitions_sensor)
    requests = [request for _ in range(2) for request in listed.tick(new_series_sensor).run_requests or []]
    assert [request.partition_key for request in requests] == ["listed:A1"]


def test_a_content_that_comes_back_is_requested_again(listed: Listed) -> None:
    listed.catalogue(A1="x")
    listed.tick(patient_partitions_sensor)
    listed.tick(new_series_sensor)
    run_keys = []
    for revision in "yxyx":
        listed.catalogue(A1=revision)
        (request,) = listed.tick(new_series_sensor).run_requests or []
        run_keys.append(request.run_key)
    # Dagster passes over a key that it has seen before.
    assert len(set(run_keys)) == 4


def test_many_changes_are_requested_some_at_a_time(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_series_module, "MAX_PER_TICK", 3)
    patients = {f"A{number}": "x" for number in range(8)}
    listed.catalogue(**patients)
    listed.tick(patient_partitions_sensor)
    listed.tick(new_series_sensor)
    listed.catalogue(**dict.fromkeys(patients, "revised"))
    ticks = [listed.tick(new_series_sensor).run_requests or [] for _ in range(4)]
    ends = [
        [(request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) for request in tick] for tick in ticks
    ]
    assert ends == [
        [("listed:A0", "listed:A2")],
        [("listed:A3", "listed:A5")],
        [("listed:A6", "listed:A7")],
        [],
    ]


def test_changes_come_in_runs_of_a_batch_of_neighbours(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster knows the patients of a run by the first and the last one: whoever is between them belongs to it."""
    monkeypatch.setenv("CHESTGAN_BATCH", "2")
    patients = {f"A{number}": "x" for number in range(8)}
    listed.catalogue(**patients)
    listed.tick(patient_partitions_sensor)
    listed.tick(new_series_sensor)
    changed = {f"A{number}": "revised" for number in (0, 1, 2, 4, 6, 7)}
    listed.catalogue(**{**patients, **changed})
    requests = listed.tick(new_series_sensor).run_requests or []
    asked = [
        request.partition_key or (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG])
        for request in requests
    ]
    assert asked == [("listed:A0", "listed:A1"), "listed:A2", "listed:A4", ("listed:A6", "listed:A7")]
    assert len({request.run_key for request in requests}) == 4


@given(
    before=st.dictionaries(PATIENT, st.sampled_from("xy")),
    now=st.dictionaries(PATIENT, st.sampled_from("xy")),
)
def test_a_patient_is_changed_when_the_catalogs_differ_in_it(
    before: dict[str, str], now: dict[str, str]
) -> None:
    changed = changed_patients(before, now)
    assert {**before, **{patient: now[patient] for patient in changed}}.items() >= now.items()
    assert not [patient for patient in changed if before.get(patient) == now[patient]]


@given(wanted=st.sets(PATIENT), present=st.sets(PATIENT))
def test_changes_bring_the_partitions_of_one_dataset_to_its_catalog(
    wanted: set[str], present: set[str]
) -> None:
    registered = {f"a:{patient}" for patient in present} | {"b:other"}
    found = changes("a", wanted, registered)
    assert not set(found.add) & registered
    after = (registered | set(found.add)) - set(found.delete)
    assert after == {f"a:{patient}" for patient in wanted} | {"b:other"}


HISTOLOGY = {"Lung_Dx-A0001": "A", "Lung_Dx-A0002": "A", "Lung_Dx-B0001": "B", "Lung_Dx-G0001": "G"}


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        ({}, ["Lung_Dx-A0001", "Lung_Dx-A0002", "Lung_Dx-B0001", "Lung_Dx-G0001"]),
        ({"histology": ["B", "G"]}, ["Lung_Dx-B0001", "Lung_Dx-G0001"]),
        (
            {"first_patient": "Lung_Dx-A0002", "last_patient": "Lung_Dx-B0001"},
            ["Lung_Dx-A0002", "Lung_Dx-B0001"],
        ),
        ({"max_patients": 1}, ["Lung_Dx-A0001"]),
        ({"histology": ["E"]}, []),
    ],
)
def test_a_backfill_takes_the_selected_patients(fields: dict[str, object], selected: list[str]) -> None:
    config = BackfillConfig(dataset="x", **fields)  # type: ignore[arg-type]
    assert selected_patients(config, HISTOLOGY, set()) == selected


def test_a_backfill_leaves_out_finished_patients_unless_all_are_requested() -> None:
    finished = {"Lung_Dx-A0001"}
    assert "Lung_Dx-A0001" not in selected_patients(BackfillConfig(dataset="x"), HISTOLOGY, finished)
    again = BackfillConfig(dataset="x", missing_only=False)
    assert "Lung_Dx-A0001" in selected_patients(again, HISTOLOGY, finished)


def start_backfill(listed: Listed, **fields: object) -> dg.ExecuteInProcessResult:
    return backfill_patients_job.execute_in_process(
        instance=listed.instance,
        run_config={"ops": {"start_backfill": {"config": {"dataset": "listed", **fields}}}},
        resources={"store": StoreResource(uri=listed.store.uri())},
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "1 of 1 patients are not registered yet; turn on patient_partitions_sensor"),
        ({"histology": ["b"]}, "no patient has the histology b"),
        ({"dataset": "listet"}, "is not a known dataset"),
    ],
)
def test_a_backfill_that_cannot_start_says_what_to_do(
    fields: dict[str, object], said: str, listed: Listed
) -> None:
    listed.catalogue(A1="x")
    result = start_backfill(listed, **fields)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data is not None
    assert said in (failure.step_failure_data.user_failure_data.description or "")


def start_run(listed: Listed, patient: str, *events: dg.DagsterEventType) -> str:
    """A run of a patient to which these events have happened; returns its id."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("chestgan"), "__repository__")
    run = dg.DagsterRun(
        job_name="patient_slices_job",
        tags={"dagster/partition": f"listed:{patient}"},
        remote_job_origin=RemoteJobOrigin(repository, "patient_slices_job"),
    )
    listed.instance.add_run(run)
    for event in events:
        listed.instance.report_dagster_event(dg.DagsterEvent(event.value, run.job_name), run.run_id)
    return run.run_id


@pytest.mark.parametrize(
    "events",
    [
        [],
        [dg.DagsterEventType.RUN_ENQUEUED],
        [dg.DagsterEventType.RUN_ENQUEUED, dg.DagsterEventType.RUN_STARTING],
        [dg.DagsterEventType.RUN_START],
        [dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_CANCELING],
    ],
)
def test_a_patient_who_left_keeps_the_partition_until_its_run_has_ended(
    listed: Listed, events: list[dg.DagsterEventType]
) -> None:
    listed.catalogue(A1="x", A2="x", A3="x")
    listed.tick(patient_partitions_sensor)
    run = start_run(listed, "A2", *events)
    start_run(listed, "A3", dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_SUCCESS)
    listed.catalogue(A1="x")
    said = listed.tick(patient_partitions_sensor).skip_reason
    assert "1 deleted, 1 that left wait for their runs" in str(said)
    assert listed.partitions == {"listed:A1", "listed:A2"}
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1", "listed:A2"}
    ended = listed.instance.get_run_by_id(run)
    assert ended is not None
    listed.instance.report_run_canceled(ended)
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1"}


def test_a_dataset_that_waits_for_a_run_keeps_no_other_dataset_waiting(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(listed.home / "datasets", listed.index, "other")
    monkeypatch.setattr(patient_partitions_module, "DICOM", ["listed", "other"])
    listed.catalogue(A1="x", A2="x")
    listed.tick(patient_partitions_sensor)
    start_run(listed, "A2", dg.DagsterEventType.RUN_ENQUEUED)
    listed.catalogue(A1="x")
    catalog_series(listed.store, "other", listed.home)
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1", "listed:A2", "other:A1"}


def test_no_partition_goes_while_a_backfill_that_would_fail_without_it_is_in_progress(listed: Listed) -> None:
    listed.catalogue(A1="x", A2="x")
    listed.tick(patient_partitions_sensor)
    submit_backfill(
        listed.instance,
        defs.get_repository_def(),
        PATIENT_ASSETS,
        sorted(listed.partitions),
        tags={},
        title="both",
    )
    (backfill,) = listed.instance.get_backfills()
    listed.catalogue(A1="x")
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1", "listed:A2"}
    listed.instance.update_backfill(backfill.with_status(type(backfill.status).CANCELED))
    listed.tick(patient_partitions_sensor)
    assert listed.partitions == {"listed:A1"}


def test_a_patient_whose_archive_failed_is_counted_once(listed: Listed) -> None:
    listed.instance.add_dynamic_partitions("patient", ["phantom:PH-A0001", "phantom:PH-A0002"])
    result = defs.resolve_job_def("patient_slices_job").execute_in_process(
        partition_key="phantom:PH-A0001",
        instance=listed.instance,
        resources={"store": StoreResource(uri=listed.store.uri()), "machine": MachineResource()},
        raise_on_error=False,
    )
    assert not result.success  # no catalog
    checked = no_failed_partitions(dg.build_asset_check_context(instance=listed.instance))
    assert isinstance(checked, dg.AssetCheckResult)
    assert not checked.passed
    assert checked.metadata["failed patients"].value == 1
    (row,) = checked.metadata["first 50 failed patients"].value.records
    assert row.data == {
        "patient": "phantom:PH-A0001",
        "failed asset": "raw_dicom",
        "why": "catalog of phantom: is not in the store; materialize series_catalog first",
    }


FAILING = [dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_FAILURE]


def plan(instance: dg.DagsterInstance, run: str, patient: str, asset: str, *, made: bool) -> None:
    """What Dagster writes before a step of an asset, and after it where it succeeds."""
    key = dg.AssetKey(asset)
    events = [
        dg.DagsterEvent(
            dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
            "patient_slices_job",
            event_specific_data=AssetMaterializationPlannedData(key, partition=patient),
        )
    ]
    if made:
        materialized = StepMaterializationData(dg.AssetMaterialization(key, partition=patient))
        events.append(
            dg.DagsterEvent(
                dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                "patient_slices_job",
                event_specific_data=materialized,
            )
        )
    for event in events:
        instance.report_dagster_event(event, run)


@pytest.mark.parametrize(
    ("later", "made", "failed"),
    [
        ([], False, {"listed:A1"}),  # nobody tried again
        ([dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_SUCCESS], True, set()),
        ([dg.DagsterEventType.RUN_ENQUEUED], False, set()),  # is being tried again
        (FAILING, False, {"listed:A1"}),
    ],
)
def test_a_patient_is_failed_until_a_later_run_makes_what_was_left(
    later: list[dg.DagsterEventType], made: bool, failed: set[str], listed: Listed
) -> None:
    instance = listed.instance
    instance.add_dynamic_partitions("patient", ["listed:A1", "listed:A2"])
    first = start_run(listed, "A1", *FAILING)
    plan(instance, first, "listed:A1", "raw_dicom", made=True)
    plan(instance, first, "listed:A1", "slice_tensors", made=False)
    if later:
        plan(instance, start_run(listed, "A1", *later), "listed:A1", "slice_tensors", made=made)
    gone = start_run(listed, "gone", *FAILING)
    plan(instance, gone, "listed:gone", "raw_dicom", made=False)  # has no partition any more
    found = failed_partitions(instance, "patient", PATIENT_ASSETS)
    assert found.keys() == failed
    assert set(found.values()) <= {dg.AssetKey("slice_tensors")}


def test_the_daily_check_takes_no_more_memory_with_forty_thousand_healthy_patients() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [f"listed:A{number:05}" for number in range(40_000)]
        for start in range(0, len(keys), 5_000):
            instance.add_dynamic_partitions("patient", keys[start : start + 5_000])
        tracemalloc.start()
        result = no_failed_partitions(dg.build_asset_check_context(instance=instance))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed
    assert result.metadata["patients"].value == 40_000
    assert peak < 3e6  # bytes; the keys alone are more
