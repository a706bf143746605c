"""Outlines of LIDC-IDRI: several readers by each rule, the border outside, and what disagrees with its slice."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from chestgan_core.config.annotation_config import LidcReadings
from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.lidc import read_lidc
from chestgan_core.sources.annotations.masks import mask_of
from chestgan_core.sources.annotations.places import Places
from tests.sources.annotations.annotation_files import lidc_roi, lidc_xml
from tests.sources.annotations.real_scans import annotations_of
from tests.sources.annotations.slices_in_space import PATIENT, places, stack

SCAN = stack()
SLICE = SCAN.slices[2]
Z = float(SLICE.origin[2])
MAJORITY = LidcReadings(kind="lidc")


def read(text: str, readers: str = "majority", where: Places | None = None) -> Found:
    rules = LidcReadings(kind="lidc", readers=readers)  # type: ignore[arg-type]
    found = read_lidc(text.encode(), rules, where or places(SCAN))
    found.defects = +found.defects
    return found


def border(left: int, top: int, right: int, bottom: int) -> list[tuple[int, int]]:
    """The pixels just outside of [left, right) x [top, bottom), one after the other, as readers drew them."""
    x, y, right, bottom = left - 1, top - 1, right, bottom
    return [
        *((column, y) for column in range(x, right)),
        *((right, row) for row in range(y, bottom)),
        *((column, bottom) for column in range(right, x, -1)),
        *((x, row) for row in range(bottom, y, -1)),
    ]


def roi(left: int = 10, top: int = 20, right: int = 16, bottom: int = 28, **said: object) -> str:
    return lidc_roi(border(left, top, right, bottom), **{"z": Z, "sop_uid": SLICE.uid, **said})  # type: ignore[arg-type]


def test_the_pixels_that_an_outline_runs_through_lie_outside_of_the_nodule() -> None:
    found = read(lidc_xml([roi()]))
    (box,) = found.boxes
    assert (box.patient, box.sop_uid, box.edges, box.origin) == (
        PATIENT,
        SLICE.name,
        (10, 20, 16, 28),
        "lidc",
    )
    mask = mask_of(box)
    assert mask is not None
    assert mask.all()
    assert found.defects == {}


@pytest.mark.parametrize("said", [{"sop_uid": ""}, {"sop_uid": "1.2.3.4"}, {"sop_uid": "", "z": Z + 1.4}])
def test_without_the_named_slice_series_and_z_decide(said: dict[str, object]) -> None:
    found = read(lidc_xml([roi(**said)]))
    assert [(box.sop_uid, box.edges) for box in found.boxes] == [(SLICE.name, (10, 20, 16, 28))]
    assert found.defects == {Defect.BY_POSITION: 1}


# Of four readers two see a nodule from column 10 to 16, one more one from 12 to 20, and one sees none there.
FOUR = ([roi()], [roi()], [roi(12, 20, 20, 28)], [])


@pytest.mark.parametrize(
    ("readers", "edges"),
    [
        ("union", [(10, 20, 20, 28)]),
        ("majority", [(12, 20, 16, 28)]),
        ("each", [(10, 20, 16, 28), (10, 20, 16, 28), (12, 20, 20, 28)]),
    ],
)
def test_where_readers_differ_the_rule_of_the_dataset_decides(
    readers: str, edges: list[tuple[int, ...]]
) -> None:
    found = read(lidc_xml(*FOUR), readers)
    assert [box.edges for box in found.boxes] == edges
    assert found.defects == {}


def test_a_nodule_that_half_of_the_readers_saw_is_disputed_and_its_slice_says_nothing() -> None:
    found = read(lidc_xml([roi()], [roi()], [], []))
    assert found.boxes == []
    assert found.defects == {Defect.DISPUTED: 1}
    assert found.unsure == {SLICE.name: PATIENT}
    assert len(read(lidc_xml([roi()], [roi()], []), "majority").boxes) == 1


def test_two_nodules_on_a_slice_are_two_boxes_and_a_hole_belongs_to_none() -> None:
    hole = roi(12, 23, 13, 24, inclusion="FALSE")
    found = read(lidc_xml([roi() + hole, roi(30, 5, 34, 9)]))
    assert [box.edges for box in found.boxes] == [(10, 20, 16, 28), (30, 5, 34, 9)]
    mask = mask_of(found.boxes[0])
    assert mask is not None
    assert mask.sum() == 6 * 8 - 9  # the hole with the pixels that its outline runs through


def test_all_readers_looked_through_a_series_in_which_they_marked_nothing() -> None:
    found = read(lidc_xml([], []))
    assert found == Found(series={SCAN.series: PATIENT})
    assert read(lidc_xml([], [], series="2.25.77")).series == {}


@pytest.mark.parametrize(
    ("drawn", "defect", "unsure"),
    [
        (lidc_roi([(12, 24)], Z, SLICE.uid), Defect.NO_AREA, {"name 3"}),
        (roi(sop_uid="", z=Z + 40), Defect.OFF_SLICES, set()),
        (roi(sop_uid="", z=Z + 1.5), Defect.OFF_SLICES, {"name 3", "name 4"}),
        (roi(sop_uid="", z="x"), Defect.BAD_CONTOUR, {f"name {number}" for number in range(1, 6)}),
        (roi(z=Z + 3), Defect.ELSEWHERE, {"name 3", "name 4"}),
        (roi().replace("<xCoord>9<", "<xCoord>nine<"), Defect.BAD_CONTOUR, {"name 3"}),
        (roi().replace("<xCoord>9<", "<xCoord>-9<"), Defect.BAD_CONTOUR, {"name 3"}),
        (roi().replace("<xCoord>9<", "<xCoord>1e99<"), Defect.BAD_CONTOUR, {"name 3"}),
        (lidc_roi([], Z, SLICE.uid), Defect.BAD_CONTOUR, {"name 3"}),
        (roi(55, 20, 61, 28), Defect.OUTSIDE, {"name 3"}),
        (lidc_roi([(1, 1), (2, 1), (2, 2), (1, 2)], Z, SLICE.uid), Defect.TINY, {"name 3"}),
    ],
)
def test_an_outline_without_a_place_is_counted_and_its_slices_say_nothing(
    drawn: str, defect: Defect, unsure: set[str]
) -> None:
    found = read(lidc_xml([drawn]))
    assert found.boxes == []
    assert found.defects == {defect: 1}
    assert set(found.unsure) == unsure
    assert defect.loses


def test_slices_that_no_outline_lies_on_are_not_those_that_the_readers_saw() -> None:
    mirrored = [roi(sop_uid="", z=-Z), roi(sop_uid="", z=-Z + 3)]
    assert read(lidc_xml(mirrored)).series == {}
    # Some of the slices are not here: readers looked through the others.
    assert read(lidc_xml([roi(), roi(sop_uid="", z=Z + 40)])).series == {SCAN.series: PATIENT}


def test_an_outline_of_a_series_that_is_not_here_is_counted() -> None:
    found = read(lidc_xml([roi(sop_uid="")], series="2.25.77"))
    assert (found.boxes, found.defects) == ([], {Defect.NO_SERIES: 1})


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("<LidcReadMessage>", Defect.UNPARSABLE),
        ("<LidcReadMessage/>", Defect.UNPARSABLE),
        ('<!DOCTYPE a [<!ENTITY b "bb">]><LidcReadMessage>&b;</LidcReadMessage>', Defect.DOCTYPE),
        (lidc_xml(*[[]] * 33), Defect.TOO_LARGE),
        (lidc_xml(["<x/>" * 200_001]), Defect.TOO_LARGE),
        (lidc_xml(["<x>" * 100 + "</x>" * 100]), Defect.TOO_LARGE),
    ],
)
def test_a_file_that_is_none_is_counted_by_reason(text: str, defect: Defect) -> None:
    assert read(text) == Found(defects=Counter({defect: 1}))


def test_the_real_outlines_agree_on_the_slices_in_the_middle_of_the_nodule(real_data: Path) -> None:
    folder = real_data / "dicom-more" / "lidc_idri"
    found, (series,) = annotations_of(folder, "lidc")
    # 11 of the slices of the scan are here: 45 outlines lie on others.
    assert +found.defects == {Defect.OFF_SLICES: 45, Defect.DISPUTED: 3}
    assert len(found.boxes) == len({box.sop_uid for box in found.boxes}) == 7
    assert found.series == {series.uid: "LIDC-IDRI-0003"}
    union, _ = annotations_of(folder, "lidc", LidcReadings(kind="lidc", readers="union"))
    assert {box.sop_uid for box in union.boxes} == {box.sop_uid for box in found.boxes} | set(found.unsure)
    of_all = {box.sop_uid: mask_of(box) for box in union.boxes}
    assert all(np.sum(mask_of(box)) <= np.sum(of_all[box.sop_uid]) for box in found.boxes)
