"""PASCAL VOC files: every usable box is used, every defect is counted, nothing is guessed."""

import math
import zipfile
from pathlib import Path

import pytest

from chestgan_core.sources.annotations.boxes import Defect, TumourBox
from chestgan_core.sources.annotations.voc import WholeBox, read_voc_files, whole_box
from tests.sources.annotations.annotation_files import voc_object, voc_xml, write_voc

SOP = "1.3.6.1.4.1.14519.5.2.1.7"


def patient_of(folder: str) -> str:
    return f"Lung_Dx-{folder}" if folder == "A0001" else ""


def read(
    folder: Path, text: str, sop_uid: str = SOP, patient: str = "A0001"
) -> tuple[list[TumourBox], dict[str, int]]:
    found = read_voc_files(write_voc(folder, patient, {sop_uid: text}), patient_of)
    lost = sum(count for defect, count in found.defects.items() if defect.loses)
    # A slice on which a box was lost says nothing; without its UID nobody knows which one that is.
    assert found.unsure == ({sop_uid: patient_of(patient)} if lost and sop_uid == SOP else {})
    return found.boxes, {str(defect): count for defect, count in found.defects.items() if count}


def test_every_box_of_a_file_is_kept_with_its_slice_and_patient(tmp_path: Path) -> None:
    boxes, defects = read(tmp_path, voc_xml(voc_object(), voc_object(50, 60, 70, 90)))
    assert defects == {}
    assert boxes == [
        TumourBox("Lung_Dx-A0001", SOP, 10, 20, 30, 45, "A", "voc", 128, 128),
        TumourBox("Lung_Dx-A0001", SOP, 50, 60, 70, 90, "A", "voc", 128, 128),
    ]


def test_a_zip_is_read_like_the_folder_in_it(tmp_path: Path) -> None:
    folder = write_voc(tmp_path / "files", "A0001", {SOP: voc_xml(voc_object())})
    with zipfile.ZipFile(tmp_path / "rev12222020.zip", "w") as archive:
        for path in folder.rglob("*.xml"):
            archive.write(path, path.relative_to(folder))
        archive.writestr("Annotation/readme.txt", "not an annotation")
    assert read_voc_files(tmp_path / "rev12222020.zip", patient_of) == read_voc_files(folder, patient_of)


@pytest.mark.parametrize(
    ("label", "read_as", "defect"),
    [
        ("a", "A", Defect.LOWER_CASE),
        ("Q", "", Defect.STRAY_LABEL),
        ("", "", Defect.STRAY_LABEL),
        ("A0192", "", Defect.STRAY_LABEL),
        ("AB", "", Defect.STRAY_LABEL),
    ],
)
def test_a_deviating_label_is_counted_and_its_box_kept(
    tmp_path: Path, label: str, read_as: str, defect: Defect
) -> None:
    boxes, defects = read(tmp_path, voc_xml(voc_object(label=label)))
    assert [box.label for box in boxes] == [read_as]
    assert defects == {defect: 1}


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("<annotation><object></annotation>", Defect.UNPARSABLE),
        ("", Defect.UNPARSABLE),
        ("<html/>", Defect.UNPARSABLE),
        ('<?xml version="1.0" encoding="nobody-knows"?><annotation/>', Defect.UNPARSABLE),
        ('<?xml version="1.0" encoding="euc-jp"?><annotation/>', Defect.UNPARSABLE),
        ('<?xml version="1.0" encoding="base64"?><annotation/>', Defect.UNPARSABLE),
        (voc_xml(), Defect.NO_OBJECT),
        (voc_xml("<object><name>A</name></object>"), Defect.NO_OBJECT),
        (voc_xml(voc_object(left="")), Defect.BAD_BOX),
        (voc_xml(voc_object(left="nan")), Defect.BAD_BOX),
        (voc_xml(voc_object(left="1_0")), Defect.BAD_BOX),
        (voc_xml(voc_object(left="10,5")), Defect.BAD_BOX),
        (voc_xml(voc_object(left="1e999")), Defect.BAD_BOX),
        (voc_xml(voc_object().replace("<ymin>", "<xmin>5</xmin><ymin>")), Defect.BAD_BOX),
        (voc_xml(voc_object(30, 20, 10, 45)), Defect.REVERSED),
        (voc_xml(voc_object(10, 45, 30, 20)), Defect.REVERSED),
        (voc_xml(voc_object(0.1, 0.2, 0.5, 0.75)), Defect.FRACTIONS),
        (voc_xml(voc_object(0, 0, 1, 1)), Defect.FRACTIONS),
        (voc_xml(voc_object(0, "1e-3", "1.0", 1)), Defect.FRACTIONS),
        (voc_xml(voc_object(10, 20, 11, 45)), Defect.TINY),
        (voc_xml(voc_object(10.2, 20.4, 11.9, 21.9)), Defect.TINY),
        (voc_xml(voc_object(127, 20, 140, 45)), Defect.TINY),
        (voc_xml(voc_object(300, 10, 500, 50), width=256, height=512), Defect.OUTSIDE),
        (
            voc_xml("<object>" * 4000 + "<bndbox>" * 4000 + "</bndbox>" * 4000 + "</object>" * 4000),
            Defect.NESTED,
        ),
        (voc_xml(f"<object>{voc_object()}</object>"), Defect.NESTED),
        (voc_xml("<object><bndbox><bndbox/></bndbox></object>"), Defect.NESTED),
        (voc_xml("<x>" * 4000 + "</x>" * 4000), Defect.TOO_LARGE),
        (voc_xml("<x/>" * 20_000), Defect.TOO_LARGE),
        (voc_xml("x" * 1_100_000), Defect.TOO_LARGE),
        (voc_xml(voc_object(left=30)), Defect.EMPTY_BOX),
        (voc_xml(voc_object(top=45)), Defect.EMPTY_BOX),
        (voc_xml(voc_object(128, 20, 140, 45)), Defect.OUTSIDE),
        (voc_xml(voc_object(-9, -9, 0, 0)), Defect.OUTSIDE),
        ('<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>', Defect.DOCTYPE),
        (
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotation>&b;</annotation>',
            Defect.DOCTYPE,
        ),
    ],
)
def test_a_file_without_a_usable_box_is_counted_by_reason(tmp_path: Path, text: str, defect: Defect) -> None:
    boxes, defects = read(tmp_path, text)
    assert boxes == []
    assert defects == {defect: 1}
    assert defect.loses


