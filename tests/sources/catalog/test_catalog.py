"""Catalogs and raw archives of deliveries with unusual file names."""

import os
import zipfile
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.dataset import dataset_named
from chestgan_core.dicom.file_walk import FileLocation
from chestgan_core.dicom.pseudonyms import Pseudonyms, pseudonyms_of
from chestgan_core.errors import BadInput
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.archive.raw_archive import archive_patient, fetch_archive
from chestgan_core.sources.catalog.stored_catalog import catalog_series, read_catalog
from chestgan_core.sources.folder.folder_series import FolderFiles
from chestgan_core.store.store import Store
from tests.dicom.ct_files import as_bytes, ct_slice

NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: not {b"/"[0], 0} & set(name) and name not in (b".", b"..")
)


@given(st.lists(NAMES, min_size=1, max_size=3), st.lists(st.integers(0, 70000), max_size=3))
def test_every_possible_file_name_survives_the_catalog(names, entries):
    folder = Path("/some/folder")
    location = FileLocation(str(folder.joinpath(*map(os.fsdecode, names))), tuple(entries))
    files = FolderFiles(folder, Pseudonyms())
    text = files.text_of(location)
    text.encode()  # Parquet accepts it
    assert files.location_of(text) == location


def test_a_private_path_appears_as_its_hash_and_is_found_again(delivery: Path) -> None:
    files = FolderFiles(delivery, Pseudonyms(b"a key that nobody knows"))
    for path in delivery.iterdir():
        location = FileLocation(str(path), (3,))
        text = files.text_of(location)
        assert path.name not in text
        assert FolderFiles(delivery, Pseudonyms(b"a key that nobody knows")).location_of(text) == location
    with pytest.raises(FileNotFoundError):
        files.location_of("F0123//1")


def _slice_at(z: float) -> bytes:
    return as_bytes(ct_slice(z=z, PatientIdentityRemoved="YES"))


@pytest.fixture
def delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One patient: slices under names with #, with a byte that is not UTF-8, and in a zip with #."""
    folder = tmp_path / "delivery"
    folder.mkdir()
    (folder / "scan#1").write_bytes(_slice_at(0))
    latin = os.fsencode(folder) + b"/sp\xe4t.dcm"
    Path(os.fsdecode(latin)).write_bytes(_slice_at(3))
    (folder / "später#2#3").write_bytes(_slice_at(6))
    with zipfile.ZipFile(folder / "part#4.zip", "w") as archive:
        archive.writestr("LICENSE", b"text")
        archive.writestr("9", _slice_at(9))
    monkeypatch.setenv("CHESTGAN_FOLDER", str(folder))
    return folder


def test_files_with_unusual_names_reach_the_archive_and_the_slices(
    store: Store, tmp_path: Path, delivery: Path
) -> None:
    home = tmp_path / "home"
    catalog, _ = catalog_series(store, "folder", home)
    assert read_catalog(store, "folder") == catalog
    (patient,) = catalog.patients
    archived = archive_patient(store, "folder", patient, home)
    assert (archived.files, archived.expected) == (4, 4)
    (path,) = fetch_archive(store, "folder", patient, tmp_path / "raw").zips
    with zipfile.ZipFile(path) as archive:
        heights = []
        for name in archive.namelist():
            with archive.open(name) as file:
                heights.append(float(pydicom.dcmread(file).ImagePositionPatient[2]))
    assert heights == [0, 3, 6, 9]
    done = normalize([path], NormalizationRecipe(size=16), pseudonyms_of(dataset_named("folder"), home))
    assert done.report.kept == 4


def test_a_file_that_is_gone_is_named_with_a_remedy(store: Store, tmp_path: Path, delivery: Path) -> None:
    catalog, _ = catalog_series(store, "folder", tmp_path / "home")
    (delivery / "scan#1").unlink()
    with pytest.raises(BadInput, match=r"file 1 of 4 .*materialize series_catalog again"):
        archive_patient(store, "folder", catalog.patients[0], tmp_path / "home")
