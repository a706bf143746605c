"""Tumour boxes: where experts saw the tumour, on which slice.

In: what the readers of this folder find in files of each kind. Out: `TumourBox`, by SOP instance, and counts
of defects. A defect is counted, never repaired by a guess. Imports nothing heavy.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

Origin: TypeAlias = Literal["voc", "sr", "phantom", "rtstruct", "seg", "lidc"]


@dataclass(frozen=True, slots=True)
class TumourBox:
    """A box on one slice: [left, right) x [top, bottom) in pixels of the stored image, origin top left.

    patient, sop_uid: as in the catalog and the slices (pseudonyms if the dataset is private). label: A, B, E or G as
    the annotator wrote it, empty for anything else. It never decides the histology, which is that of the PatientID.
    origin: the kind of file. image_width, image_height: of the image in pixels, as the annotation states them, 0 if it
    does not. mask: which pixels of the box are tumour (masks.py), empty where only a box was drawn.
    """

    patient: str
    sop_uid: str
    left: int
    top: int
    right: int
    bottom: int
    label: str
    origin: Origin
    image_width: int = 0
    image_height: int = 0
    mask: str = ""

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True)
class Annotations:
    """What is known about the tumours of a dataset; a slice without a box shows no tumour only where somebody looked.

    boxes: sorted by patient, slice and edges, each once. defects: Defect -> number of files, objects or series.
    annotated_series: series that were annotated as a whole, sorted, named as in the catalog: their slices without a box
    show no tumour. (PASCAL VOC files and reports name slices only: of these kinds a series is annotated if a box lies
    on one of its slices.) unsure_slices: SOP instances, sorted, on which something was drawn that could not be used, so
    that without a box they say nothing. patient_of: whose these series and slices are.
    """

    boxes: tuple[TumourBox, ...]
    defects: Mapping[str, int]
    annotated_series: tuple[str, ...] = ()
    unsure_slices: tuple[str, ...] = ()
    patient_of: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Found:
    """What was read from annotations. series: those annotated as a whole, unsure: slices on which something was drawn
    that could not be used; both UID -> patient, empty where unknown.
    """

    boxes: "list[TumourBox]" = field(default_factory=list)
    defects: "Counter[Defect]" = field(default_factory=Counter)
    series: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Take over what another file gave."""
        self.boxes += other.boxes
        self.defects.update(other.defects)
        self.series.update(other.series)
        self.unsure.update(other.unsure)

    def lose(self, defect: "Defect", sop_uid: str = "", patient: str = "") -> None:
        """Count what cannot be used. sop_uid: the slice that it was drawn on, if that is known."""
        self.defects[defect] += 1
        if sop_uid:
            self.unsure[sop_uid] = patient

    def renamed(self, series: Callable[[str], str], sop: Callable[[str], str]) -> "Found":
        """With other names for its series and slices."""
        return Found(
            [replace(box, sop_uid=sop(box.sop_uid)) for box in self.boxes],
            self.defects,
            {series(uid): patient for uid, patient in self.series.items()},
            {sop(uid): patient for uid, patient in self.unsure.items()},
        )


