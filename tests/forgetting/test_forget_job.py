"""The job that forgets a patient: in the store, and in Dagster's own history, which has pictures of slices."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from chestgan_assets.assets.acquisition import series_catalog
from chestgan_assets.assets.patient_results import RAW, SLICES
from chestgan_assets.assets.patients import patient_slices
from chestgan_assets.assets.slices import training_set
from chestgan_assets.automation import retraining as retraining_module
from chestgan_assets.automation.patient_partitions import patient_partitions_sensor
from chestgan_assets.automation.retraining import retraining_sensor
from chestgan_assets.jobs.forgetting import forget_patient_job
from chestgan_assets.partitions import PATIENT_PARTITIONS
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import RANGE_END_TAG, RANGE_START_TAG, REQUEST_KEY_TAG
from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.names import patient_partition
from chestgan_core.forgetting.forget import forget_patient
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.forgetting.chain import Chain
from tests.pipeline.stages import tiny


@pytest.fixture
def instance(
    tmp_path: Path, chain: Chain, home: Path, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance on SQLite, with the patients as partitions."""
    for name, value in {**embedded.environment, "CHESTGAN_HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "dagster")) as made:
        made.add_dynamic_partitions(
            PATIENT_PARTITIONS, [patient_partition("folder", patient) for patient in chain.names]
        )
        yield made


def materialize(
    instance: dg.DagsterInstance, store: Store, asset: dg.AssetsDefinition, key: str, *only: str, **tags: str
) -> str:
    """One run of an asset, or of some that are made together; returns its id."""
    result = dg.materialize(
        [asset],
        partition_key=key or None,
        instance=instance,
        resources={"store": StoreResource(uri=store.uri()), "machine": MachineResource()},
        selection=list(only) or None,
        tags=tags,
    )
    assert result.success
    return result.run_id


def run_job(instance: dg.DagsterInstance, store: Store, **config: str) -> dg.ExecuteInProcessResult:
    return forget_patient_job.execute_in_process(
        instance=instance,
        run_config={"ops": {"forget_patient_op": {"config": config}}},
        resources={"store": StoreResource(uri=store.uri()), "machine": MachineResource()},
        raise_on_error=False,
    )


def pictures(instance: dg.DagsterInstance, asset: str, key: str) -> list[bytes]:
    """Pieces of the pictures that the events of one partition hold."""
    found = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key])
    (record,) = instance.fetch_materializations(found, limit=1).records
    made = record.asset_materialization
    assert made is not None
    values = [str(value.value) for value in made.metadata.values()]
    pieces = [value.partition("base64,")[2] for value in values if "base64," in value]
    return [piece[1000:1200].encode() for piece in pieces]


def files_with(folder: Path, pieces: list[bytes]) -> list[str]:
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [path.name for path, data in contents.items() if any(piece in data for piece in pieces)]


def test_the_history_of_dagster_forgets_the_pictures_of_the_patient_too(
    instance: dg.DagsterInstance, store: Store, chain: Chain, tmp_path: Path
) -> None:
    other = patient_partition("folder", chain.held_out)
    key = patient_partition("folder", chain.trained)
    materialize(instance, store, patient_slices, other, SLICES)
    materialize(instance, store, patient_slices, key, RAW)
    materialize(instance, store, patient_slices, key, SLICES)  # the last one of the asset
    materialize(instance, store, series_catalog, "folder")
    materialize(instance, store, training_set, "folder")
    own = [*pictures(instance, "slice_tensors", key), *pictures(instance, "training_set", "folder")]
    of_others = pictures(instance, "slice_tensors", other)
    folder = tmp_path / "dagster"
    assert len(own) >= 2
    assert files_with(folder, own)

    result = run_job(instance, store, patient=key, confirm=key, by="A. Operator")
    assert result.success
    assert files_with(folder, own) == []
    assert files_with(folder, of_others)
    partitions = instance.get_dynamic_partitions(PATIENT_PARTITIONS)
    assert set(partitions) == {patient_partition("folder", one) for one in chain.names} - {key}
    # What is left names the patient as the launchpad did: the run of the job itself.
    named = {run.run_id for run in instance.get_runs() if key in json.dumps(run.tags)}
    assert named == set()
    said = {
        name: value.value
        for event in result.all_events
        if event.event_type_value == "STEP_OUTPUT"
        for name, value in event.step_output_data.metadata.items()
    }
    assert said["complete"] is True
    assert said["deleted runs"] == 4


