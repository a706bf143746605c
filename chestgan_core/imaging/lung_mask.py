"""How much lung and how much gas one slice shows, and where the body is.

In: one upright slice in HU on a coarse grid. Out: `Chest`. One slice alone does not say whether it belongs to the
chest; slices/lung_region.py decides that for a series.

Areas do not need full resolution: every fourth pixel of a 512 x 512 slice (about 3 mm) gives the same
decision and costs a sixteenth.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

GRID = 128  # minimum width of the coarse grid in pixels, where the slice has as many
TISSUE_HU = -500  # halfway between air and soft tissue
LUNG_HU = -400  # lung with its small vessels is darker
# Gas in the trachea, the stomach and the bowel is near -1000; lung contains tissue: normal lung is near -850, and what
# is below -950 counts as emphysema (Gevenois et al., Am J Respir Crit Care Med 1995). A region is gas if GAS_PART of it
# is. Not half: the rim of a small bubble is mixed with its wall, and a loop of bowel may be joined to one that holds
# stool or food, which is as dense as lung.
GAS_HU, GAS_PART = -950, 1 / 3
# Gas that reaches over half of the body from front to back, into its last quarter, fills a side of the chest: severe
# emphysema, a pneumothorax, or a phantom whose lungs are air. Bowel lies in front of spine, kidneys and muscles.
LUNG_DEPTH, LUNG_BACK = 0.5, 0.75
_LUNG, _DARK, _GAS = 1, 2, 3  # kinds of regions
MIN_LUNG_PIXELS = 8  # of the coarse grid; less is a bubble or a gap between folds


@dataclass(frozen=True)
class Chest:
    """lung_fraction: lung area / body area. dark_fraction: the part of it that is as dark as gas. gas_fraction: area of
    gas in airways, stomach and bowel / body area. top to right: the box of the body in pixels of the full slice, the
    first row and column and one past the last.
    """

    lung_fraction: float
    dark_fraction: float
    gas_fraction: float
    top: int
    bottom: int
    left: int
    right: int


def coarse_step(rows: int, columns: int) -> int:
    """Pixels of the slice per pixel of the coarse grid, along each side."""
    return max(1, min(rows, columns) // GRID)


def find_chest(hu: np.ndarray, step: int) -> Chest | None:
    """The body and its lungs. hu: (rows, cols) int16 on the coarse grid, upright; step: full pixels per
    grid pixel.

    Returns None where there is no body. The body is the largest connected region that is not air, without the table
    and with what it encloses. Lung is air that tissue encloses, except gas. At the edge of the image the body is taken
    as closed, so that a lung that the field of view cuts still counts.

    Examples:
        >>> hu = np.full((100, 100), -1000, np.int16)  # air
        >>> hu[20:80, 10:90] = 40  # a body, 80 pixels wide
        >>> hu[30:70, 20:40] = -850  # a lung
        >>> hu[30:40, 60:70] = -990  # gas in the bowel
        >>> chest = find_chest(hu, step=1)
        >>> round(chest.lung_fraction, 3), round(chest.gas_fraction, 3), (chest.left, chest.right)
        (0.167, 0.021, (10, 90))
    """
    tissue = hu > TISSUE_HU
    body = _largest(_without_thin(tissue))
    if body is None:
        return None
    within, kinds = _enclosed_air(hu, tissue, body)
    whole = body.copy()
    whole[within] |= kinds != 0
    rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
    areas = np.bincount(kinds[hu[within] < LUNG_HU], minlength=4) / np.count_nonzero(whole)
    return Chest(
        lung_fraction=float(areas[_LUNG] + areas[_DARK]),
        dark_fraction=float(areas[_DARK]),
        gas_fraction=float(areas[_GAS]),
        top=int(rows[0]) * step,
        bottom=int(rows[-1] + 1) * step,
        left=int(columns[0]) * step,
        right=int(columns[-1] + 1) * step,
    )


def lung_pixels(hu: np.ndarray) -> np.ndarray:
    """(rows, cols) bool: the pixels of lung in the body, by the rules of `find_chest`. hu: (rows, cols) int16, upright,
    not much finer than GRID.

    Examples:
        >>> hu = np.full((100, 100), -1000, np.int16)  # air
        >>> hu[20:80, 10:90] = 40  # a body
        >>> hu[30:70, 20:40] = -850  # a lung
        >>> int(lung_pixels(hu).sum())
        800
    """
    return chest_pixels(hu)[1]


def chest_pixels(hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, cols) bool each: the body with what it encloses, and its lung, as `lung_pixels` has it; both are empty
    where there is no body.

    Examples:
        >>> hu = np.full((100, 100), -1000, np.int16)
        >>> hu[20:80, 10:90] = 40
        >>> hu[30:70, 20:40] = -850
        >>> [int(mask.sum()) for mask in chest_pixels(hu)]
        [4800, 800]
    """
    tissue = hu > TISSUE_HU
    body = _largest(_without_thin(tissue))
    if body is None:
        return np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    within, kinds = _enclosed_air(hu, tissue, body)
    whole, lung = body.copy(), np.zeros(hu.shape, bool)
    whole[within] |= kinds != 0
    lung[within] = (hu[within] < LUNG_HU) & ((kinds == _LUNG) | (kinds == _DARK))
    return whole, lung


