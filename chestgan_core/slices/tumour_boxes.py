"""Where a tumour box lies on a normalized slice, and how large it is.

In: the row of a slice, and a box in pixels of its stored image. Out: the box in pixels of the normalized slice and in
mm. The slice was turned upright, cropped and resized (normalization.py); its row says how.
"""

from dataclasses import dataclass

from chestgan_core.slices.shards import SliceRow


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
