"""What only some datasets have: structured reports, interrupted downloads; and catalogs that are made meanwhile."""

from pathlib import Path

import pytest

from chestgan_core.config.dataset import dataset_named
from chestgan_core.errors import DamagedObject
from chestgan_core.forgetting.forget import forget_patient
from chestgan_core.forgetting.traces import Kind
from chestgan_core.forgetting.walk import find_traces
from chestgan_core.local.files import file_lock
from chestgan_core.sources.catalog import stored_catalog
from chestgan_core.sources.catalog.stored_catalog import (
    catalog_series,
    commit_catalog,
    newest_catalog_version,
    read_catalog,
    read_patients,
)
from chestgan_core.sources.series_rows import SELECTED, Catalog, SeriesRow, delivery_name
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json
from chestgan_core.store.forgotten import forgotten_patients, write_tombstone
from chestgan_core.store.store import Store
from tests.forgetting.chain import Chain, found_in

DATASET = "lung_pet_ct_dx"


def rows_of(patient: str, number: int) -> list[SeriesRow]:
    return [
        SeriesRow(patient, f"1.2.{number}.1", 200, "r1", modality="CT", status=SELECTED),
        SeriesRow(patient, f"1.2.{number}.2", 1, "r1", modality="SR", status="other-modality"),
    ]


def commit_report(store: Store, row: SeriesRow) -> None:
    delivery = delivery_name(row)
    store.commit(
        keys.annotation_report_manifest(DATASET, delivery),
        {f"{delivery}-0.dcm": f"a report on {row.patient}".encode()},
        {"kind": "structured-reports", "series": row.key, "patient": row.patient},
    )


def test_structured_reports_and_downloads_go_by_what_the_catalogs_say_or_else_by_their_manifest(
    store: Store, tmp_path: Path
) -> None:
    rows = [*rows_of("Lung_Dx-A0001", 1), *rows_of("Lung_Dx-A0002", 2), *rows_of("Lung_Dx-A0003", 3)]
    commit_catalog(store, DATASET, Catalog(tuple(rows)), {}, newest=True)
    for row in rows[1::2]:
        commit_report(store, row)
    revised = SeriesRow("Lung_Dx-A0001", "1.2.1.9", 1, "r2", modality="SR")  # which no catalog lists any more
    commit_report(store, revised)
    download = tmp_path / "spool" / DATASET / f"{delivery_name(rows[0])}"
    for folder in (download, download.parent / delivery_name(rows[2])):
        folder.mkdir(parents=True)
        (folder / "1.dcm").write_bytes(b"pixels")

    found = find_traces(store, DATASET, "Lung_Dx-A0001", tmp_path)
    assert {trace.kind: trace.name for trace in found.traces if trace.kind is not Kind.CATALOG} == {
        Kind.SR: "2 series",
        Kind.LOCAL: "1 series",
    }
    assert forget_patient(store, dataset_named(DATASET), "Lung_Dx-A0001", tmp_path, "a test").complete
    left = found_in(store, {"Lung_Dx-A0001", "1.2.1."})
    assert all(key.startswith("forgotten/") for key in left)
    assert len(list(store.list(keys.annotation_reports_prefix(DATASET)))) == 4
    assert [folder.name for folder in download.parent.iterdir()] == [delivery_name(rows[2])]


def test_mapped_slices_of_a_killed_training_go_and_those_in_use_stay(store: Store, tmp_path: Path) -> None:
    commit_catalog(store, DATASET, Catalog(tuple(rows_of("A1", 1))), {}, newest=True)
    folder = tmp_path / "mapped-slices"
    folder.mkdir()
    left, used = folder / "left.safetensors", folder / "used.safetensors"
    for path in (left, used):
        path.write_bytes(b"slices")
    left.with_suffix(".lock").touch()
    with file_lock(used.with_suffix(".lock"), shared=True):
        assert forget_patient(store, dataset_named(DATASET), "A1", tmp_path, "a test").complete
        assert sorted(path.name for path in folder.iterdir()) == ["used.lock", "used.safetensors"]


def test_every_version_of_the_catalog_is_written_anew_and_the_newest_stays_the_newest(
    store: Store, tmp_path: Path
) -> None:
    first = commit_catalog(store, DATASET, Catalog(tuple(rows_of("A1", 1))), {}, newest=True).version
    both = (*rows_of("A1", 1), *rows_of("A2", 2))
    rules = {"exclude_patients": ["A1", "A3"], "exclude_series": ["1.2.1.2", "1.2.3"]}
    second = commit_catalog(store, DATASET, Catalog(both), rules, newest=True).version
    forget_patient(store, dataset_named(DATASET), "A1", tmp_path, "a test")
    replaced = newest_catalog_version(store, DATASET)
    assert replaced not in (first, second)
    assert list(read_patients(store, DATASET, replaced)) == ["A2"]
    kept = store.read_manifest(keys.catalog_manifest(DATASET, replaced)).manifest["rules"]
    assert kept == {"exclude_patients": ["A3"], "exclude_series": ["1.2.3"]}
    forget_patient(store, dataset_named(DATASET), "A2", tmp_path, "a test")
    counted = read_catalog(store, DATASET)
    assert [row.key for row in counted.rows] == [
        f"forgotten-{patient}-{number}" for patient in (1, 2) for number in (1, 2)
    ]
    assert forgotten_patients(store, DATASET) == {"A1", "A2"}


def test_a_catalog_that_was_being_made_when_a_patient_withdrew_does_not_list_the_patient(
    store: Store, home: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, calls = stored_catalog.commit_catalog, []

    def slow(*arguments: object, **named: object) -> object:
        if not calls:
            write_tombstone(store, "folder", chain.trained)
        calls.append(1)
        return commit(*arguments, **named)  # type: ignore[arg-type]

    before = newest_catalog_version(store, "folder")
    store.delete(keys.catalog_manifest("folder", before))
    monkeypatch.setattr(stored_catalog, "commit_catalog", slow)
    catalog, _ = catalog_series(store, "folder", home)
    assert len(calls) == 2
    assert chain.trained not in catalog.patients
    listed = [key for key in found_in(store, {chain.trained}) if key.startswith("catalog/")]
    assert listed == []


def test_a_manifest_without_its_fields_is_named(store: Store, tmp_path: Path) -> None:
    commit_catalog(store, DATASET, Catalog(tuple(rows_of("A1", 1))), {}, newest=True)
    key = keys.training_set_manifest(DATASET, "v1")
    store.put_bytes(canonical_json({"kind": "training-set", "shards": [{"side": "train"}]}), key)
    with pytest.raises(
        DamagedObject, match=r"training-sets/lung_pet_ct_dx/v1.*fields of its kind; delete it"
    ):
        find_traces(store, DATASET, "A1", tmp_path)
