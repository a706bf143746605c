"""How the pixels of one slice are stored, checked for form and range before anything is allocated by them.

In: a parsed header. Out: `PixelLayout`, or `BadLayout` with the attribute and its value. The standard is in DICOM PS3.5
section 8 and PS3.3 C.7.6.3. Read are also files that break it in ways that leave the pixels clear: bytes after the
pixels (PS3.5 8.1.1 says to expect them), a HighBit that disagrees with BitsStored (`dicom/pixels.py`).
"""

from dataclasses import dataclass

from pydicom import uid
from pydicom.dataset import Dataset

from chestgan_core.dicom.attributes import number_of, problem_of, whole_of
from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES
from chestgan_core.dicom.left_out import LeftOut

NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
JPEG = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    "1.2.840.10008.1.2.4.53",  # spectral selection and full progression: retired, and what GDCM decodes
    "1.2.840.10008.1.2.4.55",
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
RLE = (uid.RLELossless,)
SUPPORTED = frozenset((*NATIVE, *JPEG, *JPEG_2000, *RLE))
MAX_SIDE = 4096  # pixels; scanners make 512, some 1024 or 2048
BITS = (8, 16, 32)
MIN_STORED = 6  # CT has 12 to 16 bits, exports to 8 bits may use fewer of them
MAX_EXCESS = 4096  # bytes after the pixels, also of a small image; of a large one, up to a second image
UNDEFINED_LENGTH = 0xFFFFFFFF
PIXEL_DATA, FLOAT_PIXEL_DATA = 0x7FE00010, (0x7FE00008, 0x7FE00009)


class BadLayout(Exception):
    """The pixels cannot be read; carries the reason and the cause."""

    def __init__(self, reason: LeftOut, cause: str) -> None:
        self.reason, self.cause = reason, cause
        super().__init__(cause)


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data lies. offset, length: of its value in the inflated file, bytes; encoding: as it was found,
    which need not be what the file meta information says.
    """

    tag: int
    offset: int
    length: int
    little_endian: bool


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """syntax: transfer syntax UID. allocated, stored: bits of a pixel's container and of its value. high: the highest
    bit of the value according to the header. signed: two's complement. offset: of the pixel data in the inflated file.
    """

    syntax: str
    rows: int
    columns: int
    allocated: int
    stored: int
    high: int
    signed: bool
    little_endian: bool
    offset: int

    @property
    def native(self) -> bool:
        """Whether the pixels are not compressed."""
        return self.syntax in NATIVE

    @property
    def dtype(self) -> str:
        """Of the containers of uncompressed pixels, unsigned, as numpy names it."""
        return f"{'<' if self.little_endian else '>'}u{self.allocated // 8}"


def layout_of(header: Dataset, syntax: str, pixels: PixelElement, file_size: int) -> PixelLayout:
    """Raises BadLayout: the attributes of the pixels are missing, not numbers, out of range or contradict the data."""
    if pixels.tag in FLOAT_PIXEL_DATA:
        raise BadLayout(
            LeftOut.UNREADABLE, "its pixels are floating point numbers, which CT Image Storage has not"
        )
    rows, columns = (_whole(header, side, range(1, MAX_SIDE + 1)) for side in ("Rows", "Columns"))
    allocated = _whole(header, "BitsAllocated", BITS)
    stored = allocated
    if "BitsStored" in header:
        stored = _whole(header, "BitsStored", range(MIN_STORED, allocated + 1))
    high = whole_of(header, "HighBit")
    if high is None or not stored - 1 <= high < allocated:
        high = stored - 1
    signed = bool(_whole(header, "PixelRepresentation", (0, 1)))
    if file_size > MAX_SLICE_BYTES:
        raise BadLayout(LeftOut.UNREADABLE, f"{file_size} bytes are more than a slice has")
    if syntax not in SUPPORTED:
        raise BadLayout(LeftOut.UNSUPPORTED_COMPRESSION, f"no decoder for transfer syntax {_shown(syntax)}")
    layout = PixelLayout(
        syntax, rows, columns, allocated, stored, high, signed, pixels.little_endian, pixels.offset
    )
    expected = rows * columns * allocated // 8
    if layout.native:
        _require_native_length(pixels.length, expected)
    elif pixels.length != UNDEFINED_LENGTH:
        raise BadLayout(
            LeftOut.UNREADABLE, "the pixel data is not in fragments, as its transfer syntax requires"
        )
    return layout


def _require_native_length(length: int, expected: int) -> None:
    if length == UNDEFINED_LENGTH:
        raise BadLayout(
            LeftOut.UNREADABLE, "the pixel data is in fragments, but its transfer syntax is not compressed"
        )
    if length < expected:
        raise BadLayout(LeftOut.UNREADABLE, f"the pixel data has {length} bytes instead of {expected}")
    if length >= 2 * expected and length - expected > MAX_EXCESS:
        raise BadLayout(LeftOut.UNREADABLE, f"the pixel data has {length} bytes, an image has {expected}")


def _whole(header: Dataset, keyword: str, allowed: range | tuple[int, ...]) -> int:
    """A whole number among the allowed ones. Raises BadLayout, with its name and value."""
    value = whole_of(header, keyword)
    if value is None or value not in allowed:
        raise BadLayout(
            LeftOut.UNREADABLE, f"{problem_of(header, keyword)}{_expected(header, keyword, allowed)}"
        )
    return value


def _expected(header: Dataset, keyword: str, allowed: range | tuple[int, ...]) -> str:
    if number_of(header, keyword) is None:
        return ""
    if isinstance(allowed, range):
        return f", not between {allowed[0]} and {allowed[-1]}"
    return f", not {', '.join(map(str, allowed[:-1]))} or {allowed[-1]}"


def _shown(syntax: str) -> str:
    """A UID, or a word in its place: what stands there in a damaged file may be anything."""
    return (
        syntax if syntax and set(syntax) <= set("0123456789.") and len(syntax) <= 64 else "of no known name"
    )
