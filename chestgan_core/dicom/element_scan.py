"""The attributes of an ordinary header, found without parsing the others.

In: the bytes of a file, where its data set begins. Out: the wanted elements as pydicom's reader would give them, or
None where the encoding is not an ordinary one: then pydicom reads it. A header has a hundred attributes and several
sequences, of which forty attributes are wanted; pydicom builds objects of most of them, which takes four times as
long.

Ordinary is little endian, with known types where the types are written (explicit VR), and with sequences of undefined
length whose items are exactly as long as they say. Whatever is cut off, damaged or unusual is None.
"""

import struct
from collections.abc import Mapping
from functools import cache

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from chestgan_core.dicom.pixel_layout import FLOAT_PIXEL_DATA, PIXEL_DATA, UNDEFINED_LENGTH

CHARACTER_SET = 0x00080005
_NAMES = {vr.value.encode(): vr.value for vr in VR if len(vr.value) == 2}
_LONG = frozenset(vr.value.encode() for vr in EXPLICIT_VR_LENGTH_32)
_AT_PIXELS = frozenset((PIXEL_DATA, *FLOAT_PIXEL_DATA))
_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE0DD
_END_OF_ITEM = b"\xfe\xff\x0d\xe0"
_UNUSUAL_IN_ITEM = frozenset((CHARACTER_SET, _ITEM, 0xFFFEE00D, _END_OF_SEQUENCE))
_MAX_DEPTH = 8  # of sequences in one another

_explicit = struct.Struct("<HH2sH").unpack_from
_implicit = struct.Struct("<HHI").unpack_from  # items too
_length = struct.Struct("<I").unpack_from


def scan(
    data: bytes, start: int, implicit: bool, wanted: Mapping[int, BaseTag]
) -> tuple[dict[BaseTag, DataElement | RawDataElement], int] | None:
    """The wanted elements before the pixels, in their order, and where the pixels or the bytes end.

    wanted: tags by their numbers, with CHARACTER_SET. The result has these very objects as keys, so that looking one up
    compares no tags, which is slow in pydicom.
    """
    if implicit and data[start + 4 : start + 6].isalpha():
        return None  # pydicom takes this for an unknown type
    found: dict[BaseTag, DataElement | RawDataElement] = {}
    at, end = start, len(data)
    while at + 8 <= end:
        element = _element(data, at, end, implicit)
        if element is None:
            return None
        number, kind, length, value_at = element
        if number in _AT_PIXELS:
            return found, at
        if length == UNDEFINED_LENGTH:
            after = None if kind != "SQ" or number in wanted else _after_sequence(data, value_at, implicit, 1)
            if after is None:
                return None
            at = after
            continue
        at = value_at + length
        if number in wanted:
            if at > end:
                return None
            tag, written = wanted[number], None if implicit else kind
            value = data[value_at:at] if length else empty_value_for_VR(written, raw=True)
            found[tag] = RawDataElement(tag, written, length, value, value_at, implicit, True)  # type: ignore[arg-type]
    return found, max(at, end)


def _element(data: bytes, at: int, end: int, implicit: bool) -> tuple[int, str | None, int, int] | None:
    """Number, type, length, and where the value begins. Implicit, the type is known of undefined lengths only."""
    if implicit:
        group, element, length = _implicit(data, at)
        number = group << 16 | element
        return number, _sequence(number) if length == UNDEFINED_LENGTH else None, length, at + 8
    group, element, kind, length = _explicit(data, at)
    name = _NAMES.get(kind)
    if name is None:
        return None
    if kind not in _LONG:
        return group << 16 | element, name, length, at + 8
    if at + 12 > end:
        return None
    return group << 16 | element, name, _length(data, at + 8)[0], at + 12


@cache
def _sequence(number: int) -> str | None:
    try:
        return "SQ" if dictionary_VR(number) == "SQ" else None
    except KeyError:
        return None


def _after_sequence(data: bytes, at: int, implicit: bool, depth: int) -> int | None:
    """Where the sequence of undefined length ends whose first item begins at `at`."""
    while at + 8 <= len(data):
        group, element, length = _implicit(data, at)
        number = group << 16 | element
        if number == _END_OF_SEQUENCE:
            return at + 8
        if number != _ITEM:
            return None
        after = _after_item(data, at + 8, length, implicit, depth)
        if after is None:
            return None
        at = after
    return None


def _after_item(data: bytes, at: int, size: int, implicit: bool, depth: int) -> int | None:
    """Where an item ends; its elements are looked at, because a reader goes by them and not by the length."""
    end = len(data) if size == UNDEFINED_LENGTH else at + size
    if end > len(data) or depth > _MAX_DEPTH:
        return None
    while at + 8 <= end:
        if size == UNDEFINED_LENGTH and data[at : at + 4] == _END_OF_ITEM:
            return at + 8
        element = _element(data, at, end, implicit)
        if element is None:
            return None
        number, kind, length, value_at = element
        if number in _UNUSUAL_IN_ITEM:
            return None
        if length == UNDEFINED_LENGTH:
            after = _after_sequence(data, value_at, implicit, depth + 1) if kind == "SQ" else None
            if after is None:
                return None
            at = after
        else:
            at = value_at + length
    return at if at == end and size != UNDEFINED_LENGTH else None
