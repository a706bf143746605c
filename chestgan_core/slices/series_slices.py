"""The slices of one series: upright, cropped to the chest, `size` x `size`, in Hounsfield units.

In: a series of headers (dicom/series.py) and a recipe. Out: each slice, normalized or with the reason why not. A thread
reads and decodes ahead, while this thread crops and resizes.

Which slices show lung is decided for a series as a whole (lung_region.py), when its last slice has been seen. So what
may show lung is cropped and resized before it is known whether it will be kept; the rest leaves three numbers behind,
and the few slices of it that prove to lie between the lungs' ends are read a second time.

The crop is a box per slice, not per series. A generator of slices learns from chests that fill the frame, from apex to
base; one box per series would show small chests at the apex, and would need every slice decoded before the first can be
resized. The body's outline changes slowly from slice to slice, so the boxes do. The price is that the pixel size varies
within a series; each row records it.

The table stays where the box includes it. Its mask is only known on the coarse grid, and cropping along that would
leave steps in the skin; the box is laid around the body without the table, so little of it remains.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.hounsfield import MIN_HU, to_hounsfield
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pixels import PixelsLeftOut, stored_pixels
from chestgan_core.dicom.series import Series
from chestgan_core.imaging.lung_mask import Chest, coarse_step, find_chest
from chestgan_core.local.progress import Progress
from chestgan_core.slices.lung_position import find_lung_extent
from chestgan_core.slices.lung_region import find_lung_region, may_show_lung
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import UNKNOWN_POSITION

READ_AHEAD = 3  # slices; decompression releases the interpreter lock, so it runs beside the resizing
# Pillow widens the filter by the scale, so nothing aliases. Hamming is nearly as sharp as bicubic, has no
# negative weights, which make dark rims along bone that the scanner never measured, and costs half.
FILTER = Image.Resampling.HAMMING
MARGIN = 0.02  # of the body's larger extent, on each side, so that the skin is not at the edge


@dataclass(frozen=True)
class Crop:
    """A box in pixels of the upright image; it may reach beyond the image."""

    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True)
class NormalizedSlice:
    """hu: (size, size) int16 in [-1024, 3071], patient's left on the right, back below. pixel_mm: edge of a pixel.
    lung_fraction: lung area / body area. doubtful: whether a person should look at it (lung_region.py). position: in
    the lungs (lung_position.py).
    """

    header: SliceHeader
    hu: np.ndarray
    lung_fraction: float
    pixel_mm: float
    crop: Crop
    doubtful: bool = False
    position: float = UNKNOWN_POSITION


@dataclass(frozen=True)
class SliceLeftOut:
    """A slice that is left out, and why. cause, where: what is wrong with an unreadable file, and its name. doubtful:
    the slice, if a person should look at it.
    """

    header: SliceHeader
    reason: LeftOut
    cause: str = ""
    where: str = ""
    doubtful: NormalizedSlice | None = None


def normalize_series(
    series: Series,
    recipe: NormalizationRecipe,
    archives: Archives,
    space: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Iterator[NormalizedSlice | SliceLeftOut]:
    """Each slice of the series once, as a normalized slice or with the reason why not, from the lowest to the highest.

    They come when the whole series is read. archives: not to be used elsewhere until the iterator ends: another thread
    reads from them. space: (slices of the series, size, size) int16, where normalized slices are written.
    """
    if space is None:
        space = np.empty((len(series.slices), recipe.size, recipe.size), np.int16)
    chests: list[Chest | None] = []
    outcomes: dict[int, NormalizedSlice | SliceLeftOut] = {}
    for index, (header, stored) in enumerate(_decoded(series.slices, archives)):
        chest = None
        if isinstance(stored, SliceLeftOut):
            outcomes[index] = stored
        else:
            upright = header.geometry.upright(stored)
            chest = _chest(header, upright)
            if chest is None:
                outcomes[index] = SliceLeftOut(header, LeftOut.NO_BODY)
            elif may_show_lung(chest, recipe.min_lung_fraction):
                outcomes[index] = normalize_slice(header, upright, chest, space[index])
        chests.append(chest)
        if progress is not None:
            progress.step()
    region = find_lung_region(chests, recipe.min_lung_fraction)
    # What an unreadable slice shows is not known: a gap, not the end of the lungs.
    read = [
        index
        for index in range(len(chests))
        if not (isinstance(known := outcomes.get(index), SliceLeftOut) and known.reason != LeftOut.NO_BODY)
    ]
    extent = find_lung_extent(
        [series.slices[index].position_mm for index in read], [chests[index] for index in read]
    )
    missing = [index for index in region.slices if index not in outcomes]
    again = _decoded([series.slices[index] for index in missing], archives)
    for index, (header, stored) in zip(missing, again, strict=True):
        chest = chests[index]
        if isinstance(stored, SliceLeftOut):
            outcomes[index] = stored
        elif chest is not None:
            upright = header.geometry.upright(stored)
            outcomes[index] = normalize_slice(header, upright, chest, space[index])
    # The ends of the lungs are trimmed, not those of the scan: how far a scan reaches beyond the lungs is chance.
    shown = [index for index in region.slices if isinstance(outcomes[index], NormalizedSlice)]
    ends = int(len(shown) * recipe.trim)
    kept = set(shown[ends : len(shown) - ends])
    doubtful = set(region.doubtful)
    for index, header in enumerate(series.slices):
        outcome = outcomes.get(index, SliceLeftOut(header, LeftOut.NO_LUNG))
        if isinstance(outcome, NormalizedSlice):
            position = extent.position(header.position_mm) if extent else UNKNOWN_POSITION
            outcome = replace(outcome, doubtful=index in doubtful, position=position)
            if index not in kept:
                reason = LeftOut.TRIMMED if index in region.slices else LeftOut.NO_LUNG
                outcome = SliceLeftOut(header, reason, doubtful=outcome if outcome.doubtful else None)
        yield outcome


def normalize_slice(
    header: SliceHeader, upright: np.ndarray, chest: Chest, space: np.ndarray
) -> NormalizedSlice:
    """One slice, cropped and resized. upright: (rows, columns), stored. space: (size, size) int16, for the result."""
    crop, size = _square(header, chest), len(space)
    cropped = Image.fromarray(_cropped(upright, header, crop))
    space[:] = np.rint(np.asarray(cropped.resize((size, size), FILTER)))
    pixel_mm = crop.columns * header.geometry.upright_mm[1] / size
    return NormalizedSlice(header, space, chest.lung_fraction, pixel_mm, crop)


def _chest(header: SliceHeader, upright: np.ndarray) -> Chest | None:
    step = coarse_step(*upright.shape)
    return find_chest(to_hounsfield(upright[::step, ::step], header.rescale), step)


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
    hu = to_hounsfield(inside, header.rescale)
    if hu.shape == (crop.rows, crop.columns):
        return hu.astype(np.float32)
    box = np.full((crop.rows, crop.columns), MIN_HU, np.float32)
    y, x = y - crop.top, x - crop.left
    box[y : y + hu.shape[0], x : x + hu.shape[1]] = hu
    return box


def _decoded(
    headers: Sequence[SliceHeader], archives: Archives
) -> Iterator[tuple[SliceHeader, np.ndarray | SliceLeftOut]]:
    """The stored pixels of each slice, in order, read ahead by one thread."""
    pending: deque[tuple[SliceHeader, Future[np.ndarray | SliceLeftOut]]] = deque()
    with ThreadPoolExecutor(1) as reader:
        try:
            for header in headers:
                pending.append((header, reader.submit(_load, header, archives)))
                if len(pending) > READ_AHEAD:
                    first, stored = pending.popleft()
                    yield first, stored.result()
            while pending:
                first, stored = pending.popleft()
                yield first, stored.result()
        finally:
            reader.shutdown(wait=True, cancel_futures=True)


def _load(header: SliceHeader, archives: Archives) -> np.ndarray | SliceLeftOut:
    try:
        return stored_pixels(header, archives)
    except PixelsLeftOut as left_out:
        # The name is looked up here, as archives belong to the thread that reads.
        return SliceLeftOut(header, left_out.reason, left_out.cause, archives.name(header.location))
