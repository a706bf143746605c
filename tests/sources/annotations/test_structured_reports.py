"""Structured reports: boxes from the regions that TID 1410 and 1411 allow, and counts of regions without one."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from chestgan_core.sources.annotations.boxes import Defect, Found, TumourBox
from chestgan_core.sources.annotations.structured_reports import read_report
from tests.sources.annotations.annotation_files import SQUARE, group, image, region, report
from tests.sources.annotations.slices_in_space import FRAME, around, places, points_of, stack
from tests.sources.annotations.slices_in_space import PATIENT as SPACE_PATIENT

SOP = "1.3.6.1.4.1.14519.5.2.1.7"
PATIENT = "Lung_Dx-A0001"


def read(folder: Path, *groups: Dataset) -> tuple[list[TumourBox], dict[str, int]]:
    path = folder / "report.dcm"
    report(*groups).save_as(path, enforce_file_format=True)
    found = read_report(path, PATIENT)
    return found.boxes, {str(defect): count for defect, count in found.defects.items() if count}


def test_a_box_for_each_measurement_group_on_the_image_it_was_selected_from(tmp_path: Path) -> None:
    other = [4.0, 5.0, 9.0, 5.0, 9.0, 8.0, 4.0, 8.0, 4.0, 5.0]
    boxes, defects = read(
        tmp_path, group(region(image(SOP))), group(region(image(SOP + ".2"), data=other), finding="28899001")
    )
    assert defects == {}
    assert boxes == [
        TumourBox(PATIENT, SOP, 286, 310, 355, 402, "A", "sr"),
        TumourBox(PATIENT, SOP + ".2", 4, 5, 9, 8, "G", "sr"),
    ]


def test_a_volumetric_group_has_a_box_on_each_of_its_images(tmp_path: Path) -> None:
    boxes, _ = read(tmp_path, group(region(image(SOP)), region(image(SOP + ".2"))))
    assert [box.sop_uid for box in boxes] == [SOP, SOP + ".2"]


@pytest.mark.parametrize(
    ("kind", "data", "edges"),
    [
        ("POLYLINE", [3.5, 2, 9, 4.5, 3, 8, 3.5, 2], (3, 2, 9, 8)),
        ("CIRCLE", [10, 20, 14, 23], (5, 15, 15, 25)),
        ("ELLIPSE", [2, 10, 18, 10, 10, 7, 10, 13], (2, 7, 18, 13)),
        ("ELLIPSE", [7, 6, 13, 14, 14, 7, 6, 13], (5, 5, 15, 15)),
    ],
)
def test_outlines_become_the_box_around_them(
    tmp_path: Path, kind: str, data: list[float], edges: tuple[int, ...]
) -> None:
    boxes, defects = read(tmp_path, group(region(image(SOP), kind=kind, data=data)))
    assert [box.edges for box in boxes] == [edges]
    assert defects == {}


@pytest.mark.parametrize(
    ("region", "defect"),
    [
        (region(), Defect.NO_IMAGE),
        (region(image(SOP), image(SOP + ".2")), Defect.NO_IMAGE),
        (region(image("")), Defect.NO_IMAGE),
        (region(image(SOP, frame=3)), Defect.MULTI_FRAME),
        (region(image(SOP), kind="POINT", data=[3, 4]), Defect.NO_AREA),
        (region(image(SOP), data=[3, 4, 3, 4, 3, 4]), Defect.EMPTY_BOX),
        (region(image(SOP), data=[*SQUARE, 1]), Defect.BAD_BOX),
        (region(kind="POLYGON", data=[1, 2, 3] * 4, value="SCOORD3D"), Defect.NEEDS_GEOMETRY),
    ],
)
def test_regions_without_a_box_are_counted_by_reason(tmp_path: Path, region: Dataset, defect: Defect) -> None:
    assert read(tmp_path, group(region)) == ([], {defect: 1})
    assert defect.loses


def in_space(data: object, kind: str = "POLYGON", frame: str = FRAME) -> Dataset:
    made = region(kind=kind, data=np.ravel(data).tolist(), value="SCOORD3D")  # type: ignore[arg-type]
    made.ReferencedFrameOfReferenceUID = frame
    return group(made)


PLACE = stack().slices[2]
POINTS = points_of(PLACE, around(10, 20, 15, 28))


def read_in_space(folder: Path, drawn: Dataset) -> Found:
    path = folder / "report.dcm"
    report(drawn, patient=SPACE_PATIENT).save_as(path, enforce_file_format=True)
    found = read_report(path, SPACE_PATIENT, places=places())
    found.defects = +found.defects
    return found


def test_a_region_in_patient_coordinates_is_placed_where_the_slices_are_known(tmp_path: Path) -> None:
    found = read_in_space(tmp_path, in_space(POINTS))
    assert [(box.sop_uid, box.edges, box.label) for box in found.boxes] == [("name 3", (10, 20, 15, 28), "A")]
    assert found.defects == {Defect.BY_POSITION: 1}
    assert found.series == {stack().series: SPACE_PATIENT}


@pytest.mark.parametrize(
    ("drawn", "defect"),
    [
        (in_space(POINTS + 1.6 * PLACE.normal + 40), Defect.OFF_SLICES),
        (in_space(POINTS, frame="2.25.1"), Defect.NO_SERIES),
        (in_space(POINTS, kind="POLYLINE"), Defect.NO_AREA),
        (in_space(POINTS[:2]), Defect.NO_AREA),
        (in_space(np.ravel(POINTS)[:-1]), Defect.BAD_CONTOUR),
        (in_space(POINTS * 1e6), Defect.BAD_CONTOUR),
        (in_space(POINTS * [np.nan, 1, 1]), Defect.BAD_CONTOUR),
        (in_space(points_of(PLACE, around(-30, 5, -20, 9))), Defect.OUTSIDE),
    ],
)
def test_a_region_in_patient_coordinates_without_a_place_is_counted(
    tmp_path: Path, drawn: Dataset, defect: Defect
) -> None:
    found = read_in_space(tmp_path, drawn)
    assert found.boxes == []
    assert found.defects[defect] == 1


@pytest.mark.parametrize("finding", ["108369006", None])
def test_a_finding_that_is_not_a_histology_is_a_stray_label(tmp_path: Path, finding: str | None) -> None:
    boxes, defects = read(tmp_path, group(region(image(SOP)), finding=finding))
    assert [box.label for box in boxes] == [""]
    assert defects == {Defect.STRAY_LABEL: 1}


def test_a_report_without_measurements_and_a_group_without_regions_are_counted(tmp_path: Path) -> None:
    assert read(tmp_path) == ([], {Defect.NO_REPORT: 1})
    assert read(tmp_path, group()) == ([], {Defect.NO_REGION: 1})


def test_nothing_of_a_damaged_report_is_used(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(b"<html>503</html>")
    assert read_report(path, PATIENT) == Found(defects=Counter({Defect.UNREADABLE: 1}))


def test_a_group_within_a_group_has_its_own_region(tmp_path: Path) -> None:
    outer = group(region(image(SOP)))
    outer.ContentSequence.append(group(region(image(SOP + ".2")), finding="28899001"))
    boxes, defects = read(tmp_path, outer)
    assert [(box.sop_uid, box.label) for box in boxes] == [(SOP, "A"), (SOP + ".2", "G")]
    assert defects == {}


def test_a_report_larger_than_any_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    report(group(region(image(SOP)))).save_as(path, enforce_file_format=True)
    with path.open("ab") as file:
        file.truncate(65 * 1024**2)
    assert read_report(path, PATIENT) == Found(defects=Counter({Defect.TOO_LARGE: 1}))


@pytest.mark.parametrize("data", [[0.1, 0.1, 0.5, 0.1, 0.5, 0.4, 0.1, 0.1], [4, 4, 5, 4, 5, 9, 4, 4]])
def test_an_outline_in_fractions_or_of_a_pixel_is_no_box(tmp_path: Path, data: list[float]) -> None:
    boxes, defects = read(tmp_path, group(region(image(SOP), data=data)))
    assert boxes == []
    assert defects in ({Defect.FRACTIONS: 1}, {Defect.TINY: 1})
