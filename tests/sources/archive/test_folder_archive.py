"""The raw archive of a folder: unchanged files are not read again, and no name of a person gets into the store."""

import shutil
from pathlib import Path
from typing import Any

import pydicom
import pytest
import yaml

from chestgan_core.errors import IdentityFound
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.sources.phantom.patients import write_phantom
from chestgan_core.store.store import Store
from tests.standins import StandInCollection


def private_folder(datasets: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    monkeypatch.setenv("CHESTGAN_TEST_FOLDER", str(folder))
    fields = {
        "title": "a folder",
        "image_kind": "phantom",
        "licence": "as its owner grants it",
        "private": True,
        "slice_size": 64,
        "source": {"kind": "folder", "path_variable": "CHESTGAN_TEST_FOLDER"},
        **changes,
    }
    (datasets / "private.yaml").write_text(yaml.safe_dump(fields))
    return "private"


def test_files_that_name_a_person_stop_a_private_folder_and_none_is_stored(
    collection: StandInCollection,
    store: Store,
    home: Path,
    datasets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (series,) = collection.chest_series()
    innocent = collection.add_series(series)
    folder = tmp_path / "delivery"
    folder.mkdir()
    for number, path in enumerate((*series.files, *innocent.files)):
        shutil.copy(path, folder / f"{number:03d}")
    header = pydicom.dcmread(folder / "003")
    header.PatientName, header.PatientBirthDate = "Mustermann^Erika", "19640812"
    header.save_as(folder / "003")
    dataset = private_folder(datasets, folder, monkeypatch)
    (patient,) = catalog_series(store, dataset, home)[0].patients
    with pytest.raises(IdentityFound) as found:
        archive_patient(store, dataset, patient, home)
    message = str(found.value)
    assert "of 24 files" in message
    assert "patient-name in 1" in message
    assert "birth-date in 1" in message
    assert "chestgan deidentify IN OUT" in message
    assert not [word for word in ("Mustermann", "1964", "PH-A") if word in message]
    assert list(store.list(f"raw/{dataset}/")) == []
    private_folder(datasets, folder, monkeypatch, accepted_findings=["patient-name", "birth-date"])
    assert archive_patient(store, dataset, patient, home).files == 24
    # Without the acceptance it is refused again, although the files are in the store by now.
    private_folder(datasets, folder, monkeypatch)
    with pytest.raises(IdentityFound):
        archive_patient(store, dataset, patient, home)


def test_an_unchanged_folder_is_not_read_again(
    store: Store, home: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_phantom(tmp_path / "delivery", 2, size=32, slices=8)
    dataset = private_folder(datasets, tmp_path / "delivery", monkeypatch)
    (patient,) = catalog_series(store, dataset, home)[0].patients
    done = archive_patient(store, dataset, patient, home)
    assert (done.fetched_series, done.reused) == (1, False)
    shutil.rmtree(written.folder)
    assert archive_patient(store, dataset, patient, home).reused
    keys = " ".join(item.key for item in store.list("raw/"))
    assert "PH-B0002" not in keys
    assert written.series_uid not in keys


def test_pixels_that_were_changed_in_place_are_archived_anew(
    collection: StandInCollection,
    store: Store,
    home: Path,
    datasets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "delivery"
    folder.mkdir()
    for number, path in enumerate(collection.chest_series()[0].files):
        shutil.copy(path, folder / f"{number:03d}")
    dataset = private_folder(datasets, folder, monkeypatch)
    (patient,) = catalog_series(store, dataset, home)[0].patients
    first = archive_patient(store, dataset, patient, home)
    data = bytearray((folder / "003").read_bytes())
    data[-64:] = bytes(64)
    (folder / "003").write_bytes(data)
    catalog_series(store, dataset, home)
    second = archive_patient(store, dataset, patient, home)
    assert not second.reused
    assert second.version != first.version
    assert second.files == first.files
