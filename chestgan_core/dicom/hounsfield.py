"""Stored pixel values to Hounsfield units (DICOM PS3.3 C.11.1.1.2), and the attributes that this needs.

In: a header, stored values. Out: Rescale; HU as int16.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from chestgan_core.errors import BadInput

MIN_HU, MAX_HU = -1024, 3071  # air, and the top of the common 12-bit scale
MIN_PLAUSIBLE_HU = -1000  # nothing in a body is below it, so such values may be padding
# Empty and absent are common in CT Image Storage; GE's reformats write "Houndsfield Unit".
HU_TYPES = ("", "HU", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNDSFIELD UNIT", "HOUNSFIELD UNITS")


class NotHounsfield(BadInput):
    """The file does not say how its stored values become Hounsfield units."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """HU = stored * slope + intercept; stored values in [padding_from, padding_to] are padding and become air.

    padding_from > padding_to means that there is no padding value.
    """

    slope: float
    intercept: float
    padding_from: int = 1
    padding_to: int = 0

    def pads_beyond(self, bits: int, signed: bool) -> bool:
        """Whether a padding value does not fit into that number of bits.

        Some scanners write -2000 into unsigned words and state that 12 bits are stored. Cut to 12 bits it would be
        bone.
        """
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        return (
            self.padding_from <= self.padding_to and not low <= self.padding_from <= self.padding_to <= high
        )


def rescale_of(header: Dataset) -> Rescale:
    """The rescale of one slice, from its own header: slope and intercept may differ within a series.

    Raises NotHounsfield: slope or intercept is absent or not a number, or the type is not HU.
    """
    slope, intercept = _number(header.get("RescaleSlope")), _number(header.get("RescaleIntercept"))
    kind = str(header.get("RescaleType") or "").strip().upper()
    if slope is None or intercept is None or slope == 0 or kind not in HU_TYPES:
        raise NotHounsfield("slice", "has no rescale to Hounsfield units", "leave its series out")
    padding = _number(header.get("PixelPaddingValue"))
    if padding is None:
        return Rescale(slope, intercept)
    limit = _number(header.get("PixelPaddingRangeLimit"))
    ends = sorted(_as_stored(int(end), header) for end in (padding, padding if limit is None else limit))
    if any(MIN_PLAUSIBLE_HU < end * slope + intercept < MAX_HU for end in ends):
        # A padding value that is also one of tissue (0 where 0 is water) comes from some converter: it would cut holes
        # of air into the body.
        return Rescale(slope, intercept)
    return Rescale(slope, intercept, ends[0], ends[1])


def to_hounsfield(stored: np.ndarray, rescale: Rescale) -> np.ndarray:
    """Stored pixel values to Hounsfield units.

    Args:
        stored: Integers of any shape, signed or unsigned, as decoded; a part of a slice is enough.
        rescale: Slope, intercept and padding of the slice (`rescale_of` its header).

    Returns:
        HU as int16, in the same shape, rounded and clipped to -1024 (air) ... 3071. Padding outside of the field of
        view becomes -1024: GE writes -2000 there, before the intercept.

    Examples:
        >>> import numpy as np
        >>> from chestgan_core.dicom.hounsfield import Rescale, to_hounsfield
        >>> stored = np.array([[0, 24, 1024, 4095]], np.uint16)
        >>> to_hounsfield(stored, Rescale(slope=1, intercept=-1024))  # air, lung, water, metal in HU
        array([[-1024, -1000,     0,  3071]], dtype=int16)
    """
    if rescale.slope == 1 and float(rescale.intercept).is_integer():
        intercept = int(rescale.intercept)
        limits = np.iinfo(stored.dtype)
        # Clipped before the sum, in the stored type, so that nothing overflows and no wide copy is needed.
        low = min(max(MIN_HU - intercept, limits.min), limits.max)
        high = min(max(MAX_HU - intercept, limits.min), limits.max)
        hu = np.clip(stored, low, high)
        if (low, high) == (MIN_HU - intercept, MAX_HU - intercept):
            hu = hu.astype(np.int32 if max(-low, high) > np.iinfo(np.int16).max else np.int16)
            hu += intercept
        else:
            # The stored type does not cover the whole range, and may even lie outside of it.
            hu = np.clip(hu.astype(np.int32) + intercept, MIN_HU, MAX_HU)
    else:
        exact = stored * np.float64(rescale.slope) + rescale.intercept
        hu = np.clip(np.rint(exact), MIN_HU, MAX_HU)
    result: np.ndarray = hu.astype(np.int16, copy=False)
    if rescale.padding_from <= rescale.padding_to:
        padded = (stored >= rescale.padding_from) & (stored <= rescale.padding_to)
        result[padded] = MIN_HU
    return result


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _as_stored(value: int, header: Dataset) -> int:
    """A padding value in the range of the stored type: some files write -2000 as 63536, or the reverse."""
    bits = int(header.get("BitsAllocated") or 16)
    value %= 1 << bits
    return value - (1 << bits) if header.get("PixelRepresentation") and value >= 1 << (bits - 1) else value