def test_one_bad_box_does_not_affect_the_others_of_its_file(tmp_path: Path) -> None:
    boxes, defects = read(tmp_path, voc_xml(voc_object(left="x"), voc_object(50, 60, 70, 90)))
    assert [box.left for box in boxes] == [50]
    assert defects == {Defect.BAD_BOX: 1}


@pytest.mark.parametrize(
    ("edges", "size", "kept", "defect"),
    [
        ((-3, 20, 30, 130), {}, (0, 20, 30, 128), Defect.REACHES_OUT),
        ((10, 20, 3000, 45), {"width": 0}, (10, 20, 3000, 45), Defect.NO_SIZE),
        ((10, 20, 3000, 45), {"height": -128}, (10, 20, 3000, 45), Defect.NO_SIZE),
        ((10, 20, 3000, 45), {"height": 12.5}, (10, 20, 3000, 45), Defect.NO_SIZE),
        ((10, 20, 3000, 45), {"height": 70000}, (10, 20, 3000, 45), Defect.NO_SIZE),
        ((0, 0, 2, 2), {}, (0, 0, 2, 2), None),
        ((10.5, 20.2, 29.1, 44.9), {}, (10, 20, 30, 45), None),
    ],
)
def test_a_box_is_cut_at_the_image_and_rounded_outwards_to_whole_pixels(
    tmp_path: Path,
    edges: tuple[float, ...],
    size: dict[str, int],
    kept: tuple[int, ...],
    defect: Defect | None,
) -> None:
    boxes, defects = read(tmp_path, voc_xml(voc_object(*edges), **size))
    assert [box.edges for box in boxes] == [kept]
    assert defects == ({defect: 1} if defect else {})


def test_an_edge_beyond_any_image_is_cut_if_the_size_is_missing() -> None:
    whole = whole_box((10, 20, 1e300, 3e38), (math.inf, math.inf))
    assert isinstance(whole, WholeBox)
    assert (whole.edges, whole.cut) == ((10, 20, 65535, 65535), True)


def test_a_file_whose_name_is_not_a_uid_belongs_to_no_slice(tmp_path: Path) -> None:
    assert read(tmp_path, voc_xml(voc_object()), sop_uid="slice 12") == ([], {Defect.NO_UID: 1})


def test_a_folder_without_a_patient_in_the_catalog_is_counted_and_its_box_kept(tmp_path: Path) -> None:
    boxes, defects = read(tmp_path, voc_xml(voc_object()), patient="A0999")
    assert [(box.patient, box.sop_uid) for box in boxes] == [("", SOP)]
    assert defects == {Defect.UNKNOWN_PATIENT: 1}


def test_the_real_boxes_lie_on_slices_of_the_two_series(real_data: Path) -> None:
    from chestgan_core.dicom.series import read_series

    folder = real_data / "dicom" / "lung_pet_ct_dx"
    found = read_voc_files(folder / "Annotation", patient_of)
    assert +found.defects == {}
    assert {box.patient for box in found.boxes} == {"Lung_Dx-A0001"}
    series = read_series([folder / "Lung_Dx-A0001"]).series
    counts = {
        one.uid[-8:]: len({header.sop_uid for header in one.slices} & {box.sop_uid for box in found.boxes})
        for one in series
    }
    assert counts == {"85641315": 9, "01540805": 11}
