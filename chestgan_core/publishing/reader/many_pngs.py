"""Many PNGs of a set at once: what a whole set is checked or converted by, several times faster than one by one.

In: the bytes of PNG files of one size, perhaps somebody else's. Out: levels. Only the plain form that chestgan writes
(three parts, rows with the filters none, sub or up) is read here, all rows of many images in one step of NumPy; any
other PNG, and any that is damaged, goes to `png.decode_levels`, which decides. Source of the filters: the PNG
specification, https://www.w3.org/TR/png-3/.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import DamagedObject
from chestgan_core.publishing.reader.levels import Bits, Levels
from chestgan_core.publishing.reader.png import decode_levels, max_png_bytes

_SUB, _UP = 1, 2
_BEGIN = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big")
_PIXELS = 8 + 25  # where the part with the pixels begins
_END = b"\0\0\0\0IEND\xaeB`\x82"


def decode_many(pngs: Sequence[bytes], size: int, bits: Bits) -> list[Levels | DamagedObject]:
    """The levels of each file, (size, size) uint8 or uint16; or what decode_levels says is wrong with it.

    Memory: five times the levels. The errors name no file, as they have none here.
    """
    width = size * bits // 8
    rows = np.empty((len(pngs), size, 1 + width), np.uint8)
    begin = _header(size, bits)
    plain = np.array(
        [_inflate(png, begin, row, max_png_bytes(size, bits)) for png, row in zip(pngs, rows, strict=True)]
    )
    if plain.size:
        plain &= (rows[:, :, 0] <= _UP).all(axis=1)
    found: list[Levels | DamagedObject] = []
    levels = iter(_unfiltered(rows if plain.all() else rows[plain], bits))
    for png, simple in zip(pngs, plain, strict=True):
        found.append(next(levels) if simple else _decided(png, size, bits))
    return found


def _header(size: int, bits: int) -> bytes:
    part = b"IHDR" + size.to_bytes(4, "big") * 2 + bytes((bits, 0, 0, 0, 0))
    return _BEGIN + part + zlib.crc32(part).to_bytes(4, "big")


def _inflate(png: bytes, begin: bytes, into: NDArray[np.uint8], most: int) -> bool:
    """Write the filtered rows of a plain PNG; False for any other, damaged ones among them."""
    if len(png) > most or not png.startswith(begin) or not png.endswith(_END):
        return False
    stop = len(png) - len(_END)
    if png[_PIXELS : _PIXELS + 8] != (stop - _PIXELS - 12).to_bytes(4, "big") + b"IDAT":
        return False
    if zlib.crc32(memoryview(png)[_PIXELS + 4 : stop - 4]) != int.from_bytes(png[stop - 4 : stop], "big"):
        return False
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(memoryview(png)[_PIXELS + 8 : stop - 4], into.size + 1)
    except zlib.error:
        return False
    if len(data) != into.size or not unpacker.eof or unpacker.unused_data:
        return False
    into.reshape(-1)[:] = np.frombuffer(data, np.uint8)
    return True


def _unfiltered(rows: NDArray[np.uint8], bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(N, H, 1 + bytes of a row) with filters none, sub or up -> (N, H, W) levels."""
    count, height, width = rows.shape[0], rows.shape[1], rows.shape[2] - 1
    pixel = bits // 8
    filters, there = rows[:, :, 0], np.ascontiguousarray(rows[:, :, 1:])
    left = filters == _SUB
    # A row of this filter needs nothing but itself: those of all images in one step.
    added = np.add.accumulate(there[left].reshape(-1, width // pixel, pixel), axis=1, dtype=np.uint8)
    there[left] = added.reshape(-1, width)
    above = filters == _UP
    for row in range(1, height):
        these = above[:, row]
        there[these, row] += there[these, row - 1]
    if bits == 8:
        return there
    return there.view(">u2").reshape(count, height, width // pixel).astype(np.uint16)


def _decided(png: bytes, size: int, bits: Bits) -> Levels | DamagedObject:
    try:
        return decode_levels(png, size, bits, "the image")
    except DamagedObject as error:
        return error
