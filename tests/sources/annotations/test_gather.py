"""Gathering: boxes of all origins in one place, reports fetched once, and every loss counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
import yaml

from chestgan_core.config.dataset import dataset_named
from chestgan_core.dicom.pseudonyms import pseudonyms_of
from chestgan_core.errors import BadInput, NotInStore, SourceUnreachable
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.annotations.boxes import Annotations, Defect, TumourBox
from chestgan_core.sources.annotations.gather import gather_annotations
from chestgan_core.sources.annotations.stored import StoredAnnotations, read_annotations
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.sources.annotations.annotation_files import (
    group,
    image,
    region,
    report,
    voc_object,
    voc_xml,
    write_voc,
)
from tests.standins import Fault, Faults, StandInCollection, StandInServer, idc_stand_in
from tests.standins.collection import ANALYSIS

SQUARE = (20.0, 30.0, 40.0, 30.0, 40.0, 60.0, 20.0, 60.0, 20.0, 30.0)
SOP = "1.2.3.{}"


@dataclass
class Commons:
    """A stand-in of the Imaging Data Commons with one phantom, and reports on slices that need not exist."""

    folder: Path
    store: Store
    collection: StandInCollection
    server: StandInServer
    embedded: EmbeddedStore

    def gather(self) -> StoredAnnotations:
        """Make the catalog of the collection as it is now, and gather the boxes."""
        from tests.standins.idc import publish

        publish(self.collection, self.embedded)
        annotations = [
            {"kind": "sr", "analysis": ANALYSIS},
            {"kind": "voc", "path_variable": "CHESTGAN_TEST_VOC"},
        ]
        self.collection.write_idc_dataset(
            self.folder / "datasets", "commons", self.server.url, annotations=annotations
        )
        catalog_series(self.store, "commons", self.folder)
        self.server.log.clear()
        return gather_annotations(self.store, "commons", self.folder)

    def add_report(self, number: int, finding: str = "1187332001") -> str:
        """A report of its own series with a box on slice `number`; the UID of the series."""
        path = self.folder / f"report-{number}.dcm"
        made = report(group(region(image(SOP.format(number)), data=SQUARE), finding=finding), number=number)
        made.save_as(path, enforce_file_format=True)
        (series,) = self.collection._add([path])
        return series.uid

    def fetched(self) -> int:
        """Objects that were read since the last catalog was made."""
        return sum(request.status == 200 and request.path.endswith(".dcm") for request in self.server.log)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    collection = StandInCollection(tmp_path_factory.mktemp("phantoms"), patients=1, slices=8, size=32)
    return [path for series in collection.chest_series() for path in series.files]


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def commons(
    tmp_path: Path, store: Store, embedded: EmbeddedStore, phantoms: list[Path], faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Commons]:  # fmt: skip
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.delenv("CHESTGAN_TEST_VOC", raising=False)
    collection = StandInCollection.of_files(tmp_path / "collection", phantoms)
    with idc_stand_in(collection, embedded, faults) as server:
        place = Commons(tmp_path, store, collection, server, embedded)
        for number in (1, 2, 3):
            place.add_report(number)
        yield place


def box(number: int, origin: str = "sr", label: str = "A") -> TumourBox:
    size = (128, 128) if origin == "voc" else (0, 0)
    return TumourBox("PH-A0001", SOP.format(number), 20, 30, 40, 60, label, origin, *size)  # type: ignore[arg-type]


def test_reports_are_fetched_once_and_only_new_ones_later(commons: Commons) -> None:
    first = commons.gather()
    assert first.annotations == Annotations((box(1), box(2), box(3)), {})
    assert read_annotations(commons.store, "commons") == first.annotations
    assert commons.fetched() == 3
    again = commons.gather()
    assert (again.version, again.sha256) == (first.version, first.sha256)
    assert commons.fetched() == 0
    commons.add_report(4)
    assert commons.gather().annotations.boxes == (box(1), box(2), box(3), box(4))
    assert commons.fetched() == 1


def test_a_revised_report_replaces_the_old_one(commons: Commons) -> None:
    commons.gather()
    (series,) = [series for series in commons.collection.series if series.uid == "2.25.9.2"]
    commons.collection.revise(series)
    assert commons.gather().annotations.boxes == (box(1), box(2), box(3))
    assert commons.fetched() == 1


def test_an_interrupted_gathering_resumes_with_the_reports_in_the_store(
    commons: Commons, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    commons.gather()
    lost = commons.add_report(9)
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "0")
    faults._always[lost] = Fault.FAILED
    with pytest.raises(SourceUnreachable, match=lost):
        commons.gather()
    known = read_annotations(commons.store, "commons")
    assert known is not None
    assert len(known.boxes) == 3  # the last complete ones
    del faults._always[lost]
    assert box(9) in commons.gather().annotations.boxes
    assert commons.fetched() == 1


def test_a_report_that_its_source_refuses_is_counted_and_the_others_are_read(
    commons: Commons, faults: Faults
) -> None:
    faults._always["2.25.9.2"] = Fault.GONE
    assert commons.gather().annotations == Annotations((box(1), box(3)), {Defect.REPORT_REFUSED: 1})


def test_the_same_box_of_both_origins_counts_once_and_others_stay(
    commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    same, other = voc_object(20, 30, 40, 60), voc_object(1, 2, 3, 4, label="a")
    folder = write_voc(
        commons.folder / "voc", "A0001", {SOP.format(1): voc_xml(same, other), SOP.format(7): voc_xml(same)}
    )
    monkeypatch.setenv("CHESTGAN_TEST_VOC", str(folder))
    found = commons.gather().annotations
    assert set(found.boxes) == {
        box(1), box(2), box(3), box(7, "voc"), TumourBox("PH-A0001", SOP.format(1), 1, 2, 3, 4, "A", "voc", 128, 128),
    }  # fmt: skip
    assert found.defects == {Defect.LOWER_CASE: 1, Defect.REPEATED: 1}


def test_local_boxes_are_kept_when_the_source_of_reports_does_not_answer(
    commons: Commons, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_voc(commons.folder / "voc", "A0001", {SOP.format(7): voc_xml(voc_object(20, 30, 40, 60))})
    monkeypatch.setenv("CHESTGAN_TEST_VOC", str(folder))
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "0")
    for number in (1, 2, 3):
        faults._always[f"2.25.9.{number}"] = Fault.FAILED
    found = commons.gather().annotations
    assert found.boxes == (box(7, "voc"),)
    assert found.defects == {Defect.REPORT_UNREACHABLE: 3}


def test_a_label_that_contradicts_the_patient_is_counted_and_changes_nothing(commons: Commons) -> None:
    commons.add_report(5, finding="74364000")  # small cell carcinoma, of a patient whose letter is A
    found = commons.gather().annotations
    assert box(5, label="B") in found.boxes
    assert found.defects == {Defect.LABEL_CONFLICT: 1}


def write_folder_dataset(path: Path, **changes: object) -> None:
    path.parent.mkdir(exist_ok=True)
    fields = {
        "title": "phantoms", "image_kind": "phantom", "licence": "none", "private": True, "slice_size": 32,
        "source": {"kind": "folder", "path_variable": "CHESTGAN_TEST_DICOM"},
        "annotations": [{"kind": "voc", "path_variable": "CHESTGAN_TEST_VOC"}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(fields | changes))


@pytest.fixture
def private_folder(
    tmp_path: Path, store: Store, phantoms: list[Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A private dataset `ours` of the files of the phantom, with its catalog; its folder."""
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("CHESTGAN_TEST_DICOM", str(phantoms[0].parent))
    monkeypatch.delenv("CHESTGAN_TEST_VOC", raising=False)
    write_folder_dataset(tmp_path / "datasets" / "ours.yaml")
    catalog_series(store, "ours", tmp_path)
    return phantoms[0].parent


