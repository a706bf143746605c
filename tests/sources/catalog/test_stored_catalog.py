"""The catalog in the store: from each source, at every version, and what changes between two of them."""

from pathlib import Path

import pytest
import yaml

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput, NotInStore, SourceRefused
from chestgan_core.sources.catalog.series_selection import SeriesStatus
from chestgan_core.sources.catalog.stored_catalog import (
    catalog_series,
    newest_catalog_version,
    read_catalog,
    read_patients,
)
from chestgan_core.sources.folder.folder_series import FolderFiles
from chestgan_core.sources.series_rows import SELECTED
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from tests.standins.collection import StandInCollection
from tests.standins.nbia import nbia_stand_in


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "datasets"
    folder.mkdir()
    monkeypatch.setenv("CHESTGAN_DATASETS", str(folder))
    return folder


@pytest.fixture
def collection(tmp_path: Path, phantom_folder: Path) -> StandInCollection:
    """The generated patients; the first also has a localizer."""
    return StandInCollection.of_files(tmp_path / "collection", phantom_folder.glob("PH-*/*"))


@pytest.fixture
def idc(datasets: Path, collection: StandInCollection) -> StandInCollection:
    """The collection as the dataset `lungs` of kind idc. A catalog only needs the index, no bucket."""
    collection.write_idc_dataset(datasets, "lungs", endpoint="http://127.0.0.1:9")
    return collection


def test_a_catalog_is_read_as_it_was_written(store: Store, tmp_path: Path, idc: StandInCollection) -> None:
    catalog, stored = catalog_series(store, "lungs", tmp_path)
    assert newest_catalog_version(store, "lungs") == stored.version
    assert read_catalog(store, "lungs") == read_catalog(store, "lungs", stored.version) == catalog
    assert len(catalog.rows) == len(idc.series)
    assert [row.key for row in catalog.selected] == [series.uid for series in idc.chest_series()]
    assert catalog.summary().left_out_series == {SeriesStatus.TOO_FEW_IMAGES: 1}
    manifest = store.read_manifest(keys.catalog_manifest("lungs", stored.version)).manifest
    assert manifest["summary"]["selected"]["images"] == sum(len(s.files) for s in idc.chest_series())
    assert manifest["rules"]["min_images"] == 2


def test_the_patients_are_those_with_a_selected_series(
    store: Store, tmp_path: Path, idc: StandInCollection
) -> None:
    catalog, stored = catalog_series(store, "lungs", tmp_path)
    patients = read_patients(store, "lungs", stored.version)
    assert tuple(patients) == catalog.patients == tuple(sorted({series.patient for series in idc.series}))
    for patient, (fingerprint, histology) in patients.items():
        assert fingerprint == catalog.fingerprint(patient)
        assert patient.startswith(f"PH-{histology}")
        (row,) = read_catalog(store, "lungs", patients={patient}).selected
        assert (row,) == catalog.of(patient)


def test_a_revised_series_changes_the_fingerprint_of_its_patient_alone(
    store: Store, tmp_path: Path, datasets: Path, idc: StandInCollection
) -> None:
    _, first = catalog_series(store, "lungs", tmp_path)
    assert catalog_series(store, "lungs", tmp_path)[1] == first
    revised = idc.revise(idc.chest_series()[2])
    idc.write_idc_dataset(datasets, "lungs", endpoint="http://127.0.0.1:9")
    _, second = catalog_series(store, "lungs", tmp_path)
    before, after = (read_patients(store, "lungs", stored.version) for stored in (first, second))
    assert [patient for patient in before if before[patient] != after[patient]] == [revised.patient]


def test_a_newly_selected_series_changes_the_fingerprint_of_its_patient_alone(
    store: Store, tmp_path: Path, datasets: Path, idc: StandInCollection
) -> None:
    catalog, _ = catalog_series(store, "lungs", tmp_path)
    patient = next(row.patient for row in catalog.rows if row.status != SELECTED)  # has the localizer
    path = datasets / "lungs.yaml"
    fields = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**fields, "selection": {"min_images": 1}}))
    with_localizer, _ = catalog_series(store, "lungs", tmp_path)
    assert with_localizer.fingerprint(patient) != catalog.fingerprint(patient)
    others = set(catalog.patients) - {patient}
    assert {with_localizer.fingerprint(p) for p in others} == {catalog.fingerprint(p) for p in others}


