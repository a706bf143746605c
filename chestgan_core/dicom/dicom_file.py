"""The bytes of a file to its attributes, as they are encoded, not as the file says that they are.

In: the first bytes of a file. Out: `Parsed`. Standard files begin with 128 free bytes, DICM and the file meta
information (DICOM PS3.10 7.1); others, which pydicom (`force=True`), dcmtk and ITK read too, begin with the meta
information or the data set itself. Whether values name their type (explicit VR) and their byte order are seen from the
first element, because files are saved with a transfer syntax that is not theirs.
"""

import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import pydicom
from pydicom import uid
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.filereader import _read_file_meta_info, read_dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import VR

from chestgan_core.dicom.element_scan import CHARACTER_SET, scan
from chestgan_core.dicom.pixel_layout import FLOAT_PIXEL_DATA, PIXEL_DATA, PixelElement

# Attributes that violate their value representation are common and harmless; validation costs a third of the time, and
# its warnings quote values, which may name a person.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module=r"pydicom\.")  # of character sets and lengths; they quote values too

PREAMBLE = 132  # 128 free bytes and DICM
_TYPES = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)
# Elements that a data set can begin with: group length, length to end, character set, image type, dates, SOP class.
_FIRST_ELEMENTS = range(0x0000, 0x0020)
_MAX_FIRST_LENGTH = 1024  # bytes
_LONG_TYPES = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")


@dataclass(frozen=True)
class Parsed:
    """header: the attributes before the pixels. meta: the file meta information, perhaps empty. syntax: the transfer
    syntax, guessed where none is stated. pixels: None where the bytes end before the pixel data. end: how far the bytes
    were read.
    """

    header: Dataset
    meta: Dataset
    syntax: str
    pixels: PixelElement | None
    end: int


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these bytes is DICOM: with DICM, or without it, from its first element on."""
    return head[128:PREAMBLE] == b"DICM" or _begins_with_element(head)


def parse(head: bytes, wanted: Mapping[int, BaseTag] | None = None) -> Parsed:
    """The attributes before the pixels, from bytes that `is_dicom`; of a deflated file, `inflated` first.

    wanted: which attributes (attributes.tags_of); None: all. Raises any exception: the bytes are damaged, or end
    within a sequence.
    """
    stream = BytesIO(head)
    stream.seek(PREAMBLE if head[128:PREAMBLE] == b"DICM" else 0)
    meta = _read_file_meta_info(stream)
    start = stream.tell()
    stated = str(meta.get("TransferSyntaxUID") or "").strip("\0 ")
    implicit, little = _encoding(head[start : start + 6], stated)
    scanned = scan(head, start, implicit, wanted) if wanted is not None and little else None
    if scanned is not None:
        elements, end = scanned
        header = Dataset(elements)
        character_set = elements.get(BaseTag(CHARACTER_SET))
        header.set_original_encoding(implicit, little, _encodings(character_set))
    else:
        tags = None if wanted is None else list(wanted)
        header = read_dataset(stream, implicit, little, stop_when=_at_pixels, specific_tags=tags)
        end = stream.tell()
    header.file_meta = meta
    pixels = _pixel_element(head, end, implicit, little)
    return Parsed(header, meta, _syntax(stated, implicit, little), pixels, end)


def sop_class_of(head: bytes) -> str:
    """The SOP class of a file that begins with these bytes; "" where they do not say it. Long attributes may follow."""
    try:
        stream = BytesIO(head)
        stream.seek(PREAMBLE if head[128:PREAMBLE] == b"DICM" else 0)
        meta = _read_file_meta_info(stream)
        start = stream.tell()
        stated = str(meta.get("TransferSyntaxUID") or "").strip("\0 ")
        implicit, little = _encoding(head[start : start + 6], stated)
        header = read_dataset(stream, implicit, little, stop_when=_after_sop_class)
        found = header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or ""
        return str(found).strip("\0 ")
    except Exception:  # pydicom raises any exception on damaged bytes
        return ""


def ends_within_header(raw: bytes) -> bool:
    """Whether a whole file without pixels ends within an element: a copy that broke off. Raises what `parse` raises."""
    last = max(parse(raw).header.values(), key=lambda element: element.tag, default=None)
    if not isinstance(last, RawDataElement) or last.length == 0xFFFFFFFF:
        return last is None
    return last.value_tell + last.length != len(raw)


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


def _encodings(character_set: DataElement | RawDataElement | None) -> str | list[str]:
    if not isinstance(character_set, RawDataElement):
        return default_encoding
    return _encodings_of(character_set._replace(value_tell=0))


@lru_cache(256)
def _encodings_of(character_set: RawDataElement) -> list[str]:
    return convert_encodings(convert_raw_data_element(character_set).value)


def _begins_with_element(head: bytes) -> bool:
    if len(head) < 16:
        return False
    for order in "<>":
        group, element = struct.unpack_from(f"{order}HH", head)
        if (group == 2 and element in (0, 1, 2, 0x10)) or (group == 8 and element in _FIRST_ELEMENTS):
            if head[4:6] in _TYPES:
                return True
            (length,) = struct.unpack_from(f"{order}I", head, 4)
            if order == "<" and length <= _MAX_FIRST_LENGTH and length % 2 == 0:
                return True
    return False


def _encoding(first: bytes, syntax: str) -> tuple[bool, bool]:
    """Implicit VR, little endian: of the first element of the data set, else of the transfer syntax."""
    little = syntax != uid.ExplicitVRBigEndian
    if len(first) < 6:
        return syntax == uid.ImplicitVRLittleEndian, little
    if bool(first[0]) != bool(first[1]):  # groups of the first elements are below 256
        little = bool(first[0])
    return first[4:6] not in _TYPES, little


def _syntax(stated: str, implicit: bool, little: bool) -> str:
    """The stated transfer syntax, where the data set does not contradict it."""
    compressed = stated and stated not in (
        uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian
    )  # fmt: skip
    if compressed:
        return stated
    if not little:
        return str(uid.ExplicitVRBigEndian)
    return str(uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian)


def _at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    # Comparing tags with numbers is slow in pydicom, and is done for every element.
    return tag >> 16 == PIXEL_DATA >> 16 and (tag == PIXEL_DATA or tag in FLOAT_PIXEL_DATA)


def _after_sop_class(tag: BaseTag, vr: str | None, length: int) -> bool:
    return bool(tag > 0x00080016)


def _pixel_element(head: bytes, at: int, implicit: bool, little: bool) -> PixelElement | None:
    order = "<" if little else ">"
    if len(head) < at + 12:
        return None
    group, element = struct.unpack_from(f"{order}HH", head, at)
    tag = group << 16 | element
    if tag != PIXEL_DATA and tag not in FLOAT_PIXEL_DATA:
        return None
    if implicit or head[at + 4 : at + 6] not in _TYPES:
        offset, form = at + 8, "I"
    elif head[at + 4 : at + 6] in _LONG_TYPES:
        offset, form = at + 12, "I"
    else:
        offset, form = at + 8, "H"
    (length,) = struct.unpack_from(f"{order}{form}", head, offset - (4 if form == "I" else 2))
    return PixelElement(tag, offset, length, little)
