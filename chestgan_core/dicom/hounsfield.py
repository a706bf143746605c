"""Stored pixel values to Hounsfield units (DICOM PS3.3 C.11.1.1.2), and the attributes that this needs.

In: a header, stored values. Out: Rescale; HU as int16.
"""

from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataset import Dataset

from chestgan_core.dicom.attributes import number_of, printable_of, problem_of, whole_of
from chestgan_core.dicom.pixel_layout import PixelLayout
from chestgan_core.errors import BadInput

MIN_HU, MAX_HU = -1024, 3071  # air, and the top of the common 12-bit scale
MIN_PLAUSIBLE_HU = -1000  # nothing in a body is below it, so such values may be padding
# Empty and absent are common in CT Image Storage; GE's reformats write "Houndsfield Unit".
# Beyond these no scanner writes: extended scales begin at -8192, slopes of 8-bit exports reach 32.
MAX_SLOPE, MAX_INTERCEPT = 1000.0, 100_000.0
MIN_SPAN_HU = 200.0  # of all values that the pixels can hold: less cannot tell air from fat
_EXACT_INTERCEPT = 2**20  # up to this, stored values and intercept are added as 32-bit integers
HU_TYPES = ("", "HU", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNDSFIELD UNIT", "HOUNSFIELD UNITS")


class NotHounsfield(BadInput):
    """The file does not say how its stored values become Hounsfield units; names the attribute and its value."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """HU = stored * slope + intercept; stored values in [padding_from, padding_to] are padding and become air.

    padding_from > padding_to means that there is no padding value. corner_padding: a padding value that tissue has too
    (0 where 0 is water; one cut to the stored bits): only what is connected to a corner of the image is padding
    (`dicom/pixels.py`).
    """

    slope: float
    intercept: float
    padding_from: int = 1
    padding_to: int = 0
    corner_padding: int | None = None

    def pads_beyond(self, bits: int, signed: bool) -> bool:
        """Whether a padding value does not fit into that number of bits.

        Some scanners write -2000 into unsigned words and state that 12 bits are stored. Cut to 12 bits it would be
        bone.
        """
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        return (
            self.padding_from <= self.padding_to and not low <= self.padding_from <= self.padding_to <= high
        )


def rescale_of(header: Dataset, layout: PixelLayout) -> Rescale:
    """The rescale of one slice, from its own header: slope and intercept may differ within a series.

    A missing RescaleType means HU, as in CT Image Storage it may be missing; a missing slope or intercept is never
    guessed, and neither is a number with a comma.

    Raises NotHounsfield: slope or intercept is absent, not a number or out of range, or the type is not HU.
    """
    slope, intercept = number_of(header, "RescaleSlope"), number_of(header, "RescaleIntercept")
    if printable_of(header, "RescaleType").upper() not in HU_TYPES:
        raise _not_hounsfield("RescaleType names other units")
    if slope is None or not 0 < abs(slope) <= MAX_SLOPE:
        raise _not_hounsfield(problem_of(header, "RescaleSlope"))
    if intercept is None or abs(intercept) > MAX_INTERCEPT:
        raise _not_hounsfield(problem_of(header, "RescaleIntercept"))
    lowest = -(1 << (layout.allocated - 1)) if layout.signed else 0
    ends = lowest * slope + intercept, (lowest + (1 << layout.allocated) - 1) * slope + intercept
    if max(ends) - min(ends) < MIN_SPAN_HU or min(ends) > MAX_HU or max(ends) < MIN_HU:
        raise _not_hounsfield(
            f"{problem_of(header, 'RescaleSlope')} and {problem_of(header, 'RescaleIntercept')}: pixels would have "
            f"{min(ends):.6g} to {max(ends):.6g} HU"
        )
    return _with_padding(Rescale(slope, intercept), header, layout)


def _not_hounsfield(cause: str) -> NotHounsfield:
    return NotHounsfield("slice", cause, "leave its series out")


def _with_padding(rescale: Rescale, header: Dataset, layout: PixelLayout) -> Rescale:
    padding = whole_of(header, "PixelPaddingValue")
    if padding is None:
        return rescale
    limit = whole_of(header, "PixelPaddingRangeLimit")
    value = _as_stored(padding, layout)
    start, end = sorted((value, value if limit is None else _as_stored(limit, layout)))
    low, high = sorted(one * rescale.slope + rescale.intercept for one in (start, end))
    if high <= MIN_PLAUSIBLE_HU or low >= MAX_HU:
        rescale = replace(rescale, padding_from=start, padding_to=end)
        if rescale.pads_beyond(layout.stored, layout.signed):
            # Some encoders cut it to BitsStored: 63536 becomes 2096, which is bone everywhere but in the corners.
            return replace(rescale, corner_padding=value & ((1 << layout.stored) - 1))
        return rescale
    # A padding value that is also one of tissue would cut holes of air into the body. The corners, which no body
    # reaches, show where it is one.
    return replace(rescale, corner_padding=value)


def to_hounsfield(
    stored: np.ndarray, rescale: Rescale, dtype: type[np.int16 | np.float32] = np.int16
) -> np.ndarray:
    """Stored pixel values to Hounsfield units.

    Args:
        stored: Integers of any shape, signed or unsigned, as decoded; a part of a slice is enough.
        rescale: Slope, intercept and padding of the slice (`rescale_of` its header).
        dtype: Of the result; for resizing, float32 costs less than a conversion afterwards.

    Returns:
        HU as int16, or the same whole numbers as float32, in the same shape, rounded and clipped to -1024 (air) ...
        3071. Padding outside of the field of view becomes -1024: GE writes -2000 there, before the intercept.

    Examples:
        >>> import numpy as np
        >>> from chestgan_core.dicom.hounsfield import Rescale, to_hounsfield
        >>> stored = np.array([[0, 24, 1024, 4095]], np.uint16)
        >>> to_hounsfield(stored, Rescale(slope=1, intercept=-1024))  # air, lung, water, metal in HU
        array([[-1024, -1000,     0,  3071]], dtype=int16)
    """
    exact = abs(rescale.intercept) <= _EXACT_INTERCEPT and rescale.intercept == int(rescale.intercept)
    if rescale.slope == 1 and exact:
        intercept = int(rescale.intercept)
        limits = np.iinfo(stored.dtype)
        # Clipped before the sum, in the stored type, so that nothing overflows and no wide copy is needed.
        low = min(max(MIN_HU - intercept, limits.min), limits.max)
        high = min(max(MAX_HU - intercept, limits.min), limits.max)
        hu = np.clip(stored, low, high)
        if (low, high) == (MIN_HU - intercept, MAX_HU - intercept):
            wide = np.int32 if max(-low, high) > np.iinfo(np.int16).max else dtype
            hu = np.add(hu, intercept, dtype=wide, casting="unsafe")
        else:
            # The stored type does not cover the whole range, and may even lie outside of it.
            hu = np.clip(hu.astype(np.int32) + intercept, MIN_HU, MAX_HU)
    else:
        hu = np.clip(np.rint(stored * np.float64(rescale.slope) + rescale.intercept), MIN_HU, MAX_HU)
    result: np.ndarray = hu.astype(dtype, copy=False)
    if rescale.padding_from <= rescale.padding_to:
        padded = (stored >= rescale.padding_from) & (stored <= rescale.padding_to)
        result[padded] = MIN_HU
    return result


def _as_stored(value: int, layout: PixelLayout) -> int:
    """A padding value in the range of the stored type: some files write -2000 as 63536, or the reverse."""
    value %= 1 << layout.allocated
    negative = layout.signed and value >= 1 << (layout.allocated - 1)
    return value - (1 << layout.allocated) if negative else value
