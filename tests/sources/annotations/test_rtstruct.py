"""Structure sets: contours find their slice and their pixels however the slices lie, and every loss is counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from chestgan_core.config.annotation_config import RtStructures
from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.dicom_values import TooMany
from chestgan_core.sources.annotations.masks import mask_of
from chestgan_core.sources.annotations.places import Places
from chestgan_core.sources.annotations.rtstruct import read_structures
from tests.sources.annotations.annotation_files import contour, structure_set
from tests.sources.annotations.real_scans import annotations_of
from tests.sources.annotations.slices_in_space import (
    PATIENT,
    around,
    places,
    points_of,
    rotation,
    stack,
)

RULES = RtStructures(kind="rtstruct")
SCAN = stack()
SLICE = SCAN.slices[2]


def read(*contours: Dataset, where: Places | None = None, **said: Any) -> Found:
    made = structure_set(("GTV-1", "GTV", contours), **said)
    found = read_structures(made, RULES, where or places(), PATIENT)
    found.defects = +found.defects
    return found


def square(left: float = 10, top: float = 20, right: float = 15, bottom: float = 28) -> Any:
    return points_of(SLICE, around(left, top, right, bottom))


@pytest.mark.parametrize("seed", range(20))
def test_a_contour_around_pixels_gives_these_pixels_however_the_slice_lies(seed: int) -> None:
    scan = stack(rotation(seed))
    for place in scan.slices:
        points = points_of(place, around(10, 20, 15, 28))
        named, by_position = (
            read(contour(points, uid), where=places(scan)) for uid in (place.uid, "1.2.3.4")
        )
        assert [(box.sop_uid, box.edges) for box in named.boxes] == [(place.name, (10, 20, 15, 28))]
        mask = mask_of(named.boxes[0])
        assert mask is not None
        assert mask.shape == (8, 5)
        assert mask.all()
        assert by_position.boxes == named.boxes
        assert (named.defects, by_position.defects) == ({}, {Defect.BY_POSITION: 1})


def test_a_slanted_outline_keeps_its_shape_in_the_mask() -> None:
    found = read(contour(points_of(SLICE, [(10, 10), (20, 10), (10, 20)]), SLICE.uid))
    (box,) = found.boxes
    mask = mask_of(box)
    assert mask is not None
    assert box.edges == (10, 10, 20, 20)
    assert np.array_equal(mask, np.tri(10, dtype=bool)[::-1])


def test_contours_of_a_region_are_united_holes_cut_and_separate_parts_are_boxes_of_their_own() -> None:
    parts = [contour(square(10, 20, 15, 28), SLICE.uid), contour(square(13, 20, 18, 28), SLICE.uid)]
    hole = contour(square(12, 22, 14, 24), SLICE.uid, "CLOSEDPLANAR_XOR")
    other = contour(square(30, 5, 33, 9), SLICE.uid)
    found = read(*parts, hole, other)
    assert [box.edges for box in found.boxes] == [(10, 20, 18, 28), (30, 5, 33, 9)]
    mask = mask_of(found.boxes[0])
    assert mask is not None
    assert mask.sum() == 8 * 8 - 4
    assert not mask[2:4, 2:4].any()
    assert found.series == {SCAN.series: PATIENT}


def off(mm: float) -> Any:
    return square() + mm * SLICE.normal


@pytest.mark.parametrize(
    ("drawn", "defect", "unsure"),
    [
        (contour(off(9.1)), Defect.OFF_SLICES, set()),
        (contour(off(0) + np.outer([0, 0, 3.2, 3.2], SLICE.normal)), Defect.OFF_SLICES, {"name 3", "name 4"}),
        (contour(off(3), SLICE.uid), Defect.ELSEWHERE, {"name 3", "name 4"}),
        (contour(off(90), SLICE.uid), Defect.ELSEWHERE, {"name 3"}),
        (contour(off(0)[:2], SLICE.uid), Defect.NO_AREA, {"name 3"}),
        (contour(off(0), SLICE.uid, "POINT"), Defect.NO_AREA, {"name 3"}),
        (contour(off(0) * 1e9, SLICE.uid), Defect.BAD_CONTOUR, {"name 3"}),
        (contour(off(0) * 1e9), Defect.BAD_CONTOUR, {f"name {number}" for number in range(1, 6)}),
        (contour(square(10, 10, 11, 30), SLICE.uid), Defect.TINY, {"name 3"}),
        (contour(square(-30, -30, -20, -20), SLICE.uid), Defect.OUTSIDE, {"name 3"}),
    ],
)
def test_a_contour_without_a_place_is_counted_and_its_slices_say_nothing(
    drawn: Dataset, defect: Defect, unsure: set[str]
) -> None:
    found = read(drawn)
    assert found.boxes == []
    assert found.defects == {defect: 1}
    assert set(found.unsure) == unsure
    assert defect.loses


@pytest.mark.parametrize(("mm", "name"), [(0, "name 3"), (1.4, "name 3"), (1.6, "name 4"), (-1.4, "name 3")])
def test_a_contour_near_a_slice_lies_on_it(mm: float, name: str) -> None:
    assert [box.sop_uid for box in read(contour(off(mm))).boxes] == [name]


@pytest.mark.parametrize("sop_uid", ["", SLICE.uid])
def test_a_contour_in_the_middle_between_two_slices_lies_on_none(sop_uid: str) -> None:
    found = read(contour(off(1.5), sop_uid))
    assert found.boxes == []
    assert found.defects == {Defect.ELSEWHERE if sop_uid else Defect.OFF_SLICES: 1}
    assert set(found.unsure) == ({"name 3"} if sop_uid else {"name 3", "name 4"})


def test_slices_that_an_outline_crosses_are_not_without_a_tumour_where_others_were_outlined() -> None:
    upright = off(0) + np.outer([-4, -4, 4, 4], SLICE.normal)
    found = read(contour(upright), contour(off(-6), SCAN.slices[0].uid))
    assert found.series == {SCAN.series: PATIENT}
    assert set(found.unsure) == {"name 2", "name 3", "name 4"}


def test_an_object_of_more_outlines_than_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chestgan_core.sources.annotations.rtstruct.MAX_OUTLINES", 2)
    drawn = [contour(square(), SLICE.uid)] * 3
    assert len(read(*drawn[:2]).boxes) == 1
    with pytest.raises(TooMany):
        read(*drawn)


def test_a_lost_contour_leaves_the_others_of_its_region() -> None:
    found = read(contour(off(90)), contour(square(), SLICE.uid))
    assert [box.edges for box in found.boxes] == [(10, 20, 15, 28)]
    assert found.defects == {Defect.OFF_SLICES: 1}
    assert found.series == {SCAN.series: PATIENT}


@pytest.mark.parametrize("number", ["nan", "1_0", "inf", "", "1e999", "12;3"])
def test_a_contour_with_what_is_no_number_is_not_used(number: str) -> None:
    drawn = contour(square(), SLICE.uid)
    data = "\\".join([*(f"{value:.6g}" for value in square().ravel()[:-1]), number])
    tag = Tag("ContourData")
    drawn[tag] = RawDataElement(tag, "DS", len(data), data.encode(), 0, False, True)
    found = read(drawn)
    assert found.boxes == []
    assert found.defects == {Defect.BAD_CONTOUR: 1}


@pytest.mark.parametrize(
    ("said", "defect"),
    [({"frame": "2.25.9"}, Defect.OTHER_FRAME), ({"frame": "2.25.9", "series": "2.25.8"}, Defect.NO_SERIES)],
)
def test_a_position_counts_in_the_frame_of_reference_of_the_slices_only(
    said: dict[str, str], defect: Defect
) -> None:
    found = read(contour(square()), **said)
    assert found.boxes == []
    assert found.defects == {defect: 1}
    assert bool(found.unsure) == (defect is Defect.OTHER_FRAME)


def test_a_region_that_does_not_say_its_frame_of_reference_is_in_the_only_one_of_its_object() -> None:
    made = structure_set(("GTV-1", "GTV", [contour(square())]))
    del made.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    assert len(read_structures(made, RULES, places(), PATIENT).boxes) == 1
    made.ReferencedFrameOfReferenceSequence = []
    assert +read_structures(made, RULES, places(), PATIENT).defects == {Defect.NO_SERIES: 1}


def test_a_position_that_fits_two_scans_is_placed_on_the_one_that_the_structure_set_names() -> None:
    two = places(SCAN, stack(series="2.25.5"))
    assert [box.sop_uid for box in read(contour(square()), where=two).boxes] == [SLICE.name]
    found = read(contour(square()), where=two, series="2.25.6")
    assert found.boxes == []
    assert found.defects == {Defect.AMBIGUOUS: 1}


def test_contours_of_another_patient_are_not_placed() -> None:
    made = structure_set(("GTV-1", "GTV", [contour(square(), SLICE.uid)]))
    found = read_structures(made, RULES, places(), "PH-B0002")
    assert found.boxes == []
    assert +found.defects == {Defect.OTHER_PATIENT: 1}


def test_of_a_series_with_several_stacks_nobody_can_say_which_was_looked_through() -> None:
    found = read(contour(square(), SLICE.uid), where=places(stack(alone=False)))
    assert len(found.boxes) == 1
    assert found.series == {}


@pytest.mark.parametrize(
    ("name", "kind", "is_tumour"),
    [
        ("GTV-1", "ORGAN", True),  # as in NSCLC-Radiomics
        ("GTVp", "GTV", True),
        ("Primary", "GTV", True),
        ("lung tumour left", "", True),
        ("gtv nodule 2", "", True),
        ("GTV-1", "PTV", False),
        ("GTVn", "GTV", False),
        ("GTV-N2", "GTV", False),
        ("GTV node 4R", "GTV", False),
        ("GTV_LN", "GTV", False),
        ("Lungs-GTV", "ORGAN", False),
        ("Lungs minus GTV", "ORGAN", False),
        ("ITV", "GTV", False),
        ("IGTV", "GTV", False),
        ("GTV brain", "GTV", False),
        ("CTV-1", "ORGAN", False),
        ("Spinal cord", "ORGAN", False),
        ("1,SUV_primair", "ORGAN", False),
        ("Isocenter 6", "ISOCENTER", False),
        ("Patient", "EXTERNAL", False),
    ],
)
def test_a_tumour_is_told_from_organs_nodes_and_margins_by_name_and_type(
    name: str, kind: str, is_tumour: bool
) -> None:
    made = structure_set((name, kind, [contour(square(), SLICE.uid)]))
    found = read_structures(made, RULES, places(), PATIENT)
    assert len(found.boxes) == is_tumour
    assert found.defects[Defect.OTHER_REGION] == (not is_tumour)
    # Organs say nothing about tumours: nobody need have looked for one.
    assert bool(found.series) == is_tumour


def test_a_region_that_was_named_and_never_drawn_is_counted() -> None:
    assert read().defects == {Defect.NEVER_DRAWN: 1}
    assert read().series == {}


def test_a_structure_set_that_is_flagged_synthetic_is_refused_where_the_dataset_does_not_accept_it() -> None:
    made = structure_set(("GTV-1", "GTV", [contour(square(), SLICE.uid)]))
    made.SyntheticData = "YES"
    assert read_structures(made, RULES, places(), PATIENT).defects == {Defect.SYNTHETIC: 1}
    assert len(read_structures(made, RULES, places(), PATIENT, "accept").boxes) == 1


def test_own_patterns_replace_the_shipped_ones() -> None:
    rules = RtStructures(kind="rtstruct", include=("^herd$",), exclude=())
    made = structure_set(("Herd", "ORGAN", [contour(square(), SLICE.uid)]), ("GTV-1", "ORGAN", []))
    found = read_structures(made, rules, places(), PATIENT)
    assert len(found.boxes) == 1
    assert +found.defects == {Defect.OTHER_REGION: 1}


def test_the_real_contours_lie_on_the_tumours_of_both_patients_by_position_alone(
    real_data: Path,
) -> None:
    found, series = annotations_of(real_data / "dicom-more" / "nsclc_radiomics", "rtstruct")
    assert {patient: len(uids) for patient, uids in slices_of(found).items()} == {
        "LUNG1-001": 21,
        "LUNG1-002": 26,
    }
    assert +found.defects == {Defect.OTHER_REGION: 31, Defect.BY_POSITION: 47}
    assert set(found.series) == {one.uid for one in series}


def slices_of(found: Found) -> dict[str, set[str]]:
    patients = {box.patient for box in found.boxes}
    return {who: {box.sop_uid for box in found.boxes if box.patient == who} for who in sorted(patients)}
