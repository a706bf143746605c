"""What people see in the UI: tables with types, columns as in the Parquet files, names, descriptions, links to code."""

import io
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from chestgan_assets.assets.reports import architecture_comparison, tuning_comparison
from chestgan_assets.assets.training import Interval, shown
from chestgan_assets.definitions import defs
from chestgan_assets.metadata import (
    Cell,
    beside,
    causes,
    columns_of_rows,
    compact_table,
    counts,
    table,
    where_to_look,
)
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_core.dicom.left_out import Cause
from chestgan_core.publishing.reader import labels
from chestgan_core.slices import shards
from chestgan_core.sources.images.image_rows import ImageRow, rows_to_parquet
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2], "int"), ([1, 2.5], "float"), ([1, None], "int"), (["a", 1], "string"), ([True], "bool"), ([], "string")],
)  # fmt: skip
def test_a_column_of_a_table_has_the_type_of_its_values(values: Sequence[Cell], kind: str) -> None:
    made = table(("value",), [(value,) for value in values], {"value": "in mm"})
    (column,) = made.schema.columns
    assert (column.name, column.type, column.description) == ("value", kind, "in mm")
    assert [record.data["value"] for record in made.records] == list(values)


def test_reasons_are_ordered_by_frequency_and_none_is_an_empty_table() -> None:
    made = counts({"few": 1, "many": 9}, "series", meanings={"many": "explained"})
    assert [record.data for record in made.records] == [
        {"reason": "many", "series": 9, "meaning": "explained"},
        {"reason": "few", "series": 1, "meaning": ""},
    ]
    assert not counts({}).records


def test_empty_columns_are_left_out_where_a_table_is_compact() -> None:
    made = compact_table(("patient", "kernel", "images"), [("A1", "", 0), ("A2", None, 1)])
    assert [column.name for column in made.schema.columns] == ["patient", "images"]


def test_causes_are_bounded_and_the_most_frequent_come_first() -> None:
    found = [Cause("unreadable", f"cause {number}\x1b", number, "") for number in range(30)]
    made = causes(found)
    assert len(made.records) == 20
    assert made.records[0].data == {"reason": "unreadable", "cause": "cause 29\\x1b", "files": 29}


def test_the_columns_that_the_ui_shows_are_those_of_the_parquet_files() -> None:
    images = pq.read_schema(io.BytesIO(rows_to_parquet([])))
    for row, names in (
        (ImageRow, images.names),
        (shards.SliceRow, shards.SCHEMA.names),
        (labels.LabelRow, labels.schema().names),
    ):
        assert [column.name for column in columns_of_rows(row).columns] == names


@pytest.mark.parametrize("store", ["s3://b", "s3://b/", "s3://b/pre/fix", "s3://b/reports"])
def test_a_report_is_a_link_beside_its_manifest(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_STORE", store)
    manifest = f"{store.rstrip('/')}/reports/x/run/v/manifest.json"
    assert beside(manifest, "report.pdf").value == "/files/reports/x/run/v/report.pdf"


def test_every_asset_has_a_description_an_owner_and_a_link_to_its_code() -> None:
    made = [one for one in defs.assets or () if isinstance(one, dg.AssetsDefinition)]
    steps = {key: one.node_def.name for one in made for key in one.keys}
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners, spec.key
        if spec.key == dg.AssetKey("collections"):
            continue  # it has no code
        assert "chestgan/content" in spec.tags, spec.key
        (reference,) = spec.metadata["dagster/code_references"].code_references
        source = Path(reference.file_path).read_text().splitlines()
        body = "\n".join(source[reference.line_number - 1 : reference.line_number + 40])
        step = steps[spec.key]  # raw_dicom and slice_tensors are made by one
        assert f"def {step}(" in body


def test_names_say_what_a_definition_is_and_each_has_a_description() -> None:
    repository = defs.get_repository_def()
    for sensor in repository.sensor_defs:
        assert sensor.name.endswith("_sensor")
        assert sensor.description
    for schedule in repository.schedule_defs:
        assert schedule.name.endswith("_schedule")
        assert schedule.description
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            assert job.name.endswith("_job")
            assert job.description


@pytest.mark.parametrize(
    ("asset", "fields", "said"),
    [
        (architecture_comparison, {"experiments": ["thesis-dcgan-finel", "demo"]},
         "experiment thesis-dcgan-finel: is not a known experiment; did you mean thesis-dcgan-final"),
        (architecture_comparison, {"dataset": "lung_pet_ct"}, "did you mean lung_pet_ct_dx"),
        (tuning_comparison, {"final": "demmo"}, "did you mean demo"),
    ],
)  # fmt: skip
def test_an_unknown_name_in_the_launchpad_is_answered_with_the_nearest(
    asset: dg.AssetsDefinition,
    fields: dict[str, object],
    said: str,
    store: Store,
    embedded: EmbeddedStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset],
            instance=instance,
            resources={"store": StoreResource(uri=store.uri()), "machine": MachineResource()},
            run_config={"ops": {asset.key.to_user_string(): {"config": fields}}},
            raise_on_error=False,
        )
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert failure.step_failure_data.user_failure_data is not None
    assert said in str(failure.step_failure_data.user_failure_data.description)


def test_the_progress_of_a_training_has_names_for_people_digits_and_links() -> None:
    row = {
        "images_seen": 8336.0,
        "seconds": 30.0798,
        "images_per_second": 279.2676,
        "loss_g": 2.36321,
        "kid": 1.0,
    }
    assert shown(row) == {
        "images seen": 8336,
        "seconds": 30,
        "images per second": 279.3,
        "generator loss": 2.363,
    }
    links = where_to_look("generator_checkpoint", "a b", "0123", "generator_checkpoint").value
    assert "(/runs/0123?logType=stderr&selection=name%3A%22generator_checkpoint%22)" in str(links)
    assert "(/assets/generator_checkpoint?view=events&partition=a%20b)" in str(links)


def test_observations_are_frequent_at_first_and_rarer_in_long_trainings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    numbers, pictures = Interval(10, 60), Interval(20)
    seen: dict[str, list[float]] = {"numbers": [], "pictures": []}
    while now < 12 * 3600:
        for name, interval in (("numbers", numbers), ("pictures", pictures)):
            if interval.is_over():
                seen[name].append(now)
        now += 1.0
    assert seen["numbers"][:4] == [0, 10, 20, 30]
    assert seen["numbers"][-1] - seen["numbers"][-2] == 60
    assert len(seen["pictures"]) < 350


def test_every_check_of_an_asset_with_partitions_has_them_too() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.asset_check_keys:
        assert graph.get(key).partitions_def == graph.get(key.asset_key).partitions_def, key
