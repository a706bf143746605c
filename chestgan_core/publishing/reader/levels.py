"""The pixels of a set: grey levels of 8 or 16 bits, and what they stand for.

In: images of a generator in [-1, 1], or levels. Out: levels, Hounsfield units, and the one sha256 that an image has in
whatever form it is kept. Level 0 is the lower end of the window, the highest level the upper one.
"""

import hashlib
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput
from chestgan_core.imaging.windows import Window

Bits: TypeAlias = Literal[8, 16]
Levels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
BITS: tuple[Bits, ...] = (8, 16)
# Little-endian, so that the sha256 of an image does not depend on the machine.
_DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype("u1"), 16: np.dtype("<u2")}


def max_level(bits: int) -> int:
    """The level of white: 255 or 65,535."""
    return int(np.iinfo(_DTYPES[bits]).max)


def apart(some: Levels, others: Levels) -> NDArray[np.int32]:
    """By how many levels images differ, pixel by pixel."""
    difference: NDArray[np.int32] = np.abs(some.astype(np.int32) - others)
    return difference


def grey_level(bits: int) -> int:
    """How many levels one of 256 grey levels is: as far as the same image may differ between kinds of devices."""
    return max_level(bits) // max_level(8)


def levels_of(unit: NDArray[np.floating[Any]], bits: int) -> Levels:
    """Images in [-1, 1], of any shape, to levels: -1 is 0, 1 is the highest; what lies outside is clipped.

    Args:
        unit: Floating point, for instance the (1, H, W) float32 of a generator.
        bits: 8 or 16.

    Returns:
        uint8 or uint16 of the same shape, rounded to the nearest level.

    Raises:
        BadInput: Some are NaN: as levels they would be some grey or other.

    Examples:
        >>> levels_of(np.array([-1.0, 0.0, 1.0, 7.0]), 8).tolist()
        [0, 128, 255, 255]
    """
    # 8 bits in the single precision of the network, like every picture of the project; 16 bits need more digits.
    numbers = np.asarray(unit, dtype=np.float32 if bits == 8 else np.float64)
    if np.isnan(numbers).any():
        raise BadInput(
            "the images", "are not numbers everywhere (NaN)", "train again: the generator has diverged"
        )
    levels: Levels = np.rint((np.clip(numbers, -1, 1) + 1) * (max_level(bits) / 2)).astype(_DTYPES[bits])
    return levels


def unit_of(levels: Levels, bits: int) -> NDArray[np.float32]:
    """Levels to float32 in [-1, 1], of the same shape: the inverse of levels_of, within half a level."""
    unit: NDArray[np.float32] = levels.astype(np.float32) * np.float32(2 / max_level(bits)) - 1
    return unit


def values_of(levels: Levels, window: Window, bits: int) -> NDArray[np.float32]:
    """Levels to float32 in the unit of the window (HU, or grey levels of the training images), of the same shape."""
    step = window.width / max_level(bits)
    values: NDArray[np.float32] = (levels * step + window.ends[0]).astype(np.float32)
    return values


def hounsfield_of(levels: Levels, window: Window, bits: int) -> NDArray[np.int16]:
    """Levels to int16 in the unit of the window, rounded; nothing lies outside the window."""
    hounsfield: NDArray[np.int16] = np.rint(values_of(levels, window, bits)).astype(np.int16)
    return hounsfield


def grey_of(levels: Levels, bits: int) -> NDArray[np.uint8]:
    """Levels to the 8 bits that a screen shows, of the same shape."""
    if bits == 8:
        return levels.astype(np.uint8, copy=False)
    return levels_of(unit_of(levels, bits), 8).astype(np.uint8, copy=False)


def sha256_of_levels(levels: Levels, bits: int) -> str:
    """Hex digest of one image, (H, W), whatever file it came from: over its levels row by row, little-endian.

    Examples:
        >>> sha256_of_levels(np.zeros((2, 2), np.uint8), 8)[:16]
        'df3f619804a92fdb'
        >>> sha256_of_levels(np.zeros((2, 2), np.uint16), 16)[:16]
        'af5570f5a1810b7a'
    """
    return hashlib.sha256(np.ascontiguousarray(levels, dtype=_DTYPES[bits]).tobytes()).hexdigest()
