"""Why a file or a slice is left out, and what is doubtful about those that are used: closed lists, counted with causes.

In: reasons, causes and names of files, one by one. Out: `Cause`s: groups with a count and one file each, so that a
report of a million files stays short and still says what is wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chestgan_core.escaping import escaped
from chestgan_core.reasons import Reason

SHOWN_CAUSES = 10


class LeftOut(Reason):
    """A reason. The value is what reports print; `.meaning` explains it in one line."""

    EMPTY = "empty-file", "a file without bytes, or of zeros, as a copy that failed leaves it"
    NOT_DICOM = "not-dicom", "not a DICOM image or object (licence, table, DICOMDIR, other data)"
    UNSAFE_NAME = "unsafe-name", "a zip entry whose name is absolute, or leads out of the archive by .."
    SPECIAL_FILE = (
        "special-file",
        "a link out of the delivery or within an archive, a pipe, a socket or a device: never opened",
    )
    ARCHIVE = "archive", "an archive that is not read (.7z, .rar, ...) or holds no files: unpack it first"
    UNREADABLE = "unreadable", "damaged, cut short, encrypted, or pixel data of the wrong length"
    UNSUPPORTED_COMPRESSION = "unsupported-compression", "no installed decoder reads this transfer syntax"
    NO_PIXEL_DATA = "no-pixel-data", "a CT object without an image"
    SYNTHETIC = (
        "synthetic",
        "flagged synthetic (SyntheticData, or a synthesizer among its equipment), or in a series with such a file: no "
        "generator is trained on what a generator made",
    )
    NOT_CT = "not-ct", "another modality or object: PET, segmentation, structured report, radiograph"
    SECONDARY_CAPTURE = "secondary-capture", "a screen capture or fused colour image, not measured values"
    MULTI_FRAME = "multi-frame", "enhanced CT: many frames in one object"
    NOT_MONOCHROME2 = "not-monochrome2", "not grey levels in which low values are dark"
    LOCALIZER = "localizer", "a scout view that other slices are planned on"
    NO_POSITION = "no-position", "position, orientation or pixel spacing is missing or invalid"
    NOT_AXIAL = "not-axial", "a coronal, sagittal or strongly oblique slice"
    NO_RESCALE = "not-hounsfield", "no usable rescale slope and intercept, or a rescale type other than HU"
    DUPLICATE = "duplicate", "the same pixels at the same place of the same patient as another file"
    ONE_POSITION = (
        "one-position",
        "all slices of its series have one position, so that their order is unknown",
    )
    OVERLAPPING = (
        "overlapping",
        "other slices of its series lie at the same position, and nothing in the headers tells the scans apart",
    )
    MIXED_ORIENTATION = "mixed-orientation", "at an angle to most slices of its series"
    NO_BODY = "no-body", "nothing as dense as a body: air, or a table alone"
    NO_LUNG = "no-lung", "above or below the lungs of its series, or no lung region was found in it"
    NOT_SELECTED = (
        "not-selected",
        "one of several scans or reconstructions of its series, which does not meet the rules of the dataset",
    )
    TRIMMED = "trimmed", "at an end of the lungs, left out because the recipe trims"


class Doubt(Reason):
    """What is doubtful about files that are used. `.meaning` says what was done."""

    UID_COLLISION = (
        "uid-collision",
        "one SOP instance UID for files with other content: all are kept, under UIDs made from their content",
    )
    UID_OF_SEVERAL_PATIENTS = (
        "uid-of-several-patients",
        "one SOP instance UID in files of several patients: all are kept; if the pixels are the same, one person "
        "may have two ids",
    )
    NO_UID = "no-uid", "the SOP instance UID is missing: the slices are named by their content"
    NO_PATIENT_ID = (
        "no-patient-id",
        "the PatientID is missing: each study counts as one patient; a training set refuses them unless the dataset "
        "says missing_patient_ids: by_study",
    )
    PATIENT_OF_STUDY = (
        "patient-of-study",
        "the PatientID is missing, and other files of the study have one: it counts for all of them",
    )
    PLACEHOLDER_ID = "placeholder-id", "the PatientID is a word for none, and counts as one patient"
    SHARED_ID = (
        "shared-id",
        "one PatientID with several birth dates or sexes: it counts as one patient, and may be several",
    )
    SEVERAL_STACKS = (
        "several-stacks",
        "a series with several scans or reconstructions: each is a stack of its own, judged and cropped by itself",
    )
    SYNTHETIC = (
        "synthetic",
        "flagged synthetic, and used: the dataset (synthetic: accept) or --synthetic accept lets them in",
    )
    SLICE_LOCATION = (
        "slice-location",
        "positions repeat where SliceLocation does not: SliceLocation was taken as the position",
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """Files with one reason and one cause. reason: a LeftOut or a Doubt. example: the name of one of the files; empty
    where names may not be shown.
    """

    reason: str
    cause: str
    files: int
    example: str

    def line(self) -> str:
        """For a terminal, where a name of a file may hold any character."""
        files = "1 file" if self.files == 1 else f"{self.files} files"
        cause = f": {self.cause}" if self.cause else ""
        example = f", such as {self.example}" if self.example else ""
        return escaped(f"{self.reason}{cause} ({files}{example})")

    def as_json(self) -> dict[str, Any]:
        """For json.dumps."""
        return {"reason": self.reason, "cause": self.cause, "files": self.files, "example": self.example}


class Causes:
    """Counts files by reason and cause. Memory: one name for each pair, at most MAX pairs."""

    MAX = 1000
    _OTHER = "other causes"

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, reason: str, cause: str, name: str, files: int = 1) -> None:
        """Count files. name: of one of them; the first by name becomes the example, whatever the order."""
        key = reason, cause
        if key not in self._groups and len(self._groups) >= self.MAX:
            key = reason, self._OTHER
        count, example = self._groups.get(key, (0, name))
        self._groups[key] = count + files, min(example, name)

    def extend(self, causes: Iterable[Cause]) -> None:
        """Count what was counted elsewhere."""
        for one in causes:
            self.add(one.reason, one.cause, one.example, one.files)

    def listed(self) -> tuple[Cause, ...]:
        """By reason and cause: the order in which files were read does not show."""
        return tuple(Cause(*key, *value) for key, value in sorted(self._groups.items()))


def shown(causes: Iterable[Cause], limit: int = SHOWN_CAUSES) -> list[str]:
    """The causes that a person should see, most files first, as lines; then how many more there are.

    A reason without a cause says all by itself, and is counted elsewhere.
    """
    ordered = sorted(
        (one for one in causes if one.cause), key=lambda one: (-one.files, one.reason, one.cause)
    )
    lines = [one.line() for one in ordered[:limit]]
    more = len(ordered) - limit
    return [*lines, f"and {more} more causes: --json lists all"] if more > 0 else lines


def without_names(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """The causes without names of files, which in private folders often are names of people."""
    return tuple(replace(one, example="") for one in causes)


def below(causes: Iterable[Cause], folder: Path) -> tuple[Cause, ...]:
    """The causes with names of files below a folder: the same files elsewhere give the same report."""
    return tuple(replace(one, example=one.example.removeprefix(f"{folder}/")) for one in causes)


def in_brackets(causes: Iterable[Cause], limit: int = 3) -> str:
    """The first causes as the end of a line of an error; empty where there are none."""
    return "".join(f" [{line}]" for line in shown(causes, limit))