def test_nbia_lists_the_same_series_over_its_api(
    store: Store, tmp_path: Path, datasets: Path, idc: StandInCollection
) -> None:
    in_index, _ = catalog_series(store, "lungs", tmp_path)
    with nbia_stand_in(idc) as server:
        idc.write_nbia_dataset(datasets, "lungs-nbia", server.url)
        listed, _ = catalog_series(store, "lungs-nbia", tmp_path)
    for ours, theirs in zip(listed.rows, in_index.rows, strict=True):
        assert (ours.patient, ours.key, ours.status) == (theirs.patient, theirs.key, theirs.status)
        assert (ours.images, ours.bytes, ours.histology) == (theirs.images, theirs.bytes, theirs.histology)
        assert (ours.description, ours.study_description) == (theirs.description, theirs.study_description)
        assert ours.location == ours.key


def test_a_collection_that_nbia_does_not_know_is_refused(
    store: Store, tmp_path: Path, datasets: Path, collection: StandInCollection
) -> None:
    with nbia_stand_in(collection) as server:
        path = collection.write_nbia_dataset(datasets, "lungs-nbia", server.url)
        path.write_text(path.read_text().replace("Stand-In", "Stand-Out"))
        with pytest.raises(SourceRefused, match="Stand-Out"):
            catalog_series(store, "lungs-nbia", tmp_path)
    assert list(store.list()) == []


def test_rules_that_select_nothing_are_an_error_with_the_reasons(
    store: Store, tmp_path: Path, datasets: Path, idc: StandInCollection
) -> None:
    path = datasets / "lungs.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "selection": {"min_images": 500}}))
    with pytest.raises(BadInput, match=r"6 series of lungs: none is selected; left out: too-few-images 6"):
        catalog_series(store, "lungs", tmp_path)


def test_descriptions_of_a_private_folder_are_matched_but_not_kept(
    store: Store, tmp_path: Path, datasets: Path, phantom_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_FOLDER", str(phantom_folder))
    fields = {
        "title": "own",
        "image_kind": "phantom",
        "licence": "own",
        "source": {"kind": "folder", "path_variable": "OWN_FOLDER"},
        "private": True,
        "slice_size": 64,
        "selection": {"exclude_description": ["^phantom chest B"]},
    }
    (datasets / "own.yaml").write_text(yaml.safe_dump(fields))
    with pytest.raises(BadInput, match="left out: excluded-description 5"):
        catalog_series(store, "own", tmp_path)
    fields["selection"] = {"include_description": ["^phantom chest"]}
    (datasets / "own.yaml").write_text(yaml.safe_dump(fields))
    catalog, _ = catalog_series(store, "own", tmp_path)
    assert len(catalog.selected) == 5
    assert {(row.description, row.study_description) for row in catalog.rows} == {("", "")}
    files = FolderFiles(phantom_folder, Pseudonyms.private(tmp_path))
    assert all(
        row.bytes == sum(Path(files.location_of(file).path).stat().st_size for file in row.files)
        for row in catalog.rows
    )


def test_before_the_first_catalog_the_error_names_the_asset(
    store: Store, tmp_path: Path, datasets: Path, collection: StandInCollection
) -> None:
    collection.write_idc_dataset(datasets, "lungs", endpoint="http://127.0.0.1:9")
    for read in (newest_catalog_version, read_catalog):
        with pytest.raises(
            NotInStore, match="catalog of lungs: is not in the store; materialize series_catalog first"
        ):
            read(store, "lungs")


def test_a_dataset_of_images_has_no_catalog(store: Store, tmp_path: Path) -> None:
    for call in (newest_catalog_version, read_catalog):
        with pytest.raises(BadInput, match="consists of images, not of DICOM series; materialize raw_images"):
            call(store, "chest_ct_scan_images")
    with pytest.raises(BadInput, match="materialize raw_images"):
        catalog_series(store, "chest_ct_scan_images", tmp_path)
