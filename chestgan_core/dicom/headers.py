"""The header of one file: geometry, rescale, how its pixels are stored; or why the file is left out.

In: the first bytes of a file. Out: `SliceHeader`, or `Rejected` with the reason. Only the bytes of the header are read
or inflated here, and only a few attributes are kept, because a folder may have a quarter of a million slices.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from pydicom import uid
from pydicom.dataset import Dataset

from chestgan_core.dicom.acquisition import KEYWORDS as ACQUISITION
from chestgan_core.dicom.acquisition import Acquisition, acquisition_of
from chestgan_core.dicom.attributes import number_of, printable_of, problem_of, tags_of, whole_of
from chestgan_core.dicom.dicom_file import PREAMBLE, Parsed, ends_within_header, inflated, is_dicom, parse
from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES, READ_ERRORS, FileLocation, Found
from chestgan_core.dicom.geometry import BadGeometry, Geometry, geometry_of
from chestgan_core.dicom.hounsfield import NotHounsfield, Rescale, rescale_of
from chestgan_core.dicom.identity import text_of, uid_of
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.patient_facts import age_band_of
from chestgan_core.dicom.patient_ids import normal_patient_id
from chestgan_core.dicom.pixel_layout import BadLayout, PixelLayout, layout_of
from chestgan_core.dicom.synthetic import ATTRIBUTES as SYNTHETIC
from chestgan_core.dicom.synthetic import synthetic_cause
from chestgan_core.reasons import Synthetic

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # with .1 to .4: the multi-frame ones
ENHANCED_CT = (uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage)

ATTRIBUTES = tags_of(
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "PatientSex",
    "PatientBirthDate", "PatientAge", "Modality", *SYNTHETIC, *ACQUISITION,
    "NumberOfFrames", "PhotometricInterpretation", "SamplesPerPixel", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing",
    "SliceThickness", "ConvolutionKernel", "Manufacturer", "SeriesDescription", "StudyDescription",
)  # fmt: skip

_CODE = re.compile(r"[A-Z0-9_]{2,16}")  # a modality: other text in its place is not repeated
READ_FURTHER = 16  # factor by which more is read of a header that is longer than what was read
# Of attributes before the pixels. Parsing a file of zeros to its end would take minutes.
MAX_HEADER_BYTES = 8 * 1024**2
MAX_THICKNESS_MM = 100.0


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One usable CT slice.

    sop_uid: as in the file, perhaps empty. content: a hash of pixels and place where other files have the same SOP
    instance UID and other content (series.py), else empty. series: shared by the slices of equal series headers.
    layout: how its pixels are stored. synthetic: whether it is flagged so, and read all the same.
    """

    location: FileLocation
    sop_uid: str
    geometry: Geometry
    rescale: Rescale
    layout: PixelLayout
    series: "SeriesHeader"
    acquisition: Acquisition
    content: str = ""
    synthetic: bool = False

    @property
    def rows(self) -> int:
        """Of the stored image."""
        return self.layout.rows

    @property
    def columns(self) -> int:
        """Of the stored image."""
        return self.layout.columns

    @property
    def position_mm(self) -> float:
        """Position along the normal, larger towards the head."""
        return self.geometry.position_mm


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """What the slices of a series share. patient_id and descriptions are raw: they must stay in memory.

    patient_id: empty where the file has none. study_uid: where it is missing, that of the series. person: birth date
    and sex as they are written, to find one id that several people have. age_band: of AGE_BANDS, or empty.
    """

    uid: str
    patient_id: str
    study_uid: str
    person: tuple[str, str]
    kernel: str
    manufacturer: str
    thickness_mm: float
    description: str
    study_description: str
    age_band: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that is left out. series: `series_key` of its series where the reason depends on that, else empty.
    synthetic_series: the SeriesInstanceUID of a file that is flagged synthetic, else empty.
    """

    reason: LeftOut
    cause: str = ""
    series: tuple[str, str, str] = ("", "", "")
    synthetic_series: str = ""


def series_key(series: SeriesHeader) -> tuple[str, str, str]:
    """What the files of a series share: PatientID (or StudyInstanceUID where there is none) and SeriesInstanceUID."""
    return series.patient_id, "" if series.patient_id else series.study_uid, series.uid


def read_header(
    found: Found, read: Callable[[int], bytes], synthetic: Synthetic = "refuse"
) -> SliceHeader | Rejected:
    """The header of one file. read(n) returns its first n bytes, for the rare header that is longer than found.head.

    synthetic: whether an object that is flagged so may be a slice. Refused, it has that reason before all others.
    """
    head = found.head
    if not head.strip(b"\0"):
        return Rejected(LeftOut.EMPTY, "it begins with nothing but zeros" if head else "it has no bytes")
    if not is_dicom(head):
        return Rejected(LeftOut.NOT_DICOM)
    while True:
        whole = len(head) >= min(found.size, MAX_SLICE_BYTES)
        try:
            raw = inflated(head, min(READ_FURTHER * len(head), MAX_SLICE_BYTES))
            parsed = parse(raw, ATTRIBUTES)
            if parsed.pixels is None and whole and ends_within_header(raw):
                return Rejected(LeftOut.UNREADABLE, "cut off inside the header")
            if parsed.pixels is not None or whole:
                read_from = _classify(found, parsed, head[128:PREAMBLE] == b"DICM", synthetic)
                return read_from if raw is not head else _not_cut(read_from, found.size)
        except Exception:
            # The head ends within a sequence, or the file is damaged (pydicom raises any exception then): only the
            # whole file shows which.
            if whole:
                return Rejected(LeftOut.UNREADABLE, "the DICOM header is damaged or cut short")
        if len(head) >= MAX_HEADER_BYTES:
            return Rejected(LeftOut.UNREADABLE, f"no pixels within its first {MAX_HEADER_BYTES >> 20} MiB")
        before = len(head)
        try:
            head = read(min(READ_FURTHER * before, MAX_HEADER_BYTES))
        except READ_ERRORS:
            return Rejected(LeftOut.UNREADABLE, "the file is damaged or cut short")
        if len(head) <= before:
            return Rejected(LeftOut.UNREADABLE, "it became shorter while it was read")


def _classify(found: Found, parsed: Parsed, marked: bool, synthetic: Synthetic) -> SliceHeader | Rejected:
    """marked: whether the file says that it is DICOM."""
    dataset = parsed.header
    modality = text_of(dataset, "Modality").strip(" \0").upper()
    sop_class = uid_of(dataset, "SOPClassUID", "MediaStorageSOPClassUID")
    if not marked and not modality and not sop_class:
        return Rejected(LeftOut.NOT_DICOM)
    if parsed.meta.get("MediaStorageSOPClassUID") == uid.MediaStorageDirectoryStorage:
        return Rejected(LeftOut.NOT_DICOM, "a DICOMDIR")
    made = synthetic_cause(dataset)
    if made and synthetic == "refuse":
        return Rejected(LeftOut.SYNTHETIC, made, synthetic_series=uid_of(dataset, "SeriesInstanceUID"))
    if modality not in ("CT", ""):
        named = modality if _CODE.fullmatch(modality) else "another one"
        return Rejected(LeftOut.NOT_CT, f"its modality is {named}")
    if sop_class.startswith(SECONDARY_CAPTURE):
        return Rejected(LeftOut.SECONDARY_CAPTURE)
    if sop_class in ENHANCED_CT:
        return Rejected(LeftOut.MULTI_FRAME, "an enhanced CT object")
    # Either of them says that it is a CT image; what its pixels need is checked below.
    if sop_class not in (uid.CTImageStorage, "") or not (sop_class or modality):
        stated = "it has another SOP class" if sop_class else "its modality and its SOP class are missing"
        return Rejected(LeftOut.NOT_CT, stated)
    sop_uid = uid_of(dataset, "SOPInstanceUID", "MediaStorageSOPInstanceUID")
    series = _series_of(dataset)
    if not series.uid:
        return Rejected(LeftOut.UNREADABLE, "the series instance UID is missing")
    if (whole_of(dataset, "NumberOfFrames") or 1) > 1:
        return Rejected(LeftOut.MULTI_FRAME, problem_of(dataset, "NumberOfFrames"))
    if parsed.pixels is None:
        return Rejected(LeftOut.NO_PIXEL_DATA)
    photometric = text_of(dataset, "PhotometricInterpretation").strip(" \0").upper()
    if photometric != "MONOCHROME2":
        named = (
            photometric if _CODE.fullmatch(photometric) else "missing" if not photometric else "another one"
        )
        return Rejected(LeftOut.NOT_MONOCHROME2, f"PhotometricInterpretation is {named}")
    if "SamplesPerPixel" in dataset and whole_of(dataset, "SamplesPerPixel") != 1:
        return Rejected(LeftOut.NOT_MONOCHROME2, problem_of(dataset, "SamplesPerPixel"))
    acquisition = acquisition_of(dataset)
    if "LOCALIZER" in acquisition.scans[0].split("\\"):
        return Rejected(LeftOut.LOCALIZER)
    try:
        geometry = geometry_of(dataset)
        if not geometry.axial:
            return Rejected(LeftOut.NOT_AXIAL, series=series_key(series))
        layout = layout_of(dataset, parsed.syntax, parsed.pixels, found.size)
        rescale = rescale_of(dataset, layout)
    except BadGeometry as error:
        return Rejected(LeftOut.NO_POSITION, str(error))
    except BadLayout as error:
        return Rejected(error.reason, error.cause)
    except NotHounsfield as error:
        return Rejected(LeftOut.NO_RESCALE, error.cause)
    return SliceHeader(
        found.location, sop_uid, geometry, rescale, layout, _shared(series), acquisition, synthetic=bool(made)
    )


def _not_cut(read: SliceHeader | Rejected, size: int) -> SliceHeader | Rejected:
    """The slice if the file holds all of its pixels. Whether compressed pixels are complete is known when decoded."""
    if isinstance(read, Rejected) or not read.layout.native:
        return read
    expected = read.rows * read.columns * read.layout.allocated // 8
    if size - read.layout.offset >= expected:
        return read
    return Rejected(LeftOut.UNREADABLE, "cut off inside the pixels")


def _series_of(dataset: Dataset) -> SeriesHeader:
    series_uid = uid_of(dataset, "SeriesInstanceUID")
    return SeriesHeader(
        uid=series_uid,
        patient_id=normal_patient_id(text_of(dataset, "PatientID")),
        study_uid=uid_of(dataset, "StudyInstanceUID") or series_uid,
        person=(text_of(dataset, "PatientBirthDate"), text_of(dataset, "PatientSex")),
        kernel=printable_of(dataset, "ConvolutionKernel"),
        manufacturer=printable_of(dataset, "Manufacturer"),
        thickness_mm=_thickness_mm(dataset),
        description=printable_of(dataset, "SeriesDescription"),
        study_description=printable_of(dataset, "StudyDescription"),
        age_band=age_band_of(text_of(dataset, "PatientAge")),
    )


@lru_cache(4096)
def _shared(series: SeriesHeader) -> SeriesHeader:
    """One object for all slices with equal values."""
    return series


def _thickness_mm(dataset: Dataset) -> float:
    """SliceThickness, mm; 0 where it is unknown: absent, text such as `2,5`, or nothing that a slice can have."""
    thickness = number_of(dataset, "SliceThickness")
    return thickness if thickness is not None and 0 < thickness <= MAX_THICKNESS_MM else 0.0
