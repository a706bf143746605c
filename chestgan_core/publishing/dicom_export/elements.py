"""DICOM elements as bytes: those that all images of a set share are encoded once, the few others for each image.

In: a data set of pydicom, or texts. Out: explicit little endian (PS3.5 7.1.2). pydicom encodes all elements of each
file anew, which takes longer than reading, checking and writing the image.
"""

import struct
from typing import TypeAlias

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

Elements: TypeAlias = dict[int, bytes]
"""Encoded elements by their tag."""
CHARACTER_SET = "ISO_IR 192"  # UTF-8
_LONG = frozenset(("OB", "OW", "SQ", "UT", "UC", "UR", "UN"))  # 4 bytes of length behind two of zeros
_ITEM = 0xFFFEE000


def encoded(dataset: Dataset) -> Elements:
    """The elements of a data set, sequences included."""
    found: Elements = {}
    for element in dataset:
        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = True, False
        write_data_element(stream, element, ["utf-8"])
        found[int(element.tag)] = stream.getvalue()
    return found


def text_elements(**texts: str) -> Elements:
    """Elements of text or UIDs, by keyword. The caller keeps to the length that a type allows."""
    found: Elements = {}
    for keyword, text in texts.items():
        vr = dictionary_VR(keyword)
        found[_tag(keyword)] = _element(_tag(keyword), vr, text.encode(), b"\0" if vr == "UI" else b" ")
    return found


def sequence(keyword: str, item: Elements) -> Elements:
    """A sequence of one item."""
    inner = joined(item)
    return {
        _tag(keyword): _element(
            _tag(keyword), "SQ", _tag_bytes(_ITEM) + struct.pack("<I", len(inner)) + inner
        )
    }


def pixel_data(words: bytes) -> Elements:
    """Pixels of 16 bits, little endian."""
    return {_tag("PixelData"): _element(_tag("PixelData"), "OW", words)}


def joined(elements: Elements) -> bytes:
    """In the order of their tags, as they stand in a file."""
    return b"".join(elements[tag] for tag in sorted(elements))


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _tag_bytes(tag: int) -> bytes:
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


def _element(tag: int, vr: str, value: bytes, padding: bytes = b"\0") -> bytes:
    value += padding * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return _tag_bytes(tag) + vr.encode() + length + value
