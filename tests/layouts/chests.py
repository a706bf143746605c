"""Chests as arrays: two lungs that shrink towards both ends, and a table of the layouts of their slices."""

import numpy as np

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.layouts.table import LayoutTable, build_table

SIZE = 64
PIXEL_MM, LUNG_MM = 5.0, 240.0
LEFT_LUNG = (12.0, 24.0, 20.0, 30.0)  # a tumour in the lung at the left of the image, in most slices


def chest(position: float, size: int = SIZE) -> np.ndarray:
    """(1, size, size) float32 in [-1, 1] of the lung window. The lungs are widest in the middle."""
    y, x = np.mgrid[:size, :size] * (SIZE / size)
    hu = np.full((size, size), -1000.0)
    hu[((x - 31.5) / 29) ** 2 + ((y - 31.5) / 22) ** 2 < 1] = 40
    hu[lungs(position, size)] = -850
    return WINDOWS["lung"].to_unit(hu)[None]


def lungs(position: float, size: int = SIZE) -> np.ndarray:
    """(size, size) bool: where they are in `chest`."""
    y, x = np.mgrid[:size, :size] * (SIZE / size)
    radius = 11 * np.sqrt(max(1 - (1.8 * position - 0.9) ** 2, 0))
    return ((np.abs(x - 31.5) - 14) ** 2 + (y - 31.5) ** 2) < radius**2


def table_of_chests(
    patients: int = 4,
    slices: int = 20,
    seed: int = 0,
    box: tuple[float, float, float, float] | None = LEFT_LUNG,
    positions: bool = True,
    classes: int = 0,
) -> LayoutTable:
    """Every second slice has the box; the last patient is not annotated and has none."""
    count = patients * slices
    along = np.tile((np.arange(slices) + 0.5) / slices, patients)
    boxes = np.full((count, MAX_TUMOURS, 4), np.nan, np.float32)
    annotated = np.repeat(np.arange(patients) < patients - 1, slices)
    if box:
        boxes[annotated & (np.arange(count) % 2 == 0), 0] = box
    return build_table(
        np.stack([chest(position) for position in along]),
        boxes,
        annotated,
        along if positions else np.full(count, np.nan),
        np.repeat(np.arange(patients) % classes, slices) if classes else None,
        [f"P{number}" for number in np.repeat(np.arange(patients), slices)],
        np.full(count, PIXEL_MM),
        LUNG_MM,
        seed,
        WINDOWS["lung"],
    )
