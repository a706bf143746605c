"""The image in a file that somebody hands in: a PNG of a set, an exported DICOM file, or what only looks like one.

In: a file. Out: its levels as 8 and as 16 bits, with the sha256 that a set would list, and what a DICOM file says of
itself. Nothing is allocated for a size that a set cannot have.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.dicom.dicom_file import is_dicom
from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_error, open_regular
from chestgan_core.publishing.dicom_export.reading import as_levels, read_stored
from chestgan_core.publishing.dicom_export.statements import ImageFacts
from chestgan_core.publishing.reader.levels import BITS, Bits, Levels, sha256_of_levels
from chestgan_core.publishing.reader.png import decode_levels, max_png_bytes

MAX_SIDE = 8_192  # pixels, as in the manifest of a set
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"IDAT", b"IEND")
_REMEDY = "give a PNG of a set or a DICOM file of chestgan sets convert"


@dataclass(frozen=True)
class Given:
    """levels: by the bits that they may have, (H, W). sha256: of each. facts: what a DICOM file says of itself."""

    path: Path
    kind: str
    levels: Mapping[Bits, Levels]
    sha256: Mapping[Bits, str]
    facts: ImageFacts | None

    @property
    def side(self) -> int:
        """Rows and columns, pixels."""
        return len(next(iter(self.levels.values())))


def read_given(path: Path) -> Given:
    """The image of a file. Raises BadInput, DamagedObject: it is neither of the two, damaged, or too large."""
    try:
        with open_regular(path) as file:
            head = file.read(2048)
    except OSError as error:
        raise file_error(path, error, _REMEDY) from error
    if head.startswith(_SIGNATURE):
        return _given(path, "PNG", _read_png(path, head), None)
    if is_dicom(head):
        stored = read_stored(path)
        possible = ((bits, as_levels(stored.words, bits)) for bits in BITS)
        levels = {bits: found for bits, found in possible if found is not None}
        return _given(path, "DICOM", levels, stored.facts)
    raise BadInput(path, "is neither a PNG nor a DICOM file", _REMEDY)


def _given(path: Path, kind: str, levels: Mapping[Bits, Levels], facts: ImageFacts | None) -> Given:
    rows, columns = next(iter(levels.values())).shape
    if rows != columns:
        raise BadInput(path, f"has {columns} x {rows} pixels, and images of sets are square", _REMEDY)
    digests = {bits: sha256_of_levels(one, bits) for bits, one in levels.items()}
    return Given(path, kind, levels, digests, facts)


def _read_png(path: Path, head: bytes) -> dict[Bits, Levels]:
    if len(head) < 33 or head[12:16] != b"IHDR":
        raise BadInput(path, "is not a PNG", _REMEDY)
    width, height, bits, colour = struct.unpack_from(">IIBB", head, 16)
    if not 1 <= width == height <= MAX_SIDE or bits not in BITS or colour:
        cause = (
            f"has {width} x {height} pixels of {bits} bits; those of sets are square, grey, of 8 or 16 bits"
        )
        raise BadInput(path, cause, _REMEDY)
    most = max_png_bytes(width, bits)
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise file_error(path, error, _REMEDY) from error
    if len(data) > most:
        raise BadInput(path, f"has more than {most:,} bytes, too many for its size", _REMEDY)
    return {bits: decode_levels(_SIGNATURE + b"".join(_of_pixels(data)), width, bits, str(path))}


def _of_pixels(png: bytes) -> Iterator[bytes]:
    """The parts that hold pixels: viewers add others (time, resolution, texts) when they save an image again.

    A damaged part, and what follows it, is kept as it is: whoever decodes the image refuses it.
    """
    place = len(_SIGNATURE)
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        part = png[place:end]
        if end > len(png) or zlib.crc32(part[4:-4]) != int.from_bytes(part[-4:], "big"):
            yield png[place:]
            return
        # A lower-case first letter: a decoder may pass over it (PNG specification 5.4).
        if part[4:8] in _KEPT or part[4:5].isupper():
            yield part
        place = end
