"""How coherent a stack of slices is, and how large its tumour: how alike neighbours are, and a volume in mm3.

In: slices of one series or of one synthetic patient, from base to apex, and boxes. Out: numbers. A real series at the
same spacing is the measure of what to expect of neighbours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.similarity import ssim

# Of the range of values, which is 2: what is less bright than its surroundings by more is no tumour.
MIN_CONTRAST = 0.2
_RING = 2  # pixels around a box that are its surroundings
_BRIGHT = 90  # percentile of the box that is the brightness of the tumour


@dataclass(frozen=True)
class StackMeasures:
    """neighbour_ssim: mean SSIM of each slice and the next. spacing_mm: between them. boxes_mm3: of ellipses in the
    boxes. tumour_mm3: of what is bright in them.
    """

    neighbour_ssim: float
    spacing_mm: float
    boxes_mm3: float
    tumour_mm3: float


def measure_stack(
    stack: Tensor, boxes: Sequence[Sequence[Edges]], pixel_mm: float, spacing_mm: float
) -> StackMeasures:
    """What can be said of a stack, real or synthetic; arguments as of `tumour_mm3`, at least two slices."""
    ellipses = sum(
        math.pi / 4 * (right - left) * (bottom - top) for some in boxes for left, top, right, bottom in some
    )
    return StackMeasures(
        float(neighbour_similarity(stack).mean()),
        spacing_mm,
        ellipses * pixel_mm**2 * spacing_mm,
        tumour_mm3(stack, boxes, pixel_mm, spacing_mm),
    )


def neighbour_similarity(stack: Tensor) -> NDArray[np.float64]:
    """SSIM of each slice and the next, (n - 1,). stack: (n, 1, R, R) float32 in [-1, 1], n at least 2, R at least 7.

    Examples:
        >>> import torch
        >>> neighbour_similarity(torch.zeros(3, 1, 16, 16)).tolist()
        [1.0, 1.0]
    """
    return ssim(stack[:-1], stack[1:])


def slices_at(z_mm: Sequence[float], spacing_mm: float) -> list[int]:
    """Indices of the slices of a real series that are nearest to planes at another spacing, each at most once.

    z_mm: ascending.

    Examples:
        >>> slices_at([0, 2, 4, 6, 8, 10], spacing_mm=5)
        [0, 2, 5]
    """
    places = np.asarray(z_mm, np.float64)
    planes = np.arange(places[0], places[-1] + spacing_mm * 1e-6, spacing_mm)
    return sorted({int(np.abs(places - plane).argmin()) for plane in planes})


def tumour_mm3(stack: Tensor, boxes: Sequence[Sequence[Edges]], pixel_mm: float, spacing_mm: float) -> float:
    """Volume of what is bright in the boxes, compared with what is around them.

    A pixel counts where it is brighter than the middle between the median of a ring around its box and the bright tenth
    of the box (the full width at half maximum); none does where these differ by less than MIN_CONTRAST.

    Args:
        stack: (n, 1, R, R) float32 in [-1, 1].
        boxes: Of each slice, in its pixels; () where it has none.
        pixel_mm: Edge of a pixel.
        spacing_mm: Between slices.

    Examples:
        >>> import torch
        >>> stack = torch.full((3, 1, 16, 16), -0.8)
        >>> stack[1, 0, 4:8, 4:8] = 0.6  # 16 pixels of 2 mm, 5 mm thick
        >>> tumour_mm3(stack, [(), [(3.5, 3.5, 8.5, 8.5)], ()], pixel_mm=2, spacing_mm=5)
        320.0
    """
    pixels = sum(
        int(bright.sum())
        for image, some in zip(stack, boxes, strict=True)
        if (bright := _bright(image[0].double().cpu().numpy(), some)) is not None
    )
    return float(pixels * pixel_mm**2 * spacing_mm)


def _bright(image: NDArray[np.float64], boxes: Sequence[Edges]) -> NDArray[np.bool_] | None:
    """(R, R) the pixels of tumours; None without boxes."""
    found: NDArray[np.bool_] | None = None
    for left, top, right, bottom in boxes:
        columns, rows = _pixels(left, right, len(image)), _pixels(top, bottom, len(image))
        if found is None:
            found = np.zeros(image.shape, np.bool_)
        ring = np.ones(image.shape, np.bool_)
        ring[rows, columns] = False
        around = image[_wider(rows), _wider(columns)][ring[_wider(rows), _wider(columns)]]
        inside = image[rows, columns]
        low, high = np.median(around), np.percentile(inside, _BRIGHT)
        if high - low >= MIN_CONTRAST:
            found[rows, columns] |= inside > (low + high) / 2
    return found


def _pixels(low: float, high: float, size: int) -> slice:
    """The pixels that a box touches along one side, at least one."""
    first = min(int(low), size - 1)
    return slice(first, max(min(int(np.ceil(high)), size), first + 1))


def _wider(pixels: slice) -> slice:
    return slice(max(pixels.start - _RING, 0), pixels.stop + _RING)
