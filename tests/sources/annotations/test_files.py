"""A folder of a hospital: CT, and beside it whatever its tools wrote about the tumour. No line of code is needed."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import yaml
from numpy.typing import NDArray
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from chestgan_core.config.annotation_config import RtStructures
from chestgan_core.config.dataset import dataset_named
from chestgan_core.dicom.deidentify import deidentify
from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.pseudonyms import Pseudonyms, pseudonyms_of
from chestgan_core.dicom.series import read_series
from chestgan_core.errors import BadInput
from chestgan_core.sources.annotations.boxes import Annotations, Defect, Found, TumourBox
from chestgan_core.sources.annotations.files import AnnotationReader
from chestgan_core.sources.annotations.gather import gather_annotations
from chestgan_core.sources.annotations.masks import mask_of
from chestgan_core.sources.annotations.places import places_of
from chestgan_core.sources.annotations.stored import read_annotations
from chestgan_core.sources.catalog.stored_catalog import catalog_series, read_catalog
from chestgan_core.sources.phantom.patients import PhantomPatient, write_phantom
from chestgan_core.sources.phantom.tumours import TumourSlice, phantom_tumour
from chestgan_core.store.store import Store
from tests.sources.annotations.annotation_files import (
    contour,
    group,
    image,
    lidc_roi,
    lidc_xml,
    region,
    report,
    segmentation,
    structure_set,
    voc_object,
    voc_xml,
)

SIZE, SLICES = 160, 24
ALL = [{"kind": kind} for kind in ("rtstruct", "seg", "sr", "lidc", "voc")]


class Truth:
    """A phantom, its headers, and where its tumour is."""

    def __init__(self, patient: PhantomPatient) -> None:
        self.patient = patient
        self.headers = {
            str(header.SOPInstanceUID): header
            for header in (pydicom.dcmread(path, stop_before_pixels=True) for path in patient.files)
        }
        tumour = phantom_tumour(3, size=SIZE, slices=SLICES)
        self.slices = tumour.slices
        self.frame = str(next(iter(self.headers.values())).FrameOfReferenceUID)

    def said(self) -> dict[str, str]:
        return {
            "patient": self.patient.patient_id,
            "frame": self.frame,
            "series": self.patient.series_uid,
        }

    def whole(self, one: TumourSlice) -> NDArray[np.bool_]:
        """(size, size): the mask on its slice."""
        mask = np.zeros((SIZE, SIZE), np.bool_)
        mask[one.top :, one.left :][: one.mask.shape[0], : one.mask.shape[1]] = one.mask
        return mask

    def outlines(self, mask: NDArray[np.bool_], level: float = 0.5) -> list[NDArray[np.float64]]:
        """(N, 2) column and row of each outline of a mask."""
        from skimage.measure import find_contours

        return [
            outline[:, ::-1]
            for outline in find_contours(mask.astype(float), level)  # type: ignore[no-untyped-call]
        ]

    def contours(self) -> list[Any]:
        """Of a structure set."""
        drawn = []
        for one in self.slices:
            header = self.headers[one.sop_uid]
            origin, spacing = np.array(header.ImagePositionPatient), float(header.PixelSpacing[0])
            for outline in self.outlines(self.whole(one)):
                points = origin + np.pad(outline, ((0, 0), (0, 1))) * spacing
                drawn.append(contour(points, one.sop_uid))
        return drawn

    def rois(self) -> list[str]:
        """Of LIDC: through the pixels just outside."""
        from skimage.morphology import dilation, disk

        return [
            lidc_roi(
                [tuple(point) for point in np.rint(outline).astype(int)],
                self.headers[one.sop_uid].ImagePositionPatient[2],
                one.sop_uid,
            )
            for one in self.slices
            for outline in self.outlines(dilation(self.whole(one), disk(1)), 0.99)
        ]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return Truth(write_phantom(tmp_path_factory.mktemp("hospital"), 3, size=SIZE, slices=SLICES))


@pytest.fixture
def folder(tmp_path: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The CT of a patient, below a folder of its own."""
    (tmp_path / "scans").mkdir()
    for path in truth.patient.files:
        (tmp_path / "scans" / path.name).symlink_to(path)
    ours = tmp_path / "ours"
    ours.mkdir()
    with zipfile.ZipFile(ours / "scan.zip", "w") as archive:
        for path in truth.patient.files:
            archive.write(path, path.name)
    monkeypatch.setenv("CHESTGAN_TEST_DICOM", str(ours))
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))
    return ours


