"""The position and orientation of a slice in the patient (DICOM PS3.3 C.7.6.2.1.1).

In: a header. Out: Geometry. Axes in mm: +x to the patient's left, +y to the back, +z to the head.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

# cos 25 degrees: gantry tilt reaches 30 degrees in the head, and rarely more than 15 in the chest.
AXIAL_COSINE = 0.906


@dataclass(frozen=True, slots=True)
class Geometry:
    """position_mm: along `normal`, which always points to the head, so that larger is higher.

    row_mm, column_mm: distance between rows and between columns. transpose, flip_rows, flip_columns: what makes the
    stored image upright, with columns that run to the patient's left and rows that run to the back.
    """

    position_mm: float
    normal: tuple[float, float, float]
    row_mm: float
    column_mm: float
    transpose: bool
    flip_rows: bool
    flip_columns: bool

    @property
    def axial(self) -> bool:
        """Whether the slice lies across the body."""
        return self.normal[2] >= AXIAL_COSINE

    @property
    def upright_mm(self) -> tuple[float, float]:
        """Distance between rows and between columns of the upright image, mm."""
        return (self.column_mm, self.row_mm) if self.transpose else (self.row_mm, self.column_mm)

    def upright(self, image: np.ndarray) -> np.ndarray:
        """The stored image (rows, cols) as a view with the patient's left on the right and the back at the bottom."""
        transposed = image.T if self.transpose else image
        return transposed[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


def geometry_of(header: Dataset) -> Geometry | None:
    """The geometry in a header; None: position, orientation or pixel spacing is missing or invalid."""
    origin = _numbers(header.get("ImagePositionPatient"), 3)
    axes = _numbers(header.get("ImageOrientationPatient"), 6)
    spacing = _numbers(header.get("PixelSpacing"), 2)
    if origin is None or axes is None or spacing is None or min(spacing) <= 0:
        return None
    (rx, ry, rz), (cx, cy, cz) = axes[:3], axes[3:]  # along a row, along a column
    nx, ny, nz = ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx
    length = (nx * nx + ny * ny + nz * nz) ** 0.5
    if not 0.9 < length < 1.1:  # axes must be unit vectors at a right angle
        return None
    scale = (1 if nz >= 0 else -1) / length
    normal = nx * scale, ny * scale, nz * scale
    position = sum(a * b for a, b in zip(origin, normal, strict=True))
    if abs(rx) >= abs(ry):
        return Geometry(position, normal, spacing[0], spacing[1], False, cy < 0, rx < 0)
    return Geometry(position, normal, spacing[0], spacing[1], True, ry < 0, cx < 0)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(np.isfinite(numbers)) else None