def _largest(mask: np.ndarray) -> np.ndarray | None:
    labels = _regions(mask)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    if not areas.any():
        return None
    largest: np.ndarray = labels == areas.argmax()
    return largest


def _regions(mask: np.ndarray) -> np.ndarray:
    """Connected regions numbered from 1; 0 is everything else. Diagonal neighbours are not connected."""
    numbered: np.ndarray = label(mask, output=np.intp)[0]
    return numbered


def _without_thin(mask: np.ndarray) -> np.ndarray:
    """Opening with a cross of three pixels. Beyond the edge of the image the body is taken to continue."""
    core = mask.copy()
    core[1:] &= mask[:-1]
    core[:-1] &= mask[1:]
    core[:, 1:] &= mask[:, :-1]
    core[:, :-1] &= mask[:, 1:]
    opened = core.copy()
    opened[1:] |= core[:-1]
    opened[:-1] |= core[1:]
    opened[:, 1:] |= core[:, :-1]
    opened[:, :-1] |= core[:, 1:]
    return opened


def _enclosed_air(hu: np.ndarray, tissue: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where air may be enclosed, (rows, cols) bool, and for each of these pixels the kind (_LUNG, _DARK, _GAS) of the
    region of air that it belongs to; 0: a region that tissue does not enclose, or a small one.
    """
    frame = np.zeros((hu.shape[0] + 2, hu.shape[1] + 2), bool)
    frame[1:-1, 1:-1] = tissue
    _close_edges(frame, body)
    regions = _regions(~frame)
    # A body that is cut on both sides divides the outside into pieces; each has a corner.
    outside = regions[[0, 0, -1, -1], [0, -1, 0, -1]]
    count = regions.max() + 1
    regions = regions[1:-1, 1:-1]
    within = _surrounded(body) & ~tissue
    inside = regions[within]
    areas = np.bincount(inside, minlength=count)
    enclosed = areas >= MIN_LUNG_PIXELS
    enclosed[0] = enclosed[outside] = False
    dark = np.bincount(inside[_dark(hu, within)], minlength=count) >= GAS_PART * areas
    kind_of = np.where(dark, _GAS, _LUNG) * enclosed
    height = np.flatnonzero(body.any(1))
    front, depth = height[0], height[-1] + 1 - height[0]
    for region in np.flatnonzero((kind_of == _GAS) & (areas >= LUNG_DEPTH * depth)):
        rows = np.flatnonzero((regions == region).any(1))
        if len(rows) >= LUNG_DEPTH * depth and rows[-1] >= front + LUNG_BACK * depth:
            kind_of[region] = _DARK
    return within, kind_of[inside]


def _dark(hu: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Which pixels of air, in their order, are with their neighbours as dark as gas on average. Of the neighbours those
    count that are air: noise is lower then, and walls do not blur into it.
    """
    # The sum of differences has the sign of the difference of the mean.
    differences = np.zeros((hu.shape[0] + 2, hu.shape[1] + 2), np.int16)
    np.multiply(hu - np.int16(GAS_HU), air, out=differences[1:-1, 1:-1])
    rows = differences[:-2] + differences[1:-1]
    rows += differences[2:]
    sums = rows[:, :-2] + rows[:, 1:-1]
    sums += rows[:, 2:]
    dark: np.ndarray = sums[air] < 0
    return dark


def _close_edges(frame: np.ndarray, body: np.ndarray) -> None:
    """Set walls along each image edge, from the first to the last pixel of the body that touches it."""
    for wall, edge in (
        (frame[0, 1:-1], body[0]),
        (frame[-1, 1:-1], body[-1]),
        (frame[1:-1, 0], body[:, 0]),
        (frame[1:-1, -1], body[:, -1]),
    ):
        touching = np.flatnonzero(edge)
        if touching.size:
            wall[touching[0] : touching[-1] + 1] = True


def _surrounded(body: np.ndarray) -> np.ndarray:
    """Pixels with body on at least three of the four sides: not the air between back and table."""
    above, below = (side.T for side in _between(np.ascontiguousarray(body.T)))
    left, right = _between(body)
    surrounded: np.ndarray = (above & below & (left | right)) | (left & right & (above | below))
    return surrounded


def _between(body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In each row, the pixels from the first pixel of the body onwards, and those up to its last one."""
    width, shown = body.shape[1], body.any(1)
    first = np.where(shown, body.argmax(1), width).astype(np.int16)
    last = np.where(shown, width - 1 - np.ascontiguousarray(body[:, ::-1]).argmax(1), -1).astype(np.int16)
    columns = np.arange(width, dtype=np.int16)
    return columns >= first[:, None], columns <= last[:, None]
