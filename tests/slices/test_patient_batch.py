"""Many patients one after the other: what overlaps, what is asked for once, and how it ends."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.local.cancellation import Cancelled, cancelled_by, pause
from chestgan_core.slices import patient_batch
from chestgan_core.slices.patient_batch import PatientBatch
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series, read_catalog
from chestgan_core.sources.phantom.patients import write_phantom, write_phantoms
from chestgan_core.store.store import Store
from tests.standins import Fault, Faults, StandInCollection
from tests.standins.routes import Route


@pytest.fixture
def patients(store: Store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Four small phantoms in a private folder, with a catalog."""
    write_phantoms(tmp_path / "folder", patients=4, size=48, slices=10)
    monkeypatch.setenv("CHESTGAN_FOLDER", str(tmp_path / "folder"))
    catalog, _ = catalog_series(store, "folder", home)
    return [f"folder:{name}" for name in catalog.patients]


def test_a_batch_makes_what_the_patients_alone_would_make(
    store: Store, home: Path, patients: list[str]
) -> None:
    with PatientBatch(store, patients, home) as batch:
        made = {}
        for patient in patients:
            made[patient] = (batch.archive(patient).archive.version, batch.slices(patient).slices.sha256)
            batch.release(patient)
    for patient, (version, sha256) in made.items():
        name = patient.partition(":")[2]
        again = archive_patient(store, "folder", name, home)
        assert (again.reused, again.version) == (True, version)
        assert normalize_patient(store, "folder", name, home).sha256 == sha256
    assert not list((home / "scratch").iterdir())


def test_the_next_patient_is_archived_while_this_one_is_normalized(
    store: Store, home: Path, patients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()

    def archived(store: Store, dataset: str, patient: str, *args: object, **options: object) -> object:
        done = archive_patient(store, dataset, patient, *args, **options)  # type: ignore[arg-type]
        if f"{dataset}:{patient}" == patients[1]:
            second.set()
        return done

    def normalized(*args: object, **options: object) -> object:
        assert second.wait(60)  # the first is in hand, and nobody has asked for the second
        return normalize_patient(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(patient_batch, "archive_patient", archived)
    monkeypatch.setattr(patient_batch, "normalize_patient", normalized)
    with PatientBatch(store, patients[:2], home) as batch:
        assert batch.archive(patients[0]).archive.files == 10
        assert batch.slices(patients[0]).slices.report.kept


def test_what_was_just_uploaded_is_not_fetched_back(store: Store, home: Path, patients: list[str]) -> None:
    with PatientBatch(store, patients[:1], home) as batch:
        uploaded = batch.archive(patients[0])
        read = batch.slices(patients[0]).traffic.bytes_read
    assert uploaded.traffic.bytes_written > uploaded.archive.bytes
    assert read < uploaded.archive.bytes / 2  # pointers and manifests


def test_a_catalog_is_read_once(
    store: Store, home: Path, patients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def counted(*args: object, **options: object) -> object:
        reads.append(options["patients"])
        return read_catalog(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(patient_batch, "read_catalog", counted)
    with PatientBatch(store, [*patients, patients[0]], home, normalizing=False) as batch:
        assert batch.patients == tuple(patients)  # one that comes twice counts once
        for patient in batch.patients:
            batch.archive(patient)
    assert reads == [{patient.partition(":")[2] for patient in patients}]


def test_an_error_belongs_to_its_patient(store: Store, home: Path, patients: list[str]) -> None:
    absent = "folder:nobody"
    with PatientBatch(store, [absent, patients[0]], home) as batch:
        with pytest.raises(BadInput, match="has no selected series"):
            batch.archive(absent)
        with pytest.raises(BadInput, match="has no selected series"):
            batch.slices(absent)
        batch.release(absent)
        assert batch.archive(patients[0]).archive.files == 10
    with (
        PatientBatch(store, patients[1:2], home, archiving=False) as batch,
        pytest.raises(NotInStore, match="materialize raw_dicom for this patient first"),
    ):
        batch.slices(patients[1])


@pytest.fixture
def collection(one_patient: Path, tmp_path: Path) -> StandInCollection:
    """Two patients on a server."""
    other = write_phantom(tmp_path / "other", 2, size=32, slices=12).folder
    return StandInCollection.of_files(tmp_path / "collection", [*one_patient.iterdir(), *other.iterdir()])


def test_downloads_that_nobody_waits_for_any_more_end_at_once(
    idc: Route, collection: StandInCollection, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of the second patient is down; without a word from the batch it would be asked for ten minutes."""
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "600")
    first, second = collection.chest_series()
    with idc.serve(collection, Faults(always={second.uid: Fault.FAILED})) as server:
        idc.write(collection, server)
        catalog_series(store, idc.dataset, home)
        names = [f"{idc.dataset}:{one.patient}" for one in (first, second)]
        with PatientBatch(store, names, home, normalizing=False) as batch:
            assert batch.archive(names[0]).archive.files == 12
            ended = time.monotonic()
        assert time.monotonic() - ended < 120  # seconds


def test_a_hook_is_entered_while_series_are_downloaded_and_only_then(
    idc: Route, collection: StandInCollection, store: Store, home: Path
) -> None:
    series = collection.chest_series()[0]
    entered: list[str] = []

    @contextmanager
    def downloading(patient: str) -> Iterator[None]:
        entered.append(patient)
        yield
        entered.append("left")

    patient = f"{idc.dataset}:{series.patient}"
    with idc.serve(collection) as server:
        idc.write(collection, server)
        catalog_series(store, idc.dataset, home)
        for _ in range(2):  # the second time everything is in the store
            with PatientBatch(store, [patient], home, normalizing=False, downloading=downloading) as batch:
                batch.archive(patient)
    assert entered == [patient, "left"]


def test_a_pause_ends_when_its_work_is_called_off() -> None:
    flag = threading.Event()
    threading.Timer(0.1, flag.set).start()
    with cancelled_by(flag), pytest.raises(Cancelled):
        pause(60)
    pause(0)  # outside of the block nothing is called off
