"""Annotations that lie as files in a folder or zip: DICOM RTSTRUCT, segmentations and structured reports, XML of
LIDC-IDRI and PASCAL VOC, in any mixture, among other files.

In: the folder, the kinds that the dataset names, and the series that they may be drawn on. Out: their boxes. The kind
of a file is seen from what it holds, never from its name. Files of other kinds are left to the catalog, which counts
every file of the folder.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from chestgan_core.config.annotation_config import (
    LidcReadings,
    RtStructures,
    Segmentations,
    StructuredReports,
    VocFiles,
)
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.reasons import Synthetic
from chestgan_core.sources.annotations import lidc
from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.dicom_values import TooMany
from chestgan_core.sources.annotations.rtstruct import read_structures
from chestgan_core.sources.annotations.segmentation import LABEL_MAP, SEGMENTATION, read_segmentation
from chestgan_core.sources.annotations.structured_reports import read_report
from chestgan_core.sources.annotations.voc import UID, read_voc

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.dicom.file_walk import Found as File
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.sources.annotations.places import Places

FileKind: TypeAlias = StructuredReports | VocFiles | RtStructures | Segmentations | LidcReadings

STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
REPORTS = "1.2.840.10008.5.1.4.1.1.88."  # all classes of structured reports begin so
MAX_FILE_BYTES = 256 * 1024**2  # of a segmentation of 1,000 slices; a structure set has some MB


@dataclass
class FileCounts:
    """files: of a kind, by kind. found: what they gave, by kind."""

    files: Counter[str] = field(default_factory=Counter)
    found: dict[str, Found] = field(default_factory=dict)


@dataclass(frozen=True)
class AnnotationReader:
    """Reads annotation files for one dataset.

    entries: kind -> what the dataset says of it. places: called once, when the first contour or mask needs slices.
    patient_of: name of a folder -> patient, for PASCAL VOC files whose slice is not here.
    """

    entries: dict[str, FileKind]
    places: "Callable[[], Places]"
    patient_of: Callable[[str], str]
    pseudonyms: "Pseudonyms"
    synthetic: Synthetic = "refuse"

    def read_below(self, folder: Path, progress: Progress | None = None) -> FileCounts:
        """Every annotation below a folder, or in a zip. Raises BadInput: no such path, or empty."""
        from chestgan_core.dicom.file_walk import Archives, Refused, walk

        counts = FileCounts(found={kind: Found() for kind in self.entries})
        with Archives() as archives:
            for file in walk([folder], archives):
                if not isinstance(file, Refused) and (kind := self._kind_of(file, archives)):
                    counts.files[kind] += 1
                    counts.found[kind].add(self._read(kind, file, archives))
                if progress is not None:
                    progress.step()
        return counts

    def _kind_of(self, file: "File", archives: "Archives") -> str:
        """Of the kinds that the dataset names; "" for any other file."""
        from chestgan_core.dicom.dicom_file import inflated, is_dicom, sop_class_of

        if is_dicom(file.head):
            try:
                sop_class = sop_class_of(inflated(file.head, 16 * len(file.head)))
            except zlib.error:  # damaged: its file meta information says what it was
                sop_class = sop_class_of(file.head)
            kind = {STRUCTURES: "rtstruct", SEGMENTATION: "seg", LABEL_MAP: "seg"}.get(sop_class, "")
            kind = "sr" if sop_class.startswith(REPORTS) else kind
        elif _path(file).suffix.lower() != ".xml":
            return ""
        else:
            # A damaged file of either kind is counted once, under PASCAL VOC where the dataset names that.
            is_lidc = lidc.ROOT.encode() in file.head or "voc" not in self.entries
            kind = "lidc" if is_lidc and "lidc" in self.entries else "voc"
        return kind if kind in self.entries else ""

    def _read(self, kind: str, file: "File", archives: "Archives") -> Found:
        from chestgan_core.dicom.file_walk import READ_ERRORS

        limit = lidc.MAX_FILE_BYTES if kind == "lidc" else MAX_FILE_BYTES
        if file.size > limit:
            return Found(defects=Counter({Defect.TOO_LARGE: 1}))
        try:
            data = archives.read(file.location, limit)
        except READ_ERRORS:
            return Found(defects=Counter({Defect.UNREADABLE: 1}))
        match self.entries[kind]:
            case LidcReadings() as rules:
                return lidc.read_lidc(data, rules, self.places())
            case VocFiles():
                return self._read_voc(data, file)
            case _:
                return self._read_dicom(kind, data)

    def _read_voc(self, data: bytes, file: "File") -> Found:
        path = _path(file)
        uid = path.stem if UID.fullmatch(path.stem) else ""
        place = self.places().named(uid) if uid else None
        if place is None:
            found = read_voc(data, uid, self.patient_of(path.parent.name))
            return found.renamed(self.pseudonyms.series, self.pseudonyms.sop)
        found = read_voc(data, uid, place.patient)
        return found.renamed(self.pseudonyms.series, lambda _: place.name)

    def _read_dicom(self, kind: str, data: bytes) -> Found:
        """Nothing of a damaged object is used: pydicom raises errors of any class."""
        from chestgan_core.dicom.dicom_file import ends_within_header, inflated, parse
        from chestgan_core.dicom.identity import text_of, uid_of

        try:
            raw = inflated(data, MAX_FILE_BYTES)
            parsed = parse(raw)
            if parsed.pixels is None and ends_within_header(raw):  # cut off: what is missing was drawn, too
                return Found(defects=Counter({Defect.UNREADABLE: 1}))
            header = parsed.header
            patient = self._patient(text_of(header, "PatientID"), uid_of(header, "StudyInstanceUID"))
            match self.entries[kind]:
                case RtStructures() as rules:
                    return read_structures(header, rules, self.places(), patient, self.synthetic)
                case Segmentations() as rules:
                    return read_segmentation(
                        header, parsed.pixels, raw, rules, self.places(), patient, self.synthetic
                    )
                case _:
                    return self._read_report(data, patient)
        except TooMany:
            return Found(defects=Counter({Defect.TOO_LARGE: 1}))
        except Exception:
            return Found(defects=Counter({Defect.UNREADABLE: 1}))

    def _patient(self, patient_id: str, study_uid: str) -> str:
        """Of the slices. If these were cleaned since the tumour was drawn, the name of the patient became the id."""
        try:
            name = self.pseudonyms.patient(patient_id, study_uid)
        except BadInput:  # an id that no patient of a public collection has
            return ""
        if self.pseudonyms.secret is None:
            return name
        return self.places().patient(name, self.pseudonyms.patient(name))

    def _read_report(self, data: bytes, patient: str) -> Found:
        def name(uid: str) -> str:
            place = self.places().named(uid)
            return self.pseudonyms.sop(uid) if place is None else place.name

        return read_report(data, patient, self.synthetic, name, self.places())


def _path(file: "File") -> PurePosixPath:
    """The name of a file; that of an entry in a zip follows after a colon."""
    return PurePosixPath(file.name.replace("\\", "/").replace(":", "/"))
