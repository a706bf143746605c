"""Mutations of DICOM files that know their structure: elements, lengths, VRs, syntaxes, and codestreams."""

import random
import struct
from dataclasses import dataclass

from fuzz.mutation import EXTREME_WORDS, encoded, some_bytes, text, word

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_TYPES = (
    *_LONG, b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL",
    b"SS", b"ST", b"TM", b"UI", b"UL", b"US", b"??", b"\0\0",
)  # fmt: skip
_SYNTAXES = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.102", "1.2.3", "",
)  # fmt: skip
# What decides geometry, units, pixels and identity.
_IMPORTANT = (
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00100020, 0x00180050, 0x00181210, 0x0020000D,
    0x0020000E, 0x00200012, 0x00200032, 0x00200037, 0x00201041, 0x00280002, 0x00280004, 0x00280008, 0x00280010,
    0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00281052,
    0x00281053, 0x00281054, 0x7FE00010,
)  # fmt: skip
_PIXELS = 0x7FE00010


@dataclass(frozen=True)
class Element:
    """One element of an explicit little endian data set, as it lies in the file."""

    tag: int
    kind: bytes
    start: int
    value: int
    end: int


def elements_of(data: bytes) -> list[Element]:
    """The elements at the top, from the file meta information on; fewer where the file has another encoding."""
    found: list[Element] = []
    at = 132
    while at + 8 <= len(data):
        group, number, kind = *struct.unpack_from("<HH", data, at), data[at + 4 : at + 6]
        if not kind.isalpha():
            break
        head = 12 if kind in _LONG else 8
        if at + head > len(data):
            break
        (length,) = struct.unpack_from(
            "<I" if head == 12 else "<H", data, at + head - (4 if head == 12 else 2)
        )
        end = len(data) if length == 0xFFFFFFFF else at + head + length
        found.append(Element(group << 16 | number, kind, at, at + head, min(end, len(data))))
        at = end
    return found


