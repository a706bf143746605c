"""Tumour boxes from DICOM segmentations (PS3.3 A.51): masks, frame by frame, of one or several segments.

In: an object with its pixels, and where the slices lie. Out: a box with a mask per slice and segment. A frame belongs
to the slice that it was derived from and on which its position lies, as contours do (places.py); its pixels must be
pixels of the slice, which may be flipped or transposed or only a part. A mask on a grid of its own is not resampled.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chestgan_core.config.annotation_config import Segmentations
from chestgan_core.dicom.attributes import number_of, numbers_of, printable_of, whole_of
from chestgan_core.dicom.identity import text_of, uid_of
from chestgan_core.reasons import Synthetic
from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.dicom_values import TooMany, items_of
from chestgan_core.sources.annotations.places import Lost, Places, Points, SlicePlace, Stack
from chestgan_core.sources.annotations.regions import Mask, add_boxes, lose

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from chestgan_core.dicom.pixel_layout import PixelElement

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
MAX_SEGMENTS, MAX_FRAMES, MAX_EDGE = 1000, 50_000, 4096
MAX_ITEMS = 10_000
MAX_MASKS = 20_000  # of a segment on a slice: 640 MB at 512 x 512 pixels
# Categories of property (CID 7150), in SNOMED CT and its retired codes, that no tumour has.
ANATOMICAL = {"123037004", "91723000", "85756007", "T-D0050", "T-D000A", "R-42018"}
OFF_GRID = 0.25
"""Pixels by which the middle of a pixel of the mask may lie beside that of the slice."""


@dataclass(frozen=True)
class _Frames:
    """The frames of an object. bits: 1, 8 or 16 per pixel."""

    rows: int
    columns: int
    bits: int
    pixels: memoryview

    def of(self, index: int) -> np.ndarray:
        """(rows, columns) of frame `index`."""
        count = self.rows * self.columns
        if self.bits > 1:
            kind = np.dtype("<u1" if self.bits == 8 else "<u2")
            whole = np.frombuffer(self.pixels, kind, count, index * count * kind.itemsize)
            return whole.reshape(self.rows, self.columns)
        first = index * count  # frames follow each other bit by bit (PS3.5 8.2)
        data = np.frombuffer(self.pixels, np.uint8)[first // 8 : (first + count + 7) // 8]
        bits = np.unpackbits(data, bitorder="little")[first % 8 : first % 8 + count]
        return bits.reshape(self.rows, self.columns)


@dataclass(frozen=True)
class _Plane:
    """Where a frame lies: first pixel, axes as in `SlicePlace`, and the SOP instances that it was derived from."""

    origin: Points
    along_row: Points
    along_column: Points
    column_mm: float
    row_mm: float
    uids: tuple[str, ...]

    def points_of(self, rows: np.ndarray, columns: np.ndarray) -> Points:
        """(N, 3) mm of the middles of pixels."""
        across = columns[:, None] * self.column_mm * self.along_row
        down = rows[:, None] * self.row_mm * self.along_column
        points: Points = self.origin + across + down
        return points


def read_segmentation(
    header: "Dataset",
    pixels: "PixelElement | None",
    raw: bytes,
    rules: Segmentations,
    places: Places,
    patient: str,
    synthetic: Synthetic = "refuse",
) -> Found:
    """The boxes of one object. header, pixels: of `raw` (dicom_file.parse). patient: whose it is, as in the catalog.
    synthetic: what is done with one that is flagged so.
    """
    from chestgan_core.dicom.synthetic import synthetic_cause

    found = Found()
    if synthetic == "refuse" and synthetic_cause(header):
        found.lose(Defect.SYNTHETIC)
        return found
    chosen, refused = _chosen(header, rules, found)
    if not chosen | refused:
        return found
    series = {
        uid_of(one, "SeriesInstanceUID") for one in items_of(header, "ReferencedSeriesSequence", MAX_ITEMS)
    }
    stacks, lost = places.candidates(patient, uid_of(header, "FrameOfReferenceUID"), series)
    frames = _frames(header, pixels, raw)
    if isinstance(frames, Defect):
        lose(found, Lost(frames, places.named_or_all((), stacks)))
        return found
    shared = next(items_of(header, "SharedFunctionalGroupsSequence", 1), None)
    groups = list(items_of(header, "PerFrameFunctionalGroupsSequence", MAX_FRAMES))
    if len(groups) != (whole_of(header, "NumberOfFrames") or 1):
        lose(found, Lost(Defect.BAD_CONTOUR, places.named_or_all((), stacks)))
        return found
    seen: set[int] = set()
    # One bit per pixel: a segment may have a thousand slices.
    masks: dict[tuple[int, SlicePlace], NDArray[np.uint8]] = {}
    for index, group in enumerate(groups):
        for number, mask in _masks(header, group, shared, frames, index, chosen | refused):
            if not mask.any():
                continue
            seen.add(number)
            plane = _plane(group, shared)
            counted = Found() if number in refused else found  # the segment was counted
            place = (
                _place(plane, mask, places, stacks, lost, patient, counted)
                if plane
                else Lost(Defect.BAD_CONTOUR, places.named_or_all(_uids(group), stacks))
            )
            if number in refused:  # a program saw a tumour there: nobody knows
                concerned = place.slices if isinstance(place, Lost) else (place,)
                found.unsure.update({one.name: one.patient for one in concerned})
                continue
            if isinstance(place, Lost):
                lose(found, place)
                continue
            at = _pixels(plane, mask, place) if plane else None
            if at is None:
                lose(found, Lost(Defect.OTHER_GRID, (place,)))
                continue
            whole = np.zeros((place.rows, place.columns), np.bool_)
            whole[at[:, 1], at[:, 0]] = True
            if (number, place) not in masks and len(masks) == MAX_MASKS:
                raise TooMany("masks")
            bits = np.packbits(whole, axis=1)
            masks[number, place] = bits | masks.get((number, place), np.uint8(0))
    for (_, place), bits in masks.items():
        whole = np.unpackbits(bits, axis=1, count=place.columns).astype(np.bool_)
        add_boxes(found, whole, place, "seg")
        places.annotated(place, found)
    found.defects[Defect.NEVER_DRAWN] += len(chosen - seen)
    return found


def _chosen(header: "Dataset", rules: Segmentations, found: Found) -> tuple[set[int], set[int]]:
    """The numbers of the segments that are tumours, and of those that a program alone says are some."""
    chosen: set[int] = set()
    refused: set[int] = set()
    segments = list(items_of(header, "SegmentSequence", MAX_SEGMENTS))
    found.defects[Defect.NO_OBJECT] += not segments
    for segment in segments:
        number = whole_of(segment, "SegmentNumber")
        category, kind = (
            next(items_of(segment, f"SegmentedProperty{name}CodeSequence", MAX_ITEMS), None)
            for name in ("Category", "Type")
        )
        names = [
            printable_of(segment, "SegmentLabel"),
            "" if kind is None else printable_of(kind, "CodeMeaning"),
        ]
        anatomical = category is not None and text_of(category, "CodeValue").strip() in ANATOMICAL
        if number is None or anatomical or not rules.named(*names):
            found.defects[Defect.OTHER_REGION] += 1
        elif rules.automatic == "refuse" and text_of(segment, "SegmentAlgorithmType").strip() == "AUTOMATIC":
            found.lose(Defect.AUTOMATIC)
            refused.add(number)
        else:
            chosen.add(number)
    return chosen, refused - chosen


def _frames(header: "Dataset", pixels: "PixelElement | None", raw: bytes) -> _Frames | Defect:
    rows, columns = whole_of(header, "Rows") or 0, whole_of(header, "Columns") or 0
    count, bits = whole_of(header, "NumberOfFrames") or 1, whole_of(header, "BitsAllocated") or 0
    if pixels is None or not (0 < rows <= MAX_EDGE and 0 < columns <= MAX_EDGE and 0 < count <= MAX_FRAMES):
        return Defect.BAD_CONTOUR
    if pixels.length == 0xFFFFFFFF:
        return Defect.COMPRESSED
    needed = (rows * columns * count * bits + 7) // 8
    if bits not in (1, 8, 16) or not pixels.little_endian or len(raw) - pixels.offset < needed:
        return Defect.BAD_CONTOUR
    return _Frames(rows, columns, bits, memoryview(raw)[pixels.offset : pixels.offset + needed])


def _masks(
    header: "Dataset",
    group: "Dataset",
    shared: "Dataset | None",
    frames: _Frames,
    index: int,
    chosen: set[int],
) -> "list[tuple[int, Mask]]":
    """The segments that a frame shows, with their masks."""
    if uid_of(header, "SOPClassUID", "MediaStorageSOPClassUID") == LABEL_MAP:
        values = frames.of(index)
        return [(number, values == number) for number in sorted(chosen)]
    identification = _macro("SegmentIdentificationSequence", group, shared)
    number = None if identification is None else whole_of(identification, "ReferencedSegmentNumber")
    if number is None or number not in chosen:
        return []
    values = frames.of(index)
    if text_of(header, "SegmentationType").strip() == "FRACTIONAL":
        most = number_of(header, "MaximumFractionalValue") or 255
        return [(number, values >= most / 2)]
    return [(number, values > 0)]


def _plane(group: "Dataset", shared: "Dataset | None") -> _Plane | None:
    """Where a frame lies; None: a part of it is missing or no number."""
    position = _macro("PlanePositionSequence", group, shared)
    orientation = _macro("PlaneOrientationSequence", group, shared)
    measures = _macro("PixelMeasuresSequence", group, shared)
    if position is None or orientation is None or measures is None:
        return None
    origin = numbers_of(position, "ImagePositionPatient")
    axes = numbers_of(orientation, "ImageOrientationPatient")
    spacing = numbers_of(measures, "PixelSpacing")
    if origin is None or axes is None or spacing is None:
        return None
    if (len(origin), len(axes), len(spacing)) != (3, 6, 2) or not 0 < min(spacing) <= max(spacing) < 100:
        return None
    if max(map(abs, origin)) > 10_000 or not all(0.9 < math.hypot(*axes[i : i + 3]) < 1.1 for i in (0, 3)):
        return None
    along_row, along_column = (np.asarray(one) / np.linalg.norm(one) for one in (axes[:3], axes[3:]))
    return _Plane(np.asarray(origin), along_row, along_column, spacing[1], spacing[0], _uids(group))


def _uids(group: "Dataset") -> tuple[str, ...]:
    """The SOP instances of a frame. Only what it says of itself names its slice: the shared part lists all."""
    return tuple(
        uid_of(source, "ReferencedSOPInstanceUID")
        for derivation in items_of(group, "DerivationImageSequence", MAX_ITEMS)
        for source in items_of(derivation, "SourceImageSequence", MAX_ITEMS)
    )


def _macro(keyword: str, group: "Dataset", shared: "Dataset | None") -> "Dataset | None":
    """The item of a functional group: that of the frame, else the one that all frames share."""
    for one in (group, shared):
        if one is not None and (item := next(items_of(one, keyword, MAX_ITEMS), None)) is not None:
            return item
    return None


def _place(
    plane: _Plane,
    mask: Mask,
    places: Places,
    stacks: tuple[Stack, ...],
    lost: Lost | None,
    patient: str,
    found: Found,
) -> SlicePlace | Lost:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    corners = np.array([(row, column) for row in rows[[0, -1]] for column in columns[[0, -1]]])
    uids = plane.uids if len(plane.uids) == 1 else ()
    place = places.find(plane.points_of(corners[:, 0], corners[:, 1]), uids, stacks, patient, found)
    if isinstance(place, Lost) and place.defect is Defect.OFF_SLICES and lost is not None:
        return lost
    return place


def _pixels(plane: _Plane, mask: Mask, place: SlicePlace) -> NDArray[np.int64] | None:
    """The pixels of the slice under those of the mask, (N, 2) column and row; None: the grids differ."""
    at = place.pixels_of(plane.points_of(*np.nonzero(mask)))
    whole = np.rint(at)
    if abs(at - whole).max() > OFF_GRID or (whole < 0).any() or (whole >= (place.columns, place.rows)).any():
        return None
    # Pixels of another size can lie near enough to some middles, but not one for one.
    indices = whole.astype(np.int64)
    return indices if len(np.unique(indices, axis=0)) == len(indices) else None
