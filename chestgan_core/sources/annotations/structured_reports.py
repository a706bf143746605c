"""Tumour boxes from DICOM structured reports with planar or volumetric regions (PS3.16 TID 1500, 1410, 1411).

In: a report. Out: one box per region that is drawn on an image (SCOORD), and counts of defects. Regions in patient
coordinates (SCOORD3D) reference no image: they are placed where it is known where the slices lie, else only counted.

Image coordinates count lines between pixels: 0, 0 is the top left corner of the first pixel (PS3.3 C.18.6.1.1). An
outline becomes the smallest box of whole pixels around it.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.dicom.identity import uid_of
from chestgan_core.reasons import Synthetic
from chestgan_core.sources.annotations.boxes import Defect, Found, TumourBox
from chestgan_core.sources.annotations.voc import UID, whole_box

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from chestgan_core.sources.annotations.places import Places

MAX_FILE_BYTES = 64 * 1024**2  # a report has some 20 KB
MAX_NUMBERS = 60_000  # of a region in space
MEASUREMENT_GROUP = "125007", "DCM"
FINDING = "121071", "DCM"
# SNOMED CT, with retired codes, as older reports have them. The reports of Lung-PET-CT-Dx have Neoplasm (108369006) if
# the label in the XML file was not a letter.
HISTOLOGY = {
    "1187332001": "A",  # adenocarcinoma
    "35917007": "A",
    "74364000": "B",  # small cell carcinoma
    "22687000": "E",  # large cell carcinoma
    "1162767002": "G",  # squamous cell carcinoma
    "28899001": "G",
}


def read_report(
    file: Path | bytes,
    patient: str,
    synthetic: Synthetic = "refuse",
    names: Callable[[str], str] = str,
    places: "Places | None" = None,
) -> Found:
    """The boxes of one report. patient: whose report it is, by the catalog. synthetic: what is done with a report that
    is flagged so. names: SOP instance UID in the report -> name of the slice. places: where the slices lie, if known.
    """
    import pydicom

    from chestgan_core.dicom.synthetic import synthetic_cause

    found = Found()
    try:
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        if size > MAX_FILE_BYTES:
            return Found(defects=Counter({Defect.TOO_LARGE: 1}))
        data = BytesIO(file) if isinstance(file, bytes) else file
        report = pydicom.dcmread(data, stop_before_pixels=True)
        if synthetic == "refuse" and synthetic_cause(report):
            return Found(defects=Counter({Defect.SYNTHETIC: 1}))
        groups = [item for item in _items(report) if _concept(item) == MEASUREMENT_GROUP]
        if not groups:
            return Found(defects=Counter({Defect.NO_REPORT: 1}))
        for group in groups:
            _read_group(group, patient, found, names, places)
    except Exception:
        # On damaged bytes pydicom raises errors of any class. Nothing of a damaged report is used.
        return Found(defects=Counter({Defect.UNREADABLE: 1}))
    return found


def _read_group(
    group: "Dataset", patient: str, found: Found, names: Callable[[str], str], places: "Places | None"
) -> None:
    label = _label(group, found.defects)
    regions = [
        item for item in _items(group, into_groups=False) if item.get("ValueType") in ("SCOORD", "SCOORD3D")
    ]
    found.defects[Defect.NO_REGION] += not regions
    for region in regions:
        if region.ValueType == "SCOORD3D":
            if places is None:
                found.lose(Defect.NEEDS_GEOMETRY)
            else:
                _read_in_space(region, label, patient, places, found)
            continue
        image, outline = _image_of(region), _outline(region)
        if isinstance(image, Defect):
            found.lose(image)
            continue
        # A report does not have the size of the image, so only negative edges can be recognized as outside.
        whole = outline if isinstance(outline, Defect) else whole_box(outline, (math.inf, math.inf))
        if isinstance(whole, Defect):
            found.lose(whole, names(image), patient)
            continue
        found.defects[Defect.REACHES_OUT] += whole.cut
        found.boxes.append(TumourBox(patient, names(image), *whole.edges, label=label, origin="sr"))


def _read_in_space(region: "Dataset", label: str, patient: str, places: "Places", found: Found) -> None:
    """A region in patient coordinates (PS3.3 C.18.9)."""
    import numpy as np

    from chestgan_core.sources.annotations.places import MAX_MM, Lost
    from chestgan_core.sources.annotations.regions import add_boxes, add_outline, lose

    numbers = np.array([float(number) for number in region.get("GraphicData") or ()])
    if region.get("GraphicType") != "POLYGON" or len(numbers) < 9:
        found.lose(Defect.NO_AREA)
    elif len(numbers) % 3 or len(numbers) > MAX_NUMBERS or not (abs(numbers) <= MAX_MM).all():
        found.lose(Defect.BAD_CONTOUR)
    else:
        points = numbers.reshape(-1, 3)
        stacks, lost = places.candidates(patient, uid_of(region, "ReferencedFrameOfReferenceUID"), ())
        place = lost or places.find(points, (), stacks, patient, found)
        if isinstance(place, Lost):
            lose(found, place)
            return
        mask = np.zeros((place.rows, place.columns), np.bool_)
        if add_outline(mask, points, place, found):
            add_boxes(found, mask, place, "sr", label)
            places.annotated(place, found)


def _image_of(region: "Dataset") -> "str | Defect":
    """The SOP instance UID that the region was selected from (PS3.3 C.18.6.1)."""
    images = [
        reference
        for item in region.get("ContentSequence") or ()
        if item.get("ValueType") == "IMAGE" and item.get("RelationshipType") == "SELECTED FROM"
        for reference in item.get("ReferencedSOPSequence") or ()
    ]
    uids = {str(image.get("ReferencedSOPInstanceUID") or "") for image in images}
    if len(uids) != 1 or not all(map(UID.fullmatch, uids)):
        return Defect.NO_IMAGE
    if any(image.get("ReferencedFrameNumber") not in (None, "", 1) for image in images):
        return Defect.MULTI_FRAME
    return uids.pop()


def _outline(region: "Dataset") -> "tuple[float, float, float, float] | Defect":
    """left, top, right, bottom of the graphic (PS3.3 C.18.6.1.2)."""
    numbers = [float(number) for number in region.get("GraphicData") or ()]
    if len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        return Defect.BAD_BOX
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    match region.get("GraphicType"), len(points):
        case "POLYLINE", count if count > 2:
            xs, ys = zip(*points, strict=True)
            return min(xs), min(ys), max(xs), max(ys)
        case "CIRCLE", 2:  # the centre, and a point on the circle
            (x, y), (edge_x, edge_y) = points[0], points[-1]
            radius = math.hypot(edge_x - x, edge_y - y)
            return x - radius, y - radius, x + radius, y + radius
        case "ELLIPSE", 4:  # the ends of the long axis, those of the short one
            (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
            x, y = (ax + bx) / 2, (ay + by) / 2
            half_width, half_height = math.hypot(ax - bx, cx - dx) / 2, math.hypot(ay - by, cy - dy) / 2
            return x - half_width, y - half_height, x + half_width, y + half_height
    return Defect.NO_AREA


def _label(group: "Dataset", defects: Counter[Defect]) -> str:
    """The histology of the group's finding; a finding that is not a histology counts as a stray label."""
    findings = [
        _code(code)
        for item in group.get("ContentSequence") or ()
        if _concept(item) == FINDING
        for code in item.get("ConceptCodeSequence") or ()
    ]
    letters = {HISTOLOGY.get(value, "") if scheme == "SCT" else "" for value, scheme in findings}
    if len(letters) != 1 or "" in letters:
        defects[Defect.STRAY_LABEL] += 1
        return ""
    return letters.pop()


def _items(item: "Dataset", into_groups: bool = True) -> Iterator["Dataset"]:
    """The content items below this one, at any depth; those of other measurement groups only if `into_groups`."""
    for child in item.get("ContentSequence") or ():
        yield child
        if into_groups or _concept(child) != MEASUREMENT_GROUP:
            yield from _items(child, into_groups)


def _concept(item: "Dataset") -> tuple[str, str]:
    return next(map(_code, item.get("ConceptNameCodeSequence") or ()), ("", ""))


def _code(code: "Dataset") -> tuple[str, str]:
    return str(code.get("CodeValue") or ""), str(code.get("CodingSchemeDesignator") or "")