def test_boxes_of_a_private_folder_have_the_pseudonyms_of_its_slices(
    tmp_path: Path, store: Store, phantoms: list[Path], private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = normalize(
        [private_folder], NormalizationRecipe(size=32), pseudonyms_of(dataset_named("ours"), tmp_path)
    ).shard
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in phantoms]
    files = {str(header.SOPInstanceUID): voc_xml(voc_object()) for header in headers}
    monkeypatch.setenv("CHESTGAN_TEST_VOC", str(write_voc(tmp_path / "voc", "PH-A0001", files)))
    found = gather_annotations(store, "ours", tmp_path).annotations
    assert found.defects == {}
    assert {found.patient for found in found.boxes} == {shard.rows[0].patient}
    assert {row.sop_uid for row in shard.rows} <= {found.sop_uid for found in found.boxes}
    assert not any(uid in repr(found) for uid in files)


def test_without_annotations_the_error_names_what_is_missing(
    tmp_path: Path, store: Store, private_folder: Path
) -> None:
    assert read_annotations(store, "ours") is None
    write_folder_dataset(tmp_path / "datasets" / "ours.yaml", annotations=[])
    with pytest.raises(BadInput, match="names no annotations"):
        gather_annotations(store, "ours", tmp_path)
    with pytest.raises(NotInStore, match="materialize series_catalog first"):
        gather_annotations(store, "folder", tmp_path)


def test_annotation_files_that_a_variable_should_name_are_asked_for(
    commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    commons.gather()
    path = commons.folder / "datasets" / "commons.yaml"
    fields = yaml.safe_load(path.read_text())
    fields["annotations"] = [{"kind": "voc", "path_variable": "CHESTGAN_TEST_VOC"}]
    path.write_text(yaml.safe_dump(fields))
    with pytest.raises(BadInput, match="CHESTGAN_TEST_VOC is not set"):
        gather_annotations(commons.store, "commons", commons.folder)
