"""What a set of a private dataset tells a stranger who opens every file of it: nothing that leads to a person, a
hospital, a machine or a folder.

The DICOM files are generated, and treated as those of people: every text of their headers that a scanner or a clerk
could have written is a word that occurs nowhere else.
"""

import getpass
import io
import json
import logging
import platform
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest

from chestgan_core.dicom.pseudonyms import KEY_FILE
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.publishing.forms.convert import convert_set
from chestgan_core.publishing.forms.registry import FORMS
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.run import train_experiment
from tests.pipeline.conftest import deliver
from tests.pipeline.stages import Stages, edited

# What a header says of a person, a place, a day or a machine. The values are words that are in nothing else.
TEXTS = (
    "PatientName", "PatientID", "PatientComments", "OtherPatientNames", "InstitutionName", "InstitutionAddress",
    "StationName", "ReferringPhysicianName", "OperatorsName", "AccessionNumber", "StudyID", "StudyDescription",
    "SeriesDescription", "ProtocolName", "DeviceSerialNumber", "ImageComments", "Manufacturer", "ManufacturerModelName",
    "SoftwareVersions", "ConvolutionKernel",
)  # fmt: skip
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")


def marked(delivery: Path) -> set[str]:
    """Write a word of its own into every text of the headers; returns all words, UIDs and dates of the files."""
    said: set[str] = set()
    for patient, folder in enumerate(sorted(delivery.iterdir())):
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            d = pydicom.dcmread(path)
            for at, keyword in enumerate(TEXTS):
                setattr(d, keyword, f"Zq{patient}w{at:02d}x")
            for keyword in DATES:
                setattr(d, keyword, f"1987031{patient}")
            d.save_as(path)
            said |= {f"Zq{patient}w{at:02d}x" for at in range(len(TEXTS))} | {f"1987031{patient}"}
            said |= {str(d.SOPInstanceUID), str(d.SeriesInstanceUID), str(d.StudyInstanceUID)}
        said.add(folder.name)
    return said


def opened(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file, and what is packed in it."""
    yield name, data
    if data.startswith(b"PAR1"):
        table = pq.read_table(io.BytesIO(data))
        yield f"{name}: rows", json.dumps(table.to_pylist(), default=str).encode()
        yield f"{name}: metadata", repr(table.schema.metadata).encode()
    elif zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                inner = archive.read(member)
                yield f"{name}: {member}", inner
                array = np.load(io.BytesIO(inner)) if member.endswith(".npy") else np.empty(0)
                if array.dtype.kind == "U":
                    yield f"{name}: {member} as text", "\n".join(array.ravel().tolist()).encode()


@pytest.mark.slow
def test_nothing_of_a_published_set_leads_to_a_person_a_hospital_a_machine_or_a_folder(
    embedded: EmbeddedStore,
    store: Store,
    phantom_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="chestgan_core")
    stages = Stages(embedded, tmp_path)
    words = marked(deliver(phantom_folder, tmp_path / "delivery"))
    monkeypatch.setenv("CHESTGAN_FOLDER", str(tmp_path / "delivery"))
    patients = stages.slices(store)
    rows = [row for patient in patients for row in read_catalog(store, "folder").of(patient)]
    experiment = edited(publication={"images": 6, "weights": True})
    build_training_set(store, "folder")
    train_experiment(store, experiment, "cpu", tmp_path / "train")
    report_experiment(store, experiment, "cpu", tmp_path / "report")
    release = release_experiment(store, experiment, "cpu", tmp_path / "release")
    fetched = fetch_set(store, "tiny", release.version, tmp_path / "set").path
    files = {item.key: store.get_bytes(item.key) for item in store.list("synthetic/")}
    for form in (name for name, one in FORMS.items() if one.items):  # the others need boxes
        convert_set(fetched, form, tmp_path / form)
        for path in (tmp_path / form).rglob("*"):
            if path.is_file():
                files[f"{form}/{path.name}"] = path.read_bytes()
    withdraw_set(store, "tiny", release.version, "a test")
    files |= {f"{item.key} later": store.get_bytes(item.key) for item in store.list("synthetic/")}
    files["summary"] = release.summary.encode()

    words |= set(patients) | {row.key for row in rows} | {(stages.home / KEY_FILE).read_text().strip()}
    words |= {str(tmp_path), str(Path.home()), embedded.access.key, embedded.access.secret}
    words |= {
        name for name in (platform.node(), getpass.getuser()) if len(name) > 6
    }  # a short one may be any text
    found = {
        (name, word)
        for key, data in files.items()
        for name, text in opened(key, data)
        for word in words
        if word.encode() in text
    }
    assert len(files) > 30
    assert not found
    assert not {word for word in words - set(patients) if word in caplog.text}