def test_of_a_run_with_several_patients_the_others_keep_their_events(
    instance: dg.DagsterInstance, store: Store, chain: Chain, tmp_path: Path
) -> None:
    keys = instance.get_dynamic_partitions(PATIENT_PARTITIONS)
    key = patient_partition("folder", chain.trained)
    run = materialize(
        instance, store, patient_slices, "", **{RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]}
    )
    own = pictures(instance, "slice_tensors", key)
    left = [one for one in keys if one != key]
    of_others = [pictures(instance, "slice_tensors", one) for one in left]
    folder = tmp_path / "dagster"
    assert len(of_others) >= 2
    assert all(of_others)
    # What a log says of several patients at once.
    instance.report_engine_event(
        f"patients {left[0]}, {key} and {chain.trained}x", run_id=run, job_name="job"
    )

    assert run_job(instance, store, patient=key, confirm=key, by="A. Operator").success
    assert files_with(folder, own) == []
    assert [pictures(instance, "slice_tensors", one) for one in left] == of_others
    assert instance.get_run_by_id(run) is not None
    assert instance.get_materialized_partitions(dg.AssetKey(SLICES)) == set(left)
    assert not instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(RAW), asset_partitions=[key]), limit=1
    ).records
    said = [entry.message for entry in instance.all_logs(run)]
    assert [one for one in said if one.startswith("patients")] == [
        f"patients {left[0]}, folder:withdrawn and {chain.trained}x"
    ]


def test_without_the_confirmation_nothing_happens(
    instance: dg.DagsterInstance, store: Store, chain: Chain
) -> None:
    key = patient_partition("folder", chain.trained)
    before = [item.key for item in store.list()]
    for confirm in ("", "folder:another"):
        result = run_job(instance, store, patient=key, confirm=confirm)
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        assert "is not confirmed; write the same partition" in str(failure.event_specific_data)
    assert [item.key for item in store.list()] == before


def test_the_sensors_ask_for_the_training_without_the_patient(
    instance: dg.DagsterInstance, store: Store, chain: Chain, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retraining_module, "EXPERIMENTS", {"tiny": tiny()})
    cursors: dict[str, str | None] = {}

    def tick(sensor: dg.SensorDefinition) -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance, cursor=cursors.get(sensor.name), resources={"store": StoreResource(uri=store.uri())}
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        cursors[sensor.name] = result.cursor
        return result

    tick(patient_partitions_sensor)
    assert "no new slices" in str(tick(retraining_sensor).skip_reason)
    forget_patient(store, dataset_named("folder"), chain.trained, home, "a test")
    tick(patient_partitions_sensor)
    assert not instance.has_dynamic_partition(PATIENT_PARTITIONS, patient_partition("folder", chain.trained))

    (asked,) = tick(retraining_sensor).run_requests or []
    assert (asked.job_name, asked.partition_key) == ("training_set_job", "folder")
    tags = {REQUEST_KEY_TAG: str(asked.run_key)}
    run = dg.DagsterRun("training_set_job", status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.add_run(run)
    assert "waits for the training set" in str(tick(retraining_sensor).skip_reason)
    instance.delete_run(run.run_id)
    assert "its run is gone: start it by hand" in str(tick(retraining_sensor).skip_reason)
    build_training_set(store, "folder")
    (asked,) = tick(retraining_sensor).run_requests or []
    assert (asked.job_name, asked.partition_key) == ("synthetic_set_job", "tiny")
