"""The one encoder of reader studies: two pictures of one size have the same number of bytes, whatever they show.

In: grey levels. Out: PNG of 8-bit grey with nothing but header, pixels and end. The pixels are stored, not compressed:
how well a picture compresses tells a smooth synthetic one from a noisy real one.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def blind_png(grey: NDArray[np.uint8]) -> bytes:
    """(H, W) uint8 as PNG. Raises ValueError: another dtype, or not two dimensions."""
    if grey.dtype != np.uint8 or grey.ndim != 2:
        raise ValueError(f"a picture is (H, W) uint8, not {grey.dtype} {grey.shape}")
    height, width = grey.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, 0: none
    rows[:, 1:] = grey
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(rows.tobytes(), level=0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
