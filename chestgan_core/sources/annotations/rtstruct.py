"""Tumour boxes from the contours of DICOM RTSTRUCT objects (PS3.3 A.19, C.8.8.5, C.8.8.6).

In: an object, and where the slices lie. Out: a box with a mask per slice and region. A contour belongs to the slice
that it names, if that is here, else to the one on which it lies: many tools write contours of a scan whose slices got
new UIDs later. Contours of one region on a slice are united (CLOSED_PLANAR), or cut holes (CLOSEDPLANAR_XOR).
"""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from chestgan_core.config.annotation_config import RtStructures
from chestgan_core.dicom.attributes import printable_of, whole_of
from chestgan_core.dicom.identity import text_of, uid_of
from chestgan_core.reasons import Synthetic
from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.dicom_values import TooMany, items_of, numbers_in
from chestgan_core.sources.annotations.places import MAX_MM, Lost, Places, Points, SlicePlace, Stack
from chestgan_core.sources.annotations.regions import add_boxes, add_outline, lose

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# A planning CT has some hundred slices, a region some contours on each, of some hundred points.
MAX_REGIONS, MAX_CONTOURS, MAX_POINTS = 1000, 10_000, 20_000
MAX_OUTLINES = 50_000  # of all tumours of an object: a minute or two
_NUMBERS = frozenset(b"0123456789+-.eE\\ \0")


def read_structures(
    structures: "Dataset", rules: RtStructures, places: Places, patient: str, synthetic: Synthetic = "refuse"
) -> Found:
    """The boxes of one object. patient: whose it is, as in the catalog. synthetic: what is done with one that is
    flagged so.
    """
    from chestgan_core.dicom.synthetic import synthetic_cause

    if synthetic == "refuse" and synthetic_cause(structures):
        return Found(defects=Counter({Defect.SYNTHETIC: 1}))
    found = Found()
    types = {
        whole_of(item, "ReferencedROINumber"): printable_of(item, "RTROIInterpretedType").upper()
        for item in items_of(structures, "RTROIObservationsSequence", MAX_REGIONS)
    }
    contours = {
        whole_of(item, "ReferencedROINumber"): item
        for item in items_of(structures, "ROIContourSequence", MAX_REGIONS)
    }
    regions = list(items_of(structures, "StructureSetROISequence", MAX_REGIONS))
    found.defects[Defect.NO_OBJECT] += not regions
    series, frame = _series_of(structures), _frame_of(structures)
    outlines = 0
    for region in regions:
        number = whole_of(region, "ROINumber")
        if not is_tumour(rules, printable_of(region, "ROIName"), types.get(number, "")):
            found.defects[Defect.OTHER_REGION] += 1
            continue
        drawn = (
            list(items_of(contours[number], "ContourSequence", MAX_CONTOURS)) if number in contours else []
        )
        if not drawn:
            found.defects[Defect.NEVER_DRAWN] += 1
            continue
        outlines += len(drawn)
        if outlines > MAX_OUTLINES:
            raise TooMany("ContourSequence")
        in_frame = uid_of(region, "ReferencedFrameOfReferenceUID") or frame
        stacks, lost = places.candidates(patient, in_frame, series)
        _read_region(drawn, stacks, lost, places, patient, found)
    return found


def is_tumour(rules: RtStructures, name: str, kind: str) -> bool:
    """Whether a region with this name and this RTROIInterpretedType is a tumour."""
    if kind not in rules.types or rules.named_otherwise(name):
        return False
    return kind == "GTV" or rules.named(name)


def _series_of(structures: "Dataset") -> set[str]:
    """The SeriesInstanceUIDs that the contours were drawn on."""
    return {
        uid_of(series, "SeriesInstanceUID")
        for frame in items_of(structures, "ReferencedFrameOfReferenceSequence", MAX_REGIONS)
        for study in items_of(frame, "RTReferencedStudySequence", MAX_REGIONS)
        for series in items_of(study, "RTReferencedSeriesSequence", MAX_REGIONS)
    }


def _frame_of(structures: "Dataset") -> str:
    """The frame of reference of the whole object, where it has a single one."""
    frames = {
        uid_of(frame, "FrameOfReferenceUID")
        for frame in items_of(structures, "ReferencedFrameOfReferenceSequence", MAX_REGIONS)
    }
    return frames.pop() if len(frames) == 1 else ""


def _read_region(
    contours: "list[Dataset]",
    stacks: tuple[Stack, ...],
    lost: Lost | None,
    places: Places,
    patient: str,
    found: Found,
) -> None:
    drawn: defaultdict[SlicePlace, list[tuple[Points, bool]]] = defaultdict(list)
    for contour in contours:
        uids = [
            uid_of(image, "ReferencedSOPInstanceUID")
            for image in items_of(contour, "ContourImageSequence", MAX_REGIONS)
        ]
        points = _points(contour)
        if isinstance(points, Defect):
            lose(found, Lost(points, places.named_or_all(uids, stacks)))
            continue
        place = places.find(points, uids, stacks, patient, found)
        if isinstance(place, Lost):
            lose(found, lost if lost is not None and place.defect is Defect.OFF_SLICES else place)
            continue
        cuts = text_of(contour, "ContourGeometricType") == "CLOSEDPLANAR_XOR"
        drawn[place].append((points, cuts))
    for place, outlines in drawn.items():
        mask = np.zeros((place.rows, place.columns), np.bool_)
        inside = [add_outline(mask, points, place, found, cuts) for points, cuts in outlines]
        if any(inside):
            add_boxes(found, mask, place, "rtstruct")
            places.annotated(place, found)


def _points(contour: "Dataset") -> "Points | Defect":
    """(N, 3) mm."""
    if text_of(contour, "ContourGeometricType") not in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
        return Defect.NO_AREA
    numbers = numbers_in(contour, "ContourData", 3 * MAX_POINTS)
    if numbers is None or len(numbers) % 3 or abs(numbers).max(initial=0) > MAX_MM:
        return Defect.BAD_CONTOUR
    return numbers.reshape(-1, 3) if len(numbers) >= 9 else Defect.NO_AREA
