"""One slice by itself: its file decoded, upright, what it shows, cropped to the chest, resized, hashed.

In: headers (dicom/headers.py) and a recipe. Out: a `SeenSlice` for each. It depends on no other slice, so any process
may do it (normalizing_workers.py); whether the slice is kept is decided for its series (series_slices.py).

The crop is a box per slice, not per series. A generator of slices learns from chests that fill the frame, from apex to
base; one box per series would show small chests at the apex, and would need every slice decoded before the first can be
resized. The body's outline changes slowly from slice to slice, so the boxes do. The price is that the pixel size varies
within a series; each row records it.

The table stays where the box includes it. Its mask is only known on the coarse grid, and cropping along that would
leave steps in the skin; the box is laid around the body without the table, so little of it remains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.hounsfield import MAX_HU, MIN_HU, to_hounsfield
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pixels import PixelsLeftOut, stored_pixels
from chestgan_core.imaging.lung_mask import Chest, coarse_step, find_chest
from chestgan_core.imaging.perceptual_hash import perceptual_hash
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.lung_region import may_show_lung

# Pillow widens the filter by the scale, so nothing aliases. Hamming is nearly as sharp as bicubic, has no
# negative weights, which make dark rims along bone that the scanner never measured, and costs half.
FILTER = Image.Resampling.HAMMING
MARGIN = 0.02  # of the body's larger extent, on each side, so that the skin is not at the edge
# Each HU from the lowest to the highest as grey through the lung window: a table is five times as fast as the window.
_GREY = ((WINDOWS["lung"].to_unit(np.arange(MIN_HU, MAX_HU + 1)) + 1) * 127.5).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Crop:
    """A box in pixels of the upright image; it may reach beyond the image."""

    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ResizedSlice:
    """hu: (size, size) int16 in [-1024, 3071], patient's left on the right, back below. pixel_mm: edge of a pixel.
    phash: perceptual hash of the slice as it is displayed.
    """

    hu: np.ndarray
    crop: Crop
    pixel_mm: float
    phash: str


@dataclass(frozen=True, slots=True)
class Unread:
    """Why the pixels of a slice cannot be read, and the name of its file."""

    reason: LeftOut
    cause: str
    where: str


@dataclass(frozen=True, slots=True)
class SeenSlice:
    """chest: what it shows; None: no body, or unread. resized: None where it shows nothing that may be lung."""

    chest: Chest | None = None
    resized: ResizedSlice | None = None
    unread: Unread | None = None


@dataclass(frozen=True, slots=True)
class SlicesToSee:
    """Slices that lie behind each other in a series. resize_all: also those that show no lung. in_place: whether any
    process can read them without unpacking a whole archive first.
    """

    headers: Sequence[SliceHeader]
    size: int
    min_lung_fraction: float
    resize_all: bool
    in_place: bool


def see(slices: SlicesToSee, archives: Archives) -> list[SeenSlice]:
    """What each of the slices shows. archives: opens their files; those of this thread."""
    return [_seen(header, slices, archives) for header in slices.headers]


def _seen(header: SliceHeader, slices: SlicesToSee, archives: Archives) -> SeenSlice:
    try:
        upright = header.geometry.upright(stored_pixels(header, archives))
    except PixelsLeftOut as left_out:
        return SeenSlice(unread=Unread(left_out.reason, left_out.cause, archives.name(header.location)))
    step = coarse_step(*upright.shape)
    chest = find_chest(to_hounsfield(upright[::step, ::step], header.rescale), step)
    if chest is None or not (slices.resize_all or may_show_lung(chest, slices.min_lung_fraction)):
        return SeenSlice(chest)
    return SeenSlice(chest, _resized(header, upright, chest, slices.size))


def _resized(header: SliceHeader, upright: np.ndarray, chest: Chest, size: int) -> ResizedSlice:
    """One slice, cropped and resized. upright: (rows, columns), stored."""
    crop = _square(header, chest)
    cropped = Image.fromarray(_cropped(upright, header, crop))
    hu = np.rint(np.asarray(cropped.resize((size, size), FILTER))).astype(np.int16)
    pixel_mm = crop.columns * header.geometry.upright_mm[1] / size
    return ResizedSlice(hu, crop, pixel_mm, perceptual_hash(_GREY[hu - MIN_HU]))


def _square(header: SliceHeader, chest: Chest) -> Crop:
    """A box around the body that is square in mm."""
    row_mm, column_mm = header.geometry.upright_mm
    extent_mm = max((chest.bottom - chest.top) * row_mm, (chest.right - chest.left) * column_mm)
    side_mm = extent_mm * (1 + 2 * MARGIN)
    height, width = max(1, round(side_mm / row_mm)), max(1, round(side_mm / column_mm))
    top, left = (chest.top + chest.bottom - height) // 2, (chest.left + chest.right - width) // 2
    return Crop(top, left, height, width)


def _cropped(upright: np.ndarray, header: SliceHeader, crop: Crop) -> np.ndarray:
    """The box in HU, float32; air where it lies outside the image."""
    rows, columns = upright.shape
    y, x = max(crop.top, 0), max(crop.left, 0)
    inside = upright[y : min(crop.top + crop.rows, rows), x : min(crop.left + crop.columns, columns)]
    hu = to_hounsfield(inside, header.rescale, np.float32)
    if hu.shape == (crop.rows, crop.columns):
        return hu
    box = np.full((crop.rows, crop.columns), MIN_HU, np.float32)
    y, x = y - crop.top, x - crop.left
    box[y : y + hu.shape[0], x : x + hu.shape[1]] = hu
    return box
