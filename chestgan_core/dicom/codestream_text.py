"""Text inside compressed pixels: comments and application data of JPEG and JPEG 2000, which no DICOM viewer shows.

In: encapsulated pixels. Out: the texts in the markers before the image (ITU-T T.81 B.2.4.5 and B.2.4.6, T.800 A.9.2).
"""

import re

from chestgan_core.dicom.codestreams import BadCodestream, frame_of

_SOS, _COMMENT, _APPLICATION = 0xDA, 0xFE, range(0xE0, 0xF0)
_SOT, _COMMENT_2000 = 0x90, 0x64
_MAX_SEGMENTS = 4096
_TEXT = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}")


def texts_in(pixels: bytes) -> list[str]:
    """The texts of at least four characters; none where the pixels are not compressed by one of these, or damaged."""
    try:
        frame = frame_of(pixels)
    except BadCodestream:
        return []
    if frame[:2] == b"\xff\xd8":
        segments = _segments(frame, 2, _SOS)
        wanted = {_COMMENT, *_APPLICATION}
    else:
        start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # inside a JP2 file, behind its boxes
        if start < 0:
            return []
        segments = _segments(frame, start + 2, _SOT)
        wanted = {_COMMENT_2000}
    return [
        text.decode("latin-1")
        for marker, body in segments
        if marker in wanted
        for text in _TEXT.findall(body)
    ]


def _segments(frame: bytes, at: int, last: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while at + 4 <= len(frame) and frame[at] == 0xFF and len(found) < _MAX_SEGMENTS:
        marker = frame[at + 1]
        if marker == last:
            break
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        found.append((marker, frame[at + 4 : at + 2 + length]))
        at += 2 + max(length, 2)
    return found
