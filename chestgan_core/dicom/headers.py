"""The header of one file: geometry, rescale, how its pixels are stored; or why the file is left out.

In: the first bytes of a file. Out: `SliceHeader`, or `Rejected` with the reason. Only the bytes of the header are read
or inflated here, and only a few attributes are kept, because a folder may have a quarter of a million slices.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import Tag

from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES, READ_ERRORS, FileLocation, Found
from chestgan_core.dicom.geometry import Geometry, geometry_of
from chestgan_core.dicom.hounsfield import NotHounsfield, Rescale, rescale_of
from chestgan_core.dicom.left_out import LeftOut

# Attributes that violate their value representation are common and harmless; validation costs a third of the time, and
# its warnings quote values, which may name a person.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
# JPEG with 12 bits: GDCM decodes it, but not through pydicom (pixels.py).
JPEG_12_BIT = (uid.JPEGExtended12Bit, "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # with .1 to .4: the multi-frame ones
ENHANCED_CT = (uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage)

ATTRIBUTES = [Tag(keyword) for keyword in (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "PatientID", "Modality", "ImageType",
    "NumberOfFrames", "PhotometricInterpretation", "SamplesPerPixel", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing",
    "SliceThickness", "ConvolutionKernel", "Manufacturer", "SeriesDescription", "StudyDescription",
)]  # fmt: skip

PREAMBLE = 132  # 128 free bytes and DICM; the file meta information follows, always explicit little endian
PIXEL_DATA = {True: b"\xe0\x7f\x10\x00", False: b"\x7f\xe0\x00\x10"}  # its tag, by "is little endian"
READ_FURTHER = 16  # factor by which more is read of a header that is longer than what was read


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One usable CT slice.

    dtype: of stored values, as numpy names it. unused: how many high bits of a stored value do not belong to it (DICOM
    PS3.5 8.1.1) and may hold anything. offset: of the pixels in the inflated file, 0 where they are compressed.
    """

    location: FileLocation
    sop_uid: str
    geometry: Geometry
    rescale: Rescale
    rows: int
    columns: int
    dtype: str
    unused: int
    offset: int

    @property
    def position_mm(self) -> float:
        """Position along the normal, larger towards the head."""
        return self.geometry.position_mm


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """What the slices of a series share. patient_id and descriptions are raw: they must stay in memory."""

    uid: str
    patient_id: str
    kernel: str
    manufacturer: str
    thickness_mm: float
    description: str
    study_description: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that is left out. series: PatientID and SeriesInstanceUID where they are known, else empty."""

    reason: LeftOut
    cause: str = ""
    series: tuple[str, str] = ("", "")


def read_header(found: Found, read: Callable[[int], bytes]) -> tuple[SliceHeader, SeriesHeader] | Rejected:
    """The header of one file. read(n) returns its first n bytes, for the rare header that is longer than found.head."""
    head = found.head
    if head[128:PREAMBLE] != b"DICM":
        return Rejected(LeftOut.NOT_DICOM)
    while True:
        whole = len(head) >= min(found.size, MAX_SLICE_BYTES)
        try:
            dataset, at = _parse(inflated(head, READ_FURTHER * len(head)))
            if at is not None or whole:
                return _classify(found, dataset, at)
        except Exception:
            # The head ends within a sequence, or the file is damaged (pydicom raises any exception then): only the
            # whole file shows which.
            if whole:
                return Rejected(LeftOut.UNREADABLE, "the DICOM header is damaged or cut short")
        try:
            head = read(READ_FURTHER * len(head))
        except READ_ERRORS:
            return Rejected(LeftOut.UNREADABLE, "the file is damaged or cut short")


def inflated(raw: bytes, limit: int) -> bytes:
    """A deflated file (PS3.5 A.5) as the explicit little endian file that it contains; other files unchanged.

    limit: maximum number of inflated bytes; a small file can hold an arbitrarily long run of zeros.
    """
    end = 144 + int.from_bytes(raw[140:144], "little") if raw[132:136] == b"\x02\x00\x00\x00" else 0
    deflated = str(uid.DeflatedExplicitVRLittleEndian).encode()
    if deflated not in raw[PREAMBLE:end]:
        return raw
    # A UID may be padded with zeros (PS3.5 6.2), so the shorter one can replace the longer one.
    explicit = str(uid.ExplicitVRLittleEndian).encode().ljust(len(deflated), b"\0")
    meta = raw[:PREAMBLE] + raw[PREAMBLE:end].replace(deflated, explicit)
    return meta + zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw[end:], limit)


@dataclass(frozen=True, slots=True)
class _PixelElement:
    offset: int
    length: int


def _parse(head: bytes) -> tuple[Dataset, _PixelElement | None]:
    """The attributes before the pixel data, and the position of the pixel data if `head` reaches that far."""
    stream = BytesIO(head)
    dataset = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(ATTRIBUTES))
    at = stream.tell()
    little = dataset.file_meta.TransferSyntaxUID != uid.ExplicitVRBigEndian
    if head[at : at + 4] != PIXEL_DATA[little]:
        return dataset, None
    implicit = dataset.file_meta.TransferSyntaxUID == uid.ImplicitVRLittleEndian
    offset = at + (8 if implicit else 12)
    if len(head) < offset:
        return dataset, None
    length = int.from_bytes(head[offset - 4 : offset], "little" if little else "big")
    return dataset, _PixelElement(offset, length)


def _classify(
    found: Found, dataset: Dataset, at: _PixelElement | None
) -> tuple[SliceHeader, SeriesHeader] | Rejected:
    modality, sop_class = dataset.get("Modality"), str(dataset.get("SOPClassUID") or "")
    if dataset.file_meta.get("MediaStorageSOPClassUID") == uid.MediaStorageDirectoryStorage:
        return Rejected(LeftOut.NOT_DICOM)
    if modality not in ("CT", None, ""):
        return Rejected(LeftOut.NOT_CT)
    if sop_class.startswith(SECONDARY_CAPTURE):
        return Rejected(LeftOut.SECONDARY_CAPTURE)
    if sop_class in ENHANCED_CT:
        return Rejected(LeftOut.MULTI_FRAME)
    if modality != "CT" or sop_class != uid.CTImageStorage:
        return Rejected(LeftOut.NOT_CT)
    series = str(dataset.get("PatientID") or ""), str(dataset.get("SeriesInstanceUID") or "")
    sop_uid = str(dataset.get("SOPInstanceUID") or "")
    if not sop_uid or not series[1]:
        return Rejected(LeftOut.UNREADABLE, "the SOP instance UID or the series UID is missing")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        return Rejected(LeftOut.MULTI_FRAME)
    if at is None:
        return Rejected(LeftOut.NO_PIXEL_DATA)
    if dataset.get("PhotometricInterpretation") != "MONOCHROME2" or dataset.get("SamplesPerPixel", 1) != 1:
        return Rejected(LeftOut.NOT_MONOCHROME2)
    if "LOCALIZER" in (dataset.get("ImageType") or ()):
        return Rejected(LeftOut.LOCALIZER)
    geometry = geometry_of(dataset)
    if geometry is None:
        return Rejected(LeftOut.NO_POSITION)
    if not geometry.axial:
        return Rejected(LeftOut.NOT_AXIAL, series=series)
    try:
        rescale = rescale_of(dataset)
    except NotHounsfield:
        return Rejected(LeftOut.NO_RESCALE)
    stored = _stored(found, dataset, at, rescale)
    if isinstance(stored, Rejected):
        return stored
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    header = SliceHeader(found.location, sop_uid, geometry, rescale, rows, columns, *stored)
    return header, SeriesHeader(
        series[1],
        series[0],
        _text(dataset.get("ConvolutionKernel")),
        str(dataset.get("Manufacturer") or ""),
        float(dataset.get("SliceThickness") or 0),
        _text(dataset.get("SeriesDescription")),
        _text(dataset.get("StudyDescription")),
    )


def _stored(
    found: Found, dataset: Dataset, at: _PixelElement, rescale: Rescale
) -> tuple[str, int, int] | Rejected:
    """dtype, unused bits and offset of the pixels, after checking that they are complete and can be decoded."""
    syntax = dataset.file_meta.TransferSyntaxUID
    bits, signed = int(dataset.BitsAllocated), bool(dataset.PixelRepresentation)
    if bits not in (8, 16):
        return Rejected(LeftOut.UNREADABLE, f"{bits} bits allocated")
    stored = int(dataset.get("BitsStored") or bits)
    high = dataset.get("HighBit")
    if not 0 < stored <= bits or high not in (None, stored - 1):
        cause = f"{stored} bits stored in {bits} with the highest at {high}"
        return Rejected(LeftOut.UNREADABLE, cause)
    unused = 0 if rescale.pads_beyond(stored, signed) else bits - stored
    expected = int(dataset.Rows) * int(dataset.Columns) * bits // 8
    if not 0 < expected <= MAX_SLICE_BYTES or found.size > MAX_SLICE_BYTES:
        return Rejected(LeftOut.UNREADABLE, "its size cannot be that of an image")
    dtype = f"{'>' if syntax == uid.ExplicitVRBigEndian else '<'}{'i' if signed else 'u'}{bits // 8}"
    if syntax not in NATIVE:
        if syntax in JPEG_12_BIT or _has_decoder(syntax):
            return dtype, unused, 0
        return Rejected(LeftOut.UNSUPPORTED_COMPRESSION, "no decoder for its transfer syntax")
    if at.length not in (expected, expected + expected % 2):  # values have an even length
        return Rejected(LeftOut.UNREADABLE, f"the pixel data has {at.length} bytes instead of {expected}")
    return dtype, unused, at.offset


def _has_decoder(syntax: uid.UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _text(value: object) -> str:
    """The text of an attribute; several values, which some vendors write, are joined as in DICOM."""
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value or "")