class Defect(StrEnum):
    """What is wrong with an annotation. The value is printed in reports; `.meaning` explains it in one line.

    `.loses`: whether the box cannot be used; otherwise it is used, and the defect only counted.
    """

    meaning: str
    loses: bool

    def __new__(cls, value: str, loses: bool, meaning: str) -> "Defect":
        """A member that is the string `value` and carries the rest."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.loses = loses
        member.meaning = meaning
        return member

    UNREADABLE = (
        "unreadable",
        True,
        "a file or an archive that cannot be read, or a link that leads out of the folder",
    )
    TOO_LARGE = "too-large", True, "a file larger, deeper or of more elements than any annotation"
    NESTED = "nested-object", True, "an object within an object, or a box within a box"
    UNPARSABLE = "unparsable", True, "XML that is not well-formed, or not an annotation"
    DOCTYPE = (
        "doctype",
        True,
        "XML with a document type: refused, as its entities may read files or exhaust the memory",
    )
    NO_UID = "no-sop-uid", True, "the name of the file is not a SOP instance UID"
    NO_OBJECT = "no-object", True, "an annotation without a box"
    BAD_BOX = "bad-box", True, "an edge of the box is missing, repeated or not a number"
    REVERSED = "reversed-box", True, "a box whose minimum lies above its maximum"
    EMPTY_BOX = "empty-box", True, "a box without an area"
    FRACTIONS = "fractions", True, "all edges lie between 0 and 1: fractions of the image, not pixels"
    TINY = "tiny-box", True, "a box of less than 2 pixels in width or height"
    OUTSIDE = "outside-image", True, "a box that lies outside the image"
    REACHES_OUT = "reaches-out", False, "a box that reaches beyond the image: cut at its edge"
    NO_SIZE = (
        "no-image-size",
        False,
        "the size of the image is missing or impossible, so the box cannot be checked against it",
    )
    LOWER_CASE = "lower-case-label", False, "a, b, e or g"
    STRAY_LABEL = "stray-label", False, "a label that is not a histology: empty, another letter, an id"
    LABEL_CONFLICT = "label-conflict", False, "a label that contradicts the patient's histology, which counts"
    UNKNOWN_PATIENT = "unknown-patient", False, "a folder whose name is not a patient of the catalog"
    REPEATED = (
        "repeated-box",
        False,
        "the same box on the same slice again, in another file or from another origin",
    )
    FORGOTTEN = "forgotten", True, "a box of a patient who has withdrawn (chestgan forget)"
    REPORT_REFUSED = (
        "report-refused",
        True,
        "a series of reports that its source does not have, or only damaged",
    )
    REPORT_UNREACHABLE = (
        "report-unreachable",
        True,
        "a series of reports whose source did not answer: materialize again later",
    )
    NO_REPORT = (
        "no-measurement-report",
        True,
        "a file that is not a structured report with measurement groups (TID 1500)",
    )
    SYNTHETIC = (
        "synthetic",
        True,
        "a report that is flagged synthetic: what it describes was made, or nobody drew it",
    )
    NO_REGION = "no-region", True, "a measurement group without coordinates"
    NO_IMAGE = "no-referenced-image", True, "coordinates that reference no image, or more than one"
    MULTI_FRAME = "frame-of-an-image", True, "coordinates on a frame of an image that has several"
    NO_AREA = "graphic-without-area", True, "coordinates that are a point, or not an outline"
    NEEDS_GEOMETRY = (
        "patient-coordinates",
        True,
        "3D coordinates in mm, which only the geometry of the image places",
    )
    OTHER_REGION = (
        "other-region",
        False,
        "a region that is no tumour by its name or type: an organ, a lymph node, a margin",
    )
    NEVER_DRAWN = "never-drawn", True, "a region that is a tumour by its name and has no contour and no pixel"
    BAD_CONTOUR = (
        "bad-contour",
        True,
        "a contour or frame whose numbers are missing, damaged, beyond any image or too many",
    )
    NO_SERIES = "no-series", True, "a contour or mask whose series is not among the slices"
    OTHER_PATIENT = "other-patient", True, "a contour or mask of another patient than the slice that it names"
    OTHER_FRAME = (
        "other-frame-of-reference",
        True,
        "a contour or mask in another frame of reference than its slices",
    )
    OFF_SLICES = (
        "off-slices",
        True,
        "a contour or mask that lies on none of the slices: between, beyond or across them",
    )
    ELSEWHERE = "lies-elsewhere", True, "a contour or mask that names one slice and lies on another"
    AMBIGUOUS = "several-series", True, "a contour or mask that fits slices of several scans and names none"
    BY_POSITION = (
        "placed-by-position",
        False,
        "a contour or mask that names no slice that is here: it belongs to the one that it lies on",
    )
    OTHER_GRID = "other-grid", True, "a mask whose pixels are not those of the slice that it lies on"
    COMPRESSED = "compressed-mask", True, "a segmentation whose pixels are compressed: decompress it first"
    AUTOMATIC = "automatic", True, "a segment that a program made alone: nobody drew it"
    DISPUTED = "disputed", True, "an outline that too few of the readers drew"