def gather(
    tmp_path: Path, store: Store, annotations: Sequence[object] = ALL, private: bool = False
) -> Annotations:
    (tmp_path / "datasets").mkdir(exist_ok=True)
    fields = {
        "title": "ours", "image_kind": "phantom", "licence": "none", "private": private, "slice_size": 32,
        "source": {"kind": "folder", "path_variable": "CHESTGAN_TEST_DICOM"}, "annotations": list(annotations),
    }  # fmt: skip
    (tmp_path / "datasets" / "ours.yaml").write_text(yaml.safe_dump(fields))
    catalog_series(store, "ours", tmp_path)
    found = gather_annotations(store, "ours", tmp_path).annotations
    assert read_annotations(store, "ours") == found
    return found


def write_structures(folder: Path, truth: Truth) -> None:
    made = structure_set(("GTV-1", "GTV", truth.contours()), ("Heart", "ORGAN", []), **truth.said())
    made.save_as(folder / "RS.1", enforce_file_format=True)


def write_lidc(folder: Path, truth: Truth) -> None:
    (folder / "069.xml").write_text(lidc_xml(*[truth.rois()] * 3, series=truth.patient.series_uid))


@pytest.mark.parametrize("write", [write_structures, write_lidc])
def test_what_was_drawn_around_a_tumour_gives_the_boxes_of_its_truth(
    tmp_path: Path, store: Store, folder: Path, truth: Truth, write: Any
) -> None:
    write(folder, truth)
    found = gather(tmp_path, store)
    assert set(found.annotated_series) == {truth.patient.series_uid}
    assert found.unsure_slices == ()
    of_slice = {one.sop_uid: one for one in truth.slices}
    assert {box.sop_uid for box in found.boxes} == set(of_slice)
    for uid, one in of_slice.items():
        largest = max((box for box in found.boxes if box.sop_uid == uid), key=area)
        height, width = one.mask.shape
        expected = one.left, one.top, one.left + width, one.top + height
        assert np.abs(np.subtract(largest.edges, expected)).max() <= 1
        mask = mask_of(largest)
        assert mask is not None
        assert abs(int(mask.sum()) - int(one.mask.sum())) <= 0.1 * one.mask.sum()


def area(box: TumourBox) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


def test_annotations_of_all_kinds_lie_in_one_private_folder_among_other_files(
    tmp_path: Path, store: Store, folder: Path, truth: Truth
) -> None:
    write_structures(folder, truth)
    write_lidc(folder, truth)
    first, second, *_ = truth.headers
    (folder / f"{first}.xml").write_text(voc_xml(voc_object(), width=SIZE, height=SIZE))
    report(group(region(image(second))), patient=truth.patient.patient_id).save_as(
        folder / "SR", enforce_file_format=True
    )
    (folder / "notes.txt").write_text("read on Monday")
    (folder / "settings.xml").write_text("<settings/>")
    found = gather(tmp_path, store, private=True)
    assert {box.origin for box in found.boxes} == {"rtstruct", "voc", "sr"}
    assert found.defects["repeated-box"] == len(
        truth.slices
    )  # the readers of LIDC drew the same as the structure set
    assert found.defects["no-sop-uid"] == 1  # settings.xml is counted, and is no annotation
    pseudonyms = pseudonyms_of(dataset_named("ours"), tmp_path)
    assert {box.patient for box in found.boxes} == {pseudonyms.patient(truth.patient.patient_id)}
    assert {box.sop_uid for box in found.boxes} <= {pseudonyms.sop(uid) for uid in truth.headers}
    assert found.annotated_series == (read_catalog(store, "ours").rows[0].key,)
    assert not any(
        uid in repr(found) for uid in (truth.patient.patient_id, truth.patient.series_uid, *truth.headers)
    )