def element(tag: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element with any length."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind[:2].ljust(2)
    if kind in _LONG:
        return head + b"\0\0" + struct.pack("<I", size & 0xFFFFFFFF) + value
    return head + struct.pack("<H", size & 0xFFFF) + value


def _drawn(rng: random.Random, data: bytes) -> Element | None:
    found = elements_of(data)
    important = [one for one in found if one.tag in _IMPORTANT]
    return rng.choice(important if important and rng.random() < 0.7 else found) if found else None


def _replaced(data: bytes, one: Element, by: bytes) -> bytes:
    return data[: one.start] + by + data[one.end :]


def value(rng: random.Random, data: bytes) -> bytes:
    """The value of an element at an extreme, of the form that its VR has."""
    one = _drawn(rng, data)
    if one is None or one.tag == _PIXELS:
        return some_bytes(rng, data)
    kind = one.kind
    if kind in (b"US", b"SS", b"UL", b"SL", b"FD", b"FL", b"AT") and rng.random() < 0.7:
        new = struct.pack("<I", rng.choice(EXTREME_WORDS))[: 2 if kind in (b"US", b"SS") else 4]
    elif rng.random() < 0.3:
        old = data[one.value : one.end]
        new = old + b"\\" + old if rng.random() < 0.5 else b"\\".join(old.split(b"\\")[:-1])
    else:
        new = encoded("\\".join(text(rng) for _ in range(rng.choice((1, 1, 2, 3, 6)))))
        new = new[: rng.choice((20, 60_000))]
    new += b" " * (len(new) % 2 and rng.random() < 0.9)
    if len(new) > 0xFFFF and kind not in _LONG:
        new = new[:0xFFFE]
    return _replaced(data, one, element(one.tag, kind, new))


def kind_of_value(rng: random.Random, data: bytes) -> bytes:
    """Another VR, with or without the form of length that it needs."""
    one = _drawn(rng, data)
    if one is None:
        return some_bytes(rng, data)
    other = rng.choice(_TYPES)
    if rng.random() < 0.4:
        return data[: one.start + 4] + other + data[one.start + 6 :]
    content = data[one.value : one.end]
    if other not in _LONG:
        content = content[:0xFFFE]
    return _replaced(data, one, element(one.tag, other, content))


def length(rng: random.Random, data: bytes) -> bytes:
    """A false length of an element."""
    one = _drawn(rng, data)
    if one is None:
        return some_bytes(rng, data)
    true = one.end - one.value
    false = rng.choice((0, 1, true - 1, true + 1, true + 2, true * 2, *EXTREME_WORDS))
    return _replaced(data, one, element(one.tag, one.kind, data[one.value : one.end], max(false, 0)))


def order(rng: random.Random, data: bytes) -> bytes:
    """An element missing, twice, or in another place."""
    one, other = _drawn(rng, data), _drawn(rng, data)
    if one is None or other is None:
        return some_bytes(rng, data)
    whole = data[one.start : one.end]
    without = _replaced(data, one, b"")
    match rng.randrange(3):
        case 0:
            return without
        case 1:
            return data[: other.start] + whole + data[other.start :]
        case _:
            at = min(other.start, len(without))
            return without[:at] + whole + without[at:]


def nesting(rng: random.Random, data: bytes) -> bytes:
    """Sequences in one another, with or without their ends, or a large private element."""
    one = _drawn(rng, data)
    if one is None:
        return some_bytes(rng, data)
    if rng.random() < 0.3:
        big = element(
            0x00091010, rng.choice((b"UN", b"OB", b"LT")), rng.randbytes(10) * rng.choice((1, 6000))
        )
        return data[: one.start] + big + data[one.start :]
    depth = rng.choice((1, 5, 60, 500))
    start = element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    stop = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    inner = element(0x00100020, b"LO", b"Doe^Jane")
    ends = depth if rng.random() < 0.7 else rng.randrange(depth + 1)
    return data[: one.start] + start * depth + inner + stop * ends + data[one.start :]


def syntax(rng: random.Random, data: bytes) -> bytes:
    """Another transfer syntax or character set, or damage of the file meta information."""
    found = {one.tag: one for one in elements_of(data)}
    one = found.get(0x00020010)
    if one is None or rng.random() < 0.3:
        return some_bytes(rng, data, 0, 400)
    name = rng.choice(_SYNTAXES).encode()
    return _replaced(data, one, element(0x00020010, b"UI", name + b"\0" * (len(name) % 2)))


def preamble(rng: random.Random, data: bytes) -> bytes:
    """Without preamble or meta information, or with the mark of another kind of file in it."""
    match rng.randrange(4):
        case 0:
            return data[132:]
        case 1:
            found = [one for one in elements_of(data) if one.tag >> 16 > 2]
            return data[found[0].start :] if found else data
        case 2:
            mark = rng.choice(
                (b"PK\3\4", b"\x1f\x8b\x08", b"BZh91AY&SY", b"%PDF-", b"MM\0*", b"II*\0", b"MZ")
            )
            return mark + data[len(mark) :]
        case _:
            return rng.randbytes(128) + data[128:]


def codestream(rng: random.Random, data: bytes) -> bytes:
    """Damage of the pixels: of the sizes that a codestream states, of its markers, or anywhere."""
    at = data.rfind(b"\xe0\x7f\x10\x00")
    first = at + 12 if at >= 0 else len(data) // 2
    # Frame headers of JPEG and JPEG-LS, SIZ and COD of JPEG 2000, SOD, SOS, DHT, LSE.
    markers = [
        b"\xff" + bytes([two])
        for two in (0xC0, 0xC1, 0xC3, 0xC4, 0xDA, 0xF7, 0xF8, 0x51, 0x52, 0x5C, 0x90, 0x93)
    ]
    places = [place for mark in markers if (place := data.find(mark, first)) >= 0]
    if places and rng.random() < 0.6:
        return word(rng, data, rng.choice(places) + rng.randrange(2, 40))
    if rng.random() < 0.3:
        return word(
            rng, data, min(first + rng.randrange(0, 90), len(data) - 1)
        )  # the header of RLE, offsets, items
    return some_bytes(rng, data, first)


MUTATIONS = (
    value, value, value, kind_of_value, length, length, order, nesting, syntax, preamble, codestream, codestream,
    some_bytes,
)  # fmt: skip
