"""Which slices show lung, and where the body is. In: one upright slice in HU on a coarse grid. Out: `Chest`.

Areas do not need full resolution: every fourth pixel of a 512 x 512 slice (about 3 mm) gives the same
decision and costs a sixteenth.
"""

from dataclasses import dataclass

import numpy as np
from skimage.measure import label

GRID = 128  # minimum width of the coarse grid in pixels, where the slice has as many
TISSUE_HU = -500  # halfway between air and soft tissue
LUNG_HU = -400  # lung with its small vessels is darker
# Gas in the trachea, the stomach and the bowel is near -1000; lung contains tissue, even with emphysema.
GAS_HU = -970
MIN_LUNG_PIXELS = 8  # of the coarse grid; less is a bubble or a gap between folds


@dataclass(frozen=True)
class Chest:
    """lung_fraction: lung area / body area. top to right: the box of the body in pixels of the full slice, the first
    row and column and one past the last.
    """

    lung_fraction: float
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
    """
    tissue = hu > TISSUE_HU
    body = _largest(_without_thin(tissue))
    if body is None:
        return None
    lung = _lung(hu, tissue, body)
    whole = body | lung
    rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
    return Chest(
        lung_fraction=float(lung.sum() / whole.sum()),
        top=int(rows[0]) * step,
        bottom=int(rows[-1] + 1) * step,
        left=int(columns[0]) * step,
        right=int(columns[-1] + 1) * step,
    )


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
    numbered: np.ndarray = label(mask, connectivity=1)  # type: ignore[no-untyped-call]
    return numbered


def _without_thin(mask: np.ndarray) -> np.ndarray:
    """Opening with a cross of three pixels. Beyond the edge of the image the body is taken to continue."""
    core = np.pad(mask, 1, constant_values=True)
    core = core[1:-1, 1:-1] & core[:-2, 1:-1] & core[2:, 1:-1] & core[1:-1, :-2] & core[1:-1, 2:]
    core = np.pad(core, 1)
    opened: np.ndarray = (
        core[1:-1, 1:-1] | core[:-2, 1:-1] | core[2:, 1:-1] | core[1:-1, :-2] | core[1:-1, 2:]
    )
    return opened


def _lung(hu: np.ndarray, tissue: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Air that is enclosed by tissue, lies within the body, and is not gas."""
    frame = np.pad(tissue, 1)
    _close_edges(frame, body)
    regions = _regions(~frame)
    # A body that is cut on both sides divides the outside into pieces; each has a corner.
    outside = regions[[0, 0, -1, -1], [0, -1, 0, -1]]
    count = regions.max() + 1
    regions = regions[1:-1, 1:-1]
    within = _surrounded(body)
    areas = np.bincount(regions[within], minlength=count)
    denser_than_gas = np.bincount(regions[within & (hu > GAS_HU)], minlength=count)
    is_lung = (areas >= MIN_LUNG_PIXELS) & (2 * denser_than_gas > areas)
    is_lung[0] = is_lung[outside] = False
    lung: np.ndarray = is_lung[regions] & within & (hu < LUNG_HU)
    return lung


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
    above, below = _from_first(body), _from_first(body[::-1])[::-1]
    left, right = _from_first(body.T).T, _from_first(body.T[::-1])[::-1].T
    surrounded: np.ndarray = np.add(above, below, dtype=np.uint8) + left + right >= 3
    return surrounded


def _from_first(body: np.ndarray) -> np.ndarray:
    """In each column, the pixels from the first pixel of the body onwards."""
    first = np.where(body.any(0), body.argmax(0), len(body))
    return np.arange(len(body))[:, None] >= first
