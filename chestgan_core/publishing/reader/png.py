"""A PNG of a set as grey levels, from bytes that may be anybody's.

In: the bytes of one file, and the size that the manifest says. Out: (H, W) uint8 or uint16. Header before pixels: an
image of another size or kind is refused before anything is allocated for it.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from chestgan_core.errors import DamagedObject
from chestgan_core.publishing.reader.levels import Levels

REMEDY = "ask whoever published the set"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">8sI4sIIBBBBB")  # signature, IHDR: length, name, width, height, depth, colour, ...
_PLAIN = re.compile(rb"IHDR( IDAT)+ IEND")  # a second header could be of another size, or hold something else
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}

_DECODING_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def max_png_bytes(size: int, bits: int) -> int:
    """More than the PNG of any image of this size that is not padded with something else."""
    return bits // 4 * size * (size + 1) + 4096


def _chunks(png: bytes) -> Iterator[bytes]:
    """The names of its parts, as far as they are intact; `b""` for one that is not."""
    place = len(_SIGNATURE)
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        end = place + 12 + length
        if end > len(png) or zlib.crc32(png[place + 4 : end - 4]) != int.from_bytes(
            png[end - 4 : end], "big"
        ):
            yield b""
            return
        yield png[place + 4 : place + 8]
        place = end


def decode_levels(png: bytes, size: int, bits: int, what: str) -> Levels:
    """The pixels: (size, size) uint8 or uint16.

    what: named by an error. Raises DamagedObject: not a PNG, of another size, not grey of so many bits, damaged, or
    with something behind its end.
    """
    if len(png) < _HEADER.size or not png.startswith(_SIGNATURE):
        raise DamagedObject(what, "is not a PNG", REMEDY)
    _, length, name, width, height, depth, colour, *_ = _HEADER.unpack_from(png)
    if (length, name) != (13, b"IHDR"):
        raise DamagedObject(what, "is not a PNG", REMEDY)
    if (width, height, depth, colour) != (size, size, bits, 0):
        found = f"{width} x {height} pixels, {depth}-bit {_COLOURS.get(colour, 'of an unknown kind')}"
        raise DamagedObject(what, f"has {found}, not {size} x {size}, {bits}-bit grey", REMEDY)
    if len(png) > max_png_bytes(size, bits) or not _PLAIN.fullmatch(b" ".join(_chunks(png))):
        raise DamagedObject(what, "is not a PNG of pixels and nothing else, or damaged", REMEDY)
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            pixels = np.array(image)
    except _DECODING_ERRORS as error:
        raise DamagedObject(what, f"is not a PNG ({error})", REMEDY) from error
    if pixels.shape != (size, size) or pixels.dtype != (np.uint8 if bits == 8 else np.uint16):
        raise DamagedObject(what, f"is not a {bits}-bit grey PNG of the size in its header", REMEDY)
    return pixels
