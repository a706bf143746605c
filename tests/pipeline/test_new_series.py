"""Deliveries change: what counts afterwards, and that no revision can get stuck."""

from pathlib import Path

import pydicom
import pytest

from chestgan_core.errors import BadInput
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.store import Store
from tests.pipeline.conftest import files_of


def make_slices(store: Store, home: Path, patient: str) -> str:
    archive_patient(store, "folder", patient, home)
    return normalize_patient(store, "folder", patient, home).uri


def test_a_delivery_that_loses_a_slice_without_lung_gets_a_version_of_its_own(
    store: Store, delivery: Path, home: Path
) -> None:
    catalog, _ = catalog_series(store, "folder", home)
    patient = catalog.patients[0]
    before = make_slices(store, home, patient)
    files_of(store, delivery, home, patient)[-1].unlink()  # the highest slice: neck
    catalog_series(store, "folder", home)
    assert make_slices(store, home, patient) != before


def test_slices_of_an_older_archive_are_not_trained_on(store: Store, delivery: Path, home: Path) -> None:
    catalog, _ = catalog_series(store, "folder", home)
    for patient in catalog.patients:
        make_slices(store, home, patient)
    first = build_training_set(store, "folder")
    assert first.missing == ()
    assert build_training_set(store, "folder").version == first.version

    # Everything that shows lung goes: the new archive has no usable slice, and the old slices must not stand in.
    for file in files_of(store, delivery, home, catalog.patients[0])[:-2]:
        file.unlink()
    catalog_series(store, "folder", home)
    archive_patient(store, "folder", catalog.patients[0], home)
    with pytest.raises(BadInput, match="no lung region was found"):
        normalize_patient(store, "folder", catalog.patients[0], home)
    second = build_training_set(store, "folder")
    assert second.missing == (catalog.patients[0],)
    assert second.version != first.version


def test_a_private_folder_whose_names_are_people_leaves_no_name_in_the_catalog_rows(
    store: Store, delivery: Path, home: Path
) -> None:
    for number, folder in enumerate(sorted(delivery.iterdir())):
        folder.rename(folder.with_name(f"Mustermann_Erika_{number}"))
    for path in delivery.rglob("*"):
        if path.is_file() and path.name != "SCOUT.dcm":
            header = pydicom.dcmread(path)
            header.PatientName, header.PatientID = "Mustermann^Erika", f"ID {header.PatientID}"
            header.save_as(path)
    catalog, _ = catalog_series(store, "folder", home)
    rows = repr(catalog.rows)
    assert "Mustermann" not in rows
    assert "ID" not in rows
    assert not any(path.name in rows for path in delivery.rglob("*"))
