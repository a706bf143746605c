"""Compressed pixels before they are decoded: their bytes, and the size that they declare.

In: the bytes of a file from its pixel data on. Out: one frame, and `Declared`. A decoder allocates what a codestream
declares, so that is compared with the header first. Only markers are read here (ITU-T T.81 for JPEG, T.87 for JPEG-LS,
T.800 for JPEG 2000; DICOM PS3.5 annex G for RLE).
"""

import struct
from dataclasses import dataclass

from pydicom import uid

ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
MAX_FRAGMENTS = 65536  # a slice has one; encoders that flush every few rows make some hundred
MAX_SEGMENT_HEADERS = 4096  # markers before the size of a JPEG; a profile of colours takes some tens
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without a segment
_JPEG_SYNTAXES = {  # by the marker of a frame header: what GDCM decodes; it has no arithmetic coding
    0xC0: str(uid.JPEGBaseline8Bit),
    0xC1: str(uid.JPEGExtended12Bit),
    0xC2: "1.2.840.10008.1.2.4.55",
    0xC3: str(uid.JPEGLossless),
    0xF7: str(uid.JPEGLSLossless),
}
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_JP2, _JP2_CODESTREAM = b"\x00\x00\x00\x0cjP  ", b"jp2c"
_STARTS = (b"\xff\xd8\xff", _JPEG_2000_START, _JP2)  # of a codestream, and of no fragment that continues one


class BadCodestream(Exception):
    """Compressed pixels that are damaged, or are not what the header of their file says; its text is the cause."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a codestream says of itself. precision: bits of a sample. signed: None where its format has no sign.
    syntax: the transfer syntax of such a codestream, which need not be that of the file.
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None
    syntax: str


def frame_of(encapsulated: bytes | memoryview, *, one_fragment: bool = False) -> bytes:
    """The one frame of encapsulated pixel data (PS3.5 A.4), from the item of its offset table on.

    one_fragment: a frame cannot be in several fragments, as in RLE. A missing end of the sequence is tolerated. Raises
    BadCodestream: no items, too many, several frames, or one item reaches beyond the end.
    """
    parts: list[memoryview] = []
    data, at = memoryview(encapsulated), 0
    while at + 8 <= len(data) and bytes(data[at : at + 4]) == ITEM:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            raise BadCodestream("the compressed pixels are cut short")
        if len(parts) > MAX_FRAGMENTS:
            raise BadCodestream(f"the compressed pixels have more than {MAX_FRAGMENTS} fragments")
        parts.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    if len(parts) < 2 or not any(parts[1:]):  # the first item is the offset table
        raise BadCodestream("the compressed pixels are empty, or not in fragments")
    starts = [part for part in parts[1:] if bytes(part[:12]).startswith(_STARTS) or (one_fragment and part)]
    frames = max(_frames_of_table(parts[0]), len(starts))
    if frames > 1:
        raise BadCodestream(f"the compressed pixels hold {frames} frames, the header says one")
    return b"".join(parts[1:])


def _frames_of_table(table: memoryview) -> int:
    """How many frames a basic offset table lists; it may be empty."""
    return len({bytes(table[at : at + 4]) for at in range(0, len(table) - 3, 4)})


def declared_jpeg(frame: bytes) -> Declared:
    """The frame header of a JPEG or JPEG-LS codestream. Raises BadCodestream: there is none."""
    at = 2
    if frame[:2] == b"\xff\xd8":
        for _ in range(MAX_SEGMENT_HEADERS):
            if at + 4 > len(frame) or frame[at] != 0xFF:
                break
            marker = frame[at + 1]
            if marker == 0xFF or marker in _NO_LENGTH:  # fill bytes may precede a marker
                at += 1 if marker == 0xFF else 2
                continue
            if marker in _JPEG_SYNTAXES and at + 10 <= len(frame):
                precision, rows, columns, components = struct.unpack_from(">BHHB", frame, at + 4)
                return Declared(rows, columns, components, precision, None, _JPEG_SYNTAXES[marker])
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    raise BadCodestream("the compressed pixels have no JPEG frame header")


def is_jpeg_2000(frame: bytes) -> bool:
    """Whether a frame begins as a JPEG 2000 codestream or JP2 file."""
    return frame.startswith(_JPEG_2000_START) or is_jp2(frame)


def is_jp2(frame: bytes) -> bool:
    """Whether a JPEG 2000 codestream comes in a JP2 file, against the standard (PS3.5 A.4.4)."""
    return frame.startswith(_JP2)


def declared_jpeg2000(frame: bytes) -> Declared:
    """The size marker of a JPEG 2000 codestream, also inside a JP2 file. Raises BadCodestream: there is none."""
    at = frame.find(_JP2_CODESTREAM) + 4 if is_jp2(frame) else 0
    if frame[at : at + 4] != _JPEG_2000_START or at + 45 > len(frame):
        raise BadCodestream("the compressed pixels have no JPEG 2000 size marker")
    right, bottom, left, top, wide, high, _, _, components = struct.unpack_from(">8IH", frame, at + 8)
    depth, step_x, step_y = frame[at + 42 : at + 45]
    if (step_x, step_y) != (1, 1) or not wide or not high:
        raise BadCodestream("the compressed image is subsampled or its tiles are empty")
    precision, signed = (depth & 0x7F) + 1, bool(depth & 0x80)
    return Declared(bottom - top, right - left, components, precision, signed, str(uid.JPEG2000))


def declared_segments(frame: bytes) -> int:
    """The number of segments of an RLE frame. Raises BadCodestream: their offsets lead out of the frame."""
    if len(frame) < 64:
        raise BadCodestream("the compressed pixels are cut short")
    count, *offsets = struct.unpack_from("<16I", frame)
    used = offsets[: min(count, 15)]
    if not 0 < count <= 15 or used != sorted(used) or used[0] < 64 or used[-1] > len(frame):
        raise BadCodestream("the RLE segments lie outside of the pixel data")
    return int(count)
