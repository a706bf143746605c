"""All bytes of one DICOM file, each accounted for: the free bytes at its start, attributes before and after the pixels,
the pixels, and bytes that belong to nothing.

In: the bytes of a file. Out: `WholeFile`. Readers of images stop at the pixels; who judges or cleans a file must not.
"""

import struct
from dataclasses import dataclass
from io import BytesIO

from pydicom import uid
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag

from chestgan_core.dicom.dicom_file import PREAMBLE, Parsed, inflated, parse
from chestgan_core.dicom.pixel_layout import NATIVE, UNDEFINED_LENGTH

# Of a deflated file, bytes. The largest slice that a scanner makes has 4096 x 4096 x 2; what is longer counts as cut.
MAX_INFLATED = 64 * 1024**2
TRAILING_PADDING = Tag(0xFFFC, 0xFFFC)
_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE0DD


class NotDicom(ValueError):
    """It begins like a DICOM file, and has neither a transfer syntax nor a SOP class."""


class CutShort(ValueError):
    """The file ends within its pixels."""


@dataclass(frozen=True)
class WholeFile:
    """parsed: the attributes before the pixels, and the file meta information. preamble: the 128 free bytes, empty
    where the file has none. pixel_head: tag, type and length of the pixel data. pixels: its value as it is encoded,
    fragments included and without the delimiter behind them; both empty where there is none. after: the attributes
    behind the pixels. hidden: what is in no attribute or behind the last pixel, zeros at the end removed.
    """

    parsed: Parsed
    preamble: bytes
    pixel_head: bytes
    pixels: bytes
    after: Dataset
    hidden: bytes


def read_whole(data: bytes) -> WholeFile:
    """Account for all bytes of a file that `is_dicom`.

    Raises NotDicom, CutShort, or any other exception: the file is damaged.
    """
    has_preamble = data[128:PREAMBLE] == b"DICM"
    raw = inflated(data, MAX_INFLATED) if has_preamble else data
    parsed = parse(raw)
    preamble = raw[:128] if has_preamble else b""
    if not any(
        parsed.meta.get("TransferSyntaxUID") or one.get(name)
        for one, name in ((parsed.header, "SOPClassUID"), (parsed.meta, "MediaStorageSOPClassUID"))
    ):
        # Any bytes can be parsed somehow; without one of these nothing says that they are attributes.
        raise NotDicom
    if parsed.pixels is None:
        return WholeFile(parsed, preamble, b"", b"", Dataset(), _significant(raw[_end_of(parsed, raw) :]))
    start = parsed.pixels.offset
    if parsed.pixels.length == UNDEFINED_LENGTH:
        size, behind = _fragments(raw, start, parsed.pixels.little_endian)
        pixels, hidden = raw[start : start + size], b""
        rest = raw[start + behind :]
    else:
        pixels = raw[start : start + parsed.pixels.length]
        if len(pixels) < parsed.pixels.length:
            raise CutShort
        rest = raw[start + len(pixels) :]
        pixels, hidden = _of_images(parsed, pixels)
    after, more = _attributes_behind(rest, parsed)
    head = raw[parsed.end : start]
    return WholeFile(parsed, preamble, head, pixels, after, hidden + more)


def _of_images(parsed: Parsed, value: bytes) -> tuple[bytes, bytes]:
    """Uncompressed pixels, and what significant bytes follow them within the pixel data (PS3.5 8.1.1)."""
    header = parsed.header
    try:
        size = (
            int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel") or 1)
            * int(header.get("NumberOfFrames") or 1) * int(header.BitsAllocated)
        )  # fmt: skip
    except (
        Exception
    ):  # pydicom raises any exception on damaged values; without them no byte is behind the pixels
        return value, b""
    if parsed.syntax not in NATIVE or "422" in str(header.get("PhotometricInterpretation")):
        return value, b""
    size = -(-size // 8)
    size += size % 2  # values have an even length
    extra = _significant(value[size:])
    return (value[:size], extra) if extra and size else (value, b"")


def _fragments(raw: bytes, start: int, little: bool) -> tuple[int, int]:
    """Bytes of the items of encapsulated pixels (PS3.5 A.4), without and with the delimiter behind them."""
    order = "<" if little else ">"
    at = start
    while at + 8 <= len(raw):
        group, element, length = struct.unpack_from(f"{order}HHI", raw, at)
        tag = group << 16 | element
        if tag == _END_OF_SEQUENCE:
            return at - start, at + 8 - start
        if tag != _ITEM or at + 8 + length > len(raw):
            break
        at += 8 + length
    if at == len(raw):  # only the delimiter is missing, which every reader forgives
        return at - start, at - start
    raise CutShort


def _attributes_behind(rest: bytes, parsed: Parsed) -> tuple[Dataset, bytes]:
    """Attributes behind the pixels (signatures, padding), and the bytes where they are none."""
    if not rest.strip(b"\0"):
        return Dataset(), b""
    implicit, little = encoding_of(parsed)
    try:
        after = read_dataset(BytesIO(rest), implicit, little)
        if not after or not _plausible(after, rest):
            return Dataset(), _significant(rest)
    except Exception:  # these bytes may be anything
        return Dataset(), _significant(rest)
    hidden = b""
    if TRAILING_PADDING in after:
        hidden = _significant(bytes(after.get_item(TRAILING_PADDING).value or b""))
        del after[TRAILING_PADDING]
    return after, hidden


def _plausible(after: Dataset, rest: bytes) -> bool:
    """Whether bytes behind the pixels are attributes: known or private, in order, and nothing else behind them."""
    end, before = 0, 0x7FE00008
    for tag in after.keys():  # noqa: SIM118 (a Dataset iterates over its values)
        element = after.get_item(tag)
        if int(tag) <= before or not (tag.is_private or dictionary_has_tag(tag)):
            return False
        before = int(tag)
        if isinstance(element, RawDataElement):
            if element.length != UNDEFINED_LENGTH and len(element.value or b"") != element.length:
                return False
            end = element.value_tell + len(element.value or b"")
        else:
            end = len(rest)
    return not rest[end:].strip(b"\0")


def encoding_of(parsed: Parsed) -> tuple[bool, bool]:
    """Implicit VR, little endian: as the data set was found."""
    implicit, little = parsed.header.original_encoding
    if implicit is None or little is None:
        return parsed.syntax == uid.ImplicitVRLittleEndian, parsed.syntax != uid.ExplicitVRBigEndian
    return implicit, little


def _end_of(parsed: Parsed, raw: bytes) -> int:
    """Where the attributes of a file without pixels end: pydicom makes attributes of any bytes behind them, or none."""
    end, sized = 0, False
    for tag in parsed.header.keys():  # noqa: SIM118 (a Dataset iterates over its values)
        element = parsed.header.get_item(tag)
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
            sized = False
            continue
        length = len(element.value or b"")
        if length != element.length and sized:
            return end
        end, sized = element.value_tell + length, True
    return end if sized else len(raw)


def _significant(data: bytes) -> bytes:
    return data.strip(b"\0 ") and data.rstrip(b"\0")