def test_a_segmentation_in_a_folder_is_used_and_a_damaged_one_counted(
    tmp_path: Path, store: Store, folder: Path, truth: Truth
) -> None:
    from tests.sources.annotations.slices_in_space import stack

    one, header = truth.slices[0], truth.headers[truth.slices[0].sop_uid]
    spacing = float(header.PixelSpacing[0])
    made_on = stack(
        count=1, size=(SIZE, SIZE), spacing=(spacing, spacing), first=tuple(map(float, header.ImagePositionPatient))
    )  # fmt: skip
    made = segmentation([(made_on.slices[0], truth.whole(one))], named=False, **truth.said())
    made.save_as(folder / "SEG", enforce_file_format=True)
    (folder / "damaged").write_bytes((folder / "SEG").read_bytes()[:900])
    found = gather(tmp_path, store)
    assert {(box.sop_uid, box.origin) for box in found.boxes} == {(one.sop_uid, "seg")}
    assert found.defects == {"placed-by-position": 1, "unreadable": 1}


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("undefined", [False, True])
def test_nothing_of_a_structure_set_that_is_cut_off_is_used(
    tmp_path: Path, truth: Truth, implicit: bool, undefined: bool
) -> None:
    made = structure_set(("GTV-1", "GTV", truth.contours()), **truth.said())
    if undefined:
        for element in made.iterall():
            element.is_undefined_length = element.VR == "SQ"
    if implicit:
        made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.save_as(tmp_path / "RS", enforce_file_format=True)
    data = (tmp_path / "RS").read_bytes()
    with Archives() as archives:
        places = places_of(read_series([truth.patient.folder]).series, archives, Pseudonyms())
    reader = AnnotationReader(
        {"rtstruct": RtStructures(kind="rtstruct")}, lambda: places, lambda name: "", Pseudonyms()
    )

    def read(length: int) -> Found:
        (tmp_path / "RS").write_bytes(data[:length])
        return reader.read_below(tmp_path).found["rtstruct"]

    assert len(read(len(data)).boxes) == len(truth.slices)
    for length in (600, 1100, *range(1500, len(data), len(data) // 25), len(data) - 2):
        assert read(length) == Found(defects=Counter({Defect.UNREADABLE: 1})), length


def test_a_deflated_structure_set_is_read_and_a_damaged_one_counted(
    tmp_path: Path, store: Store, folder: Path, truth: Truth
) -> None:
    made = structure_set(("GTV-1", "GTV", truth.contours()), **truth.said())
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    made.save_as(folder / "RS", enforce_file_format=True)
    data = (folder / "RS").read_bytes()
    (folder / "damaged").write_bytes(data[:400] + b"\xff" * 100 + data[500:])
    found = gather(tmp_path, store)
    assert {box.sop_uid for box in found.boxes} == {one.sop_uid for one in truth.slices}
    assert found.defects["unreadable"] == 1


def test_a_folder_without_annotations_has_no_boxes_and_says_nothing_about_its_slices(
    tmp_path: Path, store: Store, folder: Path
) -> None:
    assert gather(tmp_path, store) == Annotations((), {})


def test_annotations_may_lie_in_a_folder_of_their_own(
    tmp_path: Path, store: Store, folder: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_structures(elsewhere, truth)
    entry = {"kind": "rtstruct", "path_variable": "CHESTGAN_TEST_STRUCTURES"}
    monkeypatch.delenv("CHESTGAN_TEST_STRUCTURES", raising=False)
    assert gather(tmp_path, store, [entry]) == Annotations((), {})  # looked for among the slices
    monkeypatch.setenv("CHESTGAN_TEST_STRUCTURES", str(elsewhere))
    assert {box.origin for box in gather(tmp_path, store, [entry]).boxes} == {"rtstruct"}


def test_what_was_drawn_before_the_slices_were_cleaned_is_placed_on_the_cleaned_ones(
    tmp_path: Path, store: Store, folder: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_structures(folder, truth)
    write_lidc(folder, truth)
    (folder / f"{truth.slices[0].sop_uid}.xml").write_text(voc_xml(voc_object(), width=SIZE, height=SIZE))
    cleaned = tmp_path / "cleaned"
    deidentify(folder, cleaned, (), Pseudonyms.private(tmp_path))
    monkeypatch.setenv("CHESTGAN_TEST_DICOM", str(cleaned))
    monkeypatch.setenv("CHESTGAN_TEST_BEFORE", str(folder))
    entries = [{**entry, "path_variable": "CHESTGAN_TEST_BEFORE"} for entry in ALL]
    found = gather(tmp_path, store, entries, private=True)
    row = read_catalog(store, "ours").rows[0]
    assert {box.patient for box in found.boxes} == {row.patient}
    assert found.annotated_series == (row.key,)
    assert {box.origin for box in found.boxes} == {"rtstruct", "voc"}
    assert found.defects == {"other-region": 1, "repeated-box": len(truth.slices)}


def test_two_entries_of_a_kind_in_one_folder_are_refused(tmp_path: Path, store: Store, folder: Path) -> None:
    twice = [{"kind": "rtstruct"}, {"kind": "rtstruct", "include": ["^herd$"]}]
    with pytest.raises(BadInput, match="kind rtstruct in one folder twice; join them"):
        gather(tmp_path, store, twice)


def test_contours_need_the_files_of_their_slices(
    tmp_path: Path, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather(tmp_path, store)
    path = tmp_path / "datasets" / "ours.yaml"
    fields = yaml.safe_load(path.read_text()) | {"source": {"kind": "idc", "collection": "nsclc_radiomics"}}
    path.write_text(yaml.safe_dump(fields))
    with pytest.raises(
        BadInput, match="placed by the geometry of the slices; fetch the collection into a folder"
    ):
        gather_annotations(store, "ours", tmp_path)
