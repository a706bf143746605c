"""Where a tumour box lies on a normalized slice, and how large it is; and its mask, where one was drawn.

In: the row of a slice, and a box or a mask in pixels of its stored image. Out: the box in pixels of the normalized
slice and in mm, the mask on the normalized slice. The slice was turned upright, cropped and resized (normalization.py);
its row says how.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from chestgan_core.slices.shards import SliceRow
from chestgan_core.sources.annotations.boxes import TumourBox
from chestgan_core.sources.annotations.masks import mask_of


@dataclass(frozen=True)
class SliceBox:
    """A half-open box in pixels of the normalized slice, origin top left, x to the patient's left, y to the back;
    clipped to the slice. width_mm, height_mm: of the whole box, along x and y.
    """

    left: float
    top: float
    right: float
    bottom: float
    width_mm: float
    height_mm: float


def on_slice(row: SliceRow, left: int, top: int, right: int, bottom: int, size: int) -> SliceBox | None:
    """The box [left, right) x [top, bottom) of stored pixels (column, row; DICOM PS3.3 C.7.6.3.1.4 counts from the
    top left) on the normalized slice of `size` pixels a side.

    None: it lies beyond the slice, or the crop of the slice is unknown. Sizes in mm are exact up to the rounding of the
    crop to whole pixels.
    """
    if not (row.crop_rows and row.crop_columns) or left >= right or top >= bottom:
        return None
    rows, columns = row.stored_rows, row.stored_columns
    if "T" in row.upright:
        left, top, right, bottom = top, left, bottom, right
        rows, columns = columns, rows
    if "R" in row.upright:
        top, bottom = rows - bottom, rows - top
    if "C" in row.upright:
        left, right = columns - right, columns - left
    across, down = size / row.crop_columns, size / row.crop_rows
    x, width = (left - row.crop_left) * across, (right - left) * across
    y, height = (top - row.crop_top) * down, (bottom - top) * down
    if x >= size or y >= size or x + width <= 0 or y + height <= 0:
        return None
    return SliceBox(
        left=max(x, 0.0),
        top=max(y, 0.0),
        right=min(x + width, float(size)),
        bottom=min(y + height, float(size)),
        width_mm=width * row.pixel_mm,
        height_mm=height * row.pixel_mm,
    )


def mask_on_slice(row: SliceRow, box: TumourBox, size: int) -> np.ndarray | None:
    """The mask of an annotation on the normalized slice of `size` pixels a side.

    Returns:
        (size, size) float32, how much of each pixel the tumour covers, 0 to 1. None: only a box was drawn, it does not
        lie in the stored image, or the crop of the slice is unknown.

    Raises:
        DamagedObject: The mask is of another size than its box.
    """
    mask = mask_of(box)
    inside = min(box.left, box.top) >= 0 and box.right <= row.stored_columns and box.bottom <= row.stored_rows
    if mask is None or not inside or not (row.crop_rows and row.crop_columns):
        return None
    stored = np.zeros((row.stored_rows, row.stored_columns), np.float32)
    stored[box.top : box.bottom, box.left : box.right] = mask
    turned = stored.T if "T" in row.upright else stored
    turned = turned[:: -1 if "R" in row.upright else 1, :: -1 if "C" in row.upright else 1]
    cropped = np.zeros((row.crop_rows, row.crop_columns), np.float32)
    # The part of the crop that lies in the image, in pixels of the image and of the crop.
    y, x = max(row.crop_top, 0), max(row.crop_left, 0)
    bottom, right = max(row.crop_top + row.crop_rows, 0), max(row.crop_left + row.crop_columns, 0)
    part = turned[y:bottom, x:right]
    y, x = y - row.crop_top, x - row.crop_left
    cropped[y : y + part.shape[0], x : x + part.shape[1]] = part
    return np.asarray(Image.fromarray(cropped).resize((size, size), Image.Resampling.BOX))
