"""Tumour boxes from the XML of LIDC-IDRI: outlines of nodules by several readers, who did not have to agree.

In: a file, and where the slices lie. Out: boxes with masks, by the rule of the dataset. Outlines run through the pixels
just outside of a nodule (LIDC-IDRI, Armato et al. 2011), so these do not belong to it. A nodule of less than 3 mm is a
single point: its slice is counted and says nothing. What a reader calls no nodule is no mark.

The file names its slices by SOP instance; where these are not here, its series and the z of its slices decide.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from chestgan_core.config.annotation_config import LidcReadings
from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.places import SLACK_MM, Lost, Places, SlicePlace, Stack, only
from chestgan_core.sources.annotations.regions import Mask, add_boxes, filled, lose
from chestgan_core.sources.annotations.voc import MAX_EDGE, NUMBER, RefusedXml, parse_xml

ROOT = "LidcReadMessage"
# Four readers, some nodules each, on a dozen slices, with a hundred points of three elements: 15,000 are usual.
MAX_FILE_BYTES, MAX_ELEMENTS = 16 * 1024**2, 200_000
MAX_READERS, MAX_POINTS = 32, 20_000


@dataclass(frozen=True)
class _Outline:
    """One outline of one reader: (N, 2) column and row; whether its inside belongs to the nodule."""

    reader: int
    points: np.ndarray
    within: bool


def read_lidc(data: bytes, rules: LidcReadings, places: Places) -> Found:
    """The boxes of one file."""
    try:
        root = parse_xml(data, MAX_ELEMENTS)
    except RefusedXml as error:
        return Found(defects=Counter({error.defect: 1}))
    except (ElementTree.ParseError, LookupError, ValueError):
        return Found(defects=Counter({Defect.UNPARSABLE: 1}))
    found = Found()
    sessions = [one for one in root if _tag(one) == "readingSession"]
    if _tag(root) != ROOT or not sessions:
        found.lose(Defect.UNPARSABLE)
        return found
    if len(sessions) > MAX_READERS:
        found.lose(Defect.TOO_LARGE)
        return found
    stacks = places.of_series(_text(_first(root, "ResponseHeader"), "SeriesInstanceUid"))
    drawn: defaultdict[SlicePlace, list[_Outline]] = defaultdict(list)
    for reader, session in enumerate(sessions):
        for nodule in _all(session, "unblindedReadNodule"):
            for roi in _all(nodule, "roi"):
                _read_roi(roi, reader, stacks, places, drawn, found)
    for place, outlines in drawn.items():
        _add(place, outlines, len(sessions), rules, found)
        places.annotated(place, found)
    # Where no outline lies on a slice, the slices are not where the readers saw them, and nobody knows what they show.
    fits = bool(drawn) or not found.defects[Defect.OFF_SLICES]
    for stack in stacks:  # all readers looked through all of it, whatever they marked
        if stack.alone and fits:
            found.series[stack.series] = stack.patient
    return found


def _read_roi(
    roi: ElementTree.Element,
    reader: int,
    stacks: tuple[Stack, ...],
    places: Places,
    drawn: "defaultdict[SlicePlace, list[_Outline]]",
    found: Found,
) -> None:
    place = _place(roi, stacks, places, found)
    if isinstance(place, Lost):
        lose(found, place)
        return
    points = _points(roi)
    if points is None:
        lose(found, Lost(Defect.BAD_CONTOUR, (place,)))
    elif len(points) < 3:
        lose(found, Lost(Defect.NO_AREA, (place,)))
    elif (points >= (place.columns, place.rows)).any():
        lose(found, Lost(Defect.OUTSIDE, (place,)))
    else:
        drawn[place].append(_Outline(reader, points, _text(roi, "inclusion").upper() != "FALSE"))


def _place(
    roi: ElementTree.Element, stacks: tuple[Stack, ...], places: Places, found: Found
) -> SlicePlace | Lost:
    named = places.named(_text(roi, "imageSOP_UID"))
    z = _number(_text(roi, "imageZposition"))
    if named is not None:
        if z is None or _is_at(z, named):
            return named
        return Lost(Defect.ELSEWHERE, (named, *_at(z, stacks)))
    if not stacks:
        return Lost(Defect.NO_SERIES)
    if z is None:
        return Lost(Defect.BAD_CONTOUR, tuple(one for stack in stacks for one in stack.slices))
    place = only(_at(z, stacks), found)
    if isinstance(place, Lost) and place.defect is Defect.OFF_SLICES:
        beside = (one for stack in stacks for one in stack.slices if _is_beside(z, one))
        return Lost(place.defect, tuple(beside))
    return place


def _at(z: float, stacks: tuple[Stack, ...]) -> list[SlicePlace]:
    """Of each stack the slice at this z, mm."""
    nearest = [min(stack.slices, key=lambda one: abs(float(one.origin[2]) - z)) for stack in stacks]
    return [one for one in nearest if _is_at(z, one)]


def _is_at(z: float, place: SlicePlace) -> bool:
    return abs(float(place.origin[2]) - z) < place.reach_mm - SLACK_MM


def _is_beside(z: float, place: SlicePlace) -> bool:
    """Whether a z that lies on no slice is at the end of what belongs to this one."""
    return abs(float(place.origin[2]) - z) <= place.reach_mm + SLACK_MM


def _points(roi: ElementTree.Element) -> np.ndarray | None:
    """(N, 2) column and row; None: one is missing, or no pixel of an image."""
    edges = _all(roi, "edgeMap")
    if not edges or len(edges) > MAX_POINTS:
        return None
    numbers = [_number(_text(edge, name)) for edge in edges for name in ("xCoord", "yCoord")]
    if any(number is None or not 0 <= number < MAX_EDGE for number in numbers):
        return None
    return np.array(numbers, np.float64).reshape(-1, 2)


def _add(
    place: SlicePlace, outlines: list[_Outline], readers: int, rules: LidcReadings, found: Found
) -> None:
    """The boxes on one slice, by the rule where readers differ."""
    by_reader = {one.reader: _mask(place, outlines, one.reader) for one in outlines}
    if rules.readers == "each":
        for mask in by_reader.values():
            add_boxes(found, mask, place, "lidc")
        return
    votes = np.sum(list(by_reader.values()), axis=0)
    agreed = votes > (readers / 2 if rules.readers == "majority" else 0)
    if agreed.any() or not votes.any():
        add_boxes(found, agreed, place, "lidc")
    else:
        lose(found, Lost(Defect.DISPUTED, (place,)))


def _mask(place: SlicePlace, outlines: list[_Outline], reader: int) -> Mask:
    shape = (place.rows, place.columns)
    mask = np.zeros(shape, np.bool_)
    for one in sorted(outlines, key=lambda one: not one.within):  # holes are cut last
        if one.reader == reader:
            inside = filled(one.points, shape)
            if one.within:
                inside &= ~_border(one.points, shape)
                mask |= inside
            else:
                mask &= ~(inside | _border(one.points, shape))
    return mask


def _border(points: np.ndarray, shape: tuple[int, int]) -> Mask:
    """The pixels that the outline runs through."""
    from skimage.draw import polygon_perimeter

    mask = np.zeros(shape, np.bool_)
    rows, columns = np.rint(points[:, 1]).astype(int), np.rint(points[:, 0]).astype(int)
    mask[polygon_perimeter(rows, columns, shape)] = True
    return mask


def _tag(element: ElementTree.Element) -> str:
    """Without its namespace."""
    return element.tag.rpartition("}")[2]


def _all(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in element if _tag(one) == name]


def _first(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next(iter(_all(element, name)), None)


def _text(element: ElementTree.Element | None, name: str) -> str:
    found = None if element is None else _first(element, name)
    return "" if found is None else (found.text or "").strip()


def _number(text: str) -> float | None:
    if len(text) > 32 or not NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None
