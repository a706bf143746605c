"""Where in an image a tumour can lie: where the lungs of the training slices were, by the position along the body.

In: images and their positions. Out: `LungZone`: for each pixel of a coarse grid, how often it was lung. A pixel counts
to the lungs where it was lung in more than one of ten training slices at that position, so that a place at the chest
wall or at the mediastinum, where tumours grow too, belongs to them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from chestgan_core.errors import BadInput
from chestgan_core.imaging.lung_mask import LUNG_HU, TISSUE_HU, coarse_step, lung_pixels
from chestgan_core.imaging.windows import Window
from chestgan_core.layouts.layout import Edges, Layout

GRID = 32  # cells per side of the image
POSITIONS = 8  # bins from base to apex
MIN_SHARE = 0.1  # of the training slices that have lung in a cell
MIN_INSIDE = 0.5  # of a tumour's box: the rest may be chest wall, mediastinum or diaphragm
_SLICES = 2048  # looked at, at most: their mean does not change with more
_INFLATED_HU, _SOFT_HU = -850, 0  # what a window that clips lung to black stands for
_FINE = 64  # pixels per side that the search for lungs needs: it removes what is one pixel thin
_BLACK = 0.05  # of the width of such a window


@dataclass(frozen=True, eq=False)
class LungZone:
    """share: (P, GRID, GRID) float32 in [0, 1], how often a cell is lung; P bins of equal width from base to apex, or 1
    where positions are unknown. resolution: pixels per side of the image.
    """

    share: np.ndarray
    resolution: int

    def at(self, position: float | None) -> np.ndarray:
        """(GRID, GRID) bool: the cells of the lungs at a position, interpolated between the bins; None: at any."""
        bins = len(self.share)
        if position is None or bins == 1:
            found: np.ndarray = self.share.max(0) > MIN_SHARE
            return found
        place = min(max(position * bins - 0.5, 0.0), bins - 1.0)
        low = min(int(place), bins - 2)
        weight = place - low
        found = (1 - weight) * self.share[low] + weight * self.share[low + 1] > MIN_SHARE
        return found

    def holds(self, box: Edges, position: float | None) -> bool:
        """Whether a tumour can lie there: its centre and at least half of its box are in the lungs."""
        zone = self.at(position)
        left, top, right, bottom = (edge * GRID / self.resolution for edge in box)
        column, row = int((left + right) / 2), int((top + bottom) / 2)
        if not (0 <= row < GRID and 0 <= column < GRID and zone[row, column]):
            return False
        inside = float(_overlap(top, bottom) @ zone @ _overlap(left, right))
        return inside >= MIN_INSIDE * (right - left) * (bottom - top)

    def extent(self, position: float | None) -> Edges | None:
        """The box around the lungs at a position, in pixels of the image; None: no lung there."""
        zone = self.at(position)
        rows, columns = np.flatnonzero(zone.any(1)), np.flatnonzero(zone.any(0))
        if not rows.size:
            return None
        cell = self.resolution / GRID
        ends = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        left, top, right, bottom = (float(end) * cell for end in ends)
        return left, top, right, bottom


def _overlap(low: float, high: float) -> np.ndarray:
    """(GRID,) the part of each cell between two places along one side, in cells."""
    cells = np.arange(GRID)
    part: np.ndarray = np.clip(np.minimum(cells + 1, high) - np.maximum(cells, low), 0, 1)
    return part


def require_in_lungs(layout: Layout, zone: LungZone, what: str) -> None:
    """Refuse a tumour where no lung is. what: the object of the error: "--tumour", a line of a file.

    Raises BadInput: there is no lung at the position, the tumour is larger than a lung there, or it lies outside.
    """
    for box in layout.boxes or ():
        where = "" if layout.position is None else f" at position {layout.position:g}"
        extent = zone.extent(layout.position)
        if extent is None:
            remedy = "ask for a position nearer to 0.5, or for no tumour"
            raise BadInput(what, f"asks for a tumour{where}, where the training slices show no lung", remedy)
        left, top, right, bottom = extent
        width, height = box[2] - box[0], box[3] - box[1]
        # The box around both lungs: one of them is about half as wide.
        if width > (right - left) / 2 or height > bottom - top:
            raise BadInput(
                what,
                f"asks for a tumour of {width:.4g} x {height:.4g} pixels{where}, where a lung has about "
                f"{(right - left) / 2:.4g} x {bottom - top:.4g}",
                "ask for a smaller one; --tumour takes mm as well: x,y,w,h followed by mm",
            )
        if not zone.holds(box, layout.position):
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            raise BadInput(
                what,
                f"asks for a tumour with its centre at {x:.4g}, {y:.4g}{where}, which is not in the lungs",
                f"place its centre and half of its box in them: they lie within {left:.4g} to {right:.4g} (x) and "
                f"{top:.4g} to {bottom:.4g} (y)",
            )


def measure_zone(
    images: Any,
    boxes: np.ndarray,
    positions: np.ndarray,
    weights: np.ndarray,
    window: Window,
    random: np.random.Generator,
) -> LungZone:
    """How often each cell was lung; what a tumour's box covers counts as lung.

    Args:
        images: (N, 1, R, R) float32 in [-1, 1], array or tensor on the CPU, or what reads them from a file.
        boxes: (N, K, 4) pixels, NaN-padded.
        positions: (N,) from 0 to 1, NaN where unknown.
        weights: (N,) of the slices, above 0.
        window: Of the images. Without Hounsfield units, or where it does not tell lung from tissue, the lungs are the
            whole image.
        random: Chooses the slices that are looked at, where there are many.
    """
    count, size = len(images), images.shape[-1]
    known = np.isfinite(positions)
    bins = POSITIONS if known.any() else 1
    if window.unit != "HU" or window.ends[1] <= LUNG_HU:
        return LungZone(np.ones((bins, GRID, GRID), np.float32), size)
    chosen = np.arange(count)
    if count > _SLICES:
        chosen = np.sort(random.choice(count, _SLICES, replace=False, p=weights / weights.sum()))
        weights = np.ones(count)
    sums, total = np.zeros((bins, GRID, GRID)), np.zeros(bins)
    for at in chosen:
        if bins > 1 and not known[at]:
            continue
        place = min(int(positions[at] * bins), bins - 1) if bins > 1 else 0
        sums[place] += weights[at] * _lung_cells(np.asarray(images[int(at)])[0], boxes[at], window)
        total[place] += weights[at]
    filled = np.flatnonzero(total)
    if not filled.size:
        return LungZone(np.ones((bins, GRID, GRID), np.float32), size)
    nearest = filled[np.abs(np.arange(bins)[:, None] - filled).argmin(1)]  # of a bin without slices
    return LungZone((sums[nearest] / total[nearest, None, None]).clip(0, 1).astype(np.float32), size)


def _lung_cells(image: np.ndarray, boxes: np.ndarray, window: Window) -> np.ndarray:
    """(GRID, GRID) the part of each cell that is lung or tumour. image: (R, R) float32 in [-1, 1]."""
    size = len(image)
    step = coarse_step(size, size)
    hu = window.from_unit(image[::step, ::step])
    low, high = window.ends
    if low > TISSUE_HU:  # lung is as black as air
        hu = np.where(hu <= low + _BLACK * (high - low), _INFLATED_HU, np.maximum(hu, _SOFT_HU)).astype(
            "int16"
        )
    finer = max(1, _FINE // size)
    lung = lung_pixels(hu.repeat(finer, 0).repeat(finer, 1)).astype(np.float32)
    part = len(lung) // GRID
    shares: np.ndarray = lung.reshape(GRID, part, GRID, part).mean((1, 3))
    for left, top, right, bottom in boxes[np.isfinite(boxes).all(1)] * (GRID / size):
        shares = np.maximum(shares, np.outer(_overlap(top, bottom), _overlap(left, right)))
    return shares
