"""The position and orientation of a slice in the patient (DICOM PS3.3 C.7.6.2.1.1).

In: a header. Out: Geometry. Axes in mm: +x to the patient's left, +y to the back, +z to the head.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from chestgan_core.dicom.attributes import numbers_of, problem_of

# cos 25 degrees: gantry tilt reaches 30 degrees in the head, and rarely more than 15 in the chest.
AXIAL_COSINE = 0.906
# Millimetres that a CT can have. The finest detectors reach 0.1 mm, and whole bodies fit into 1 mm x 1024. What is
# resized by these numbers takes memory by them.
MIN_PIXEL_MM, MAX_PIXEL_MM = 0.05, 20.0  # a body at 32 x 32 has pixels of 13 mm
MAX_PIXEL_RATIO = 2.0  # pixels of CT are square; some exports shrink one side
MAX_POSITION_MM = 10_000.0


class BadGeometry(Exception):
    """Position, orientation or pixel spacing is missing, no number or out of range; its text is the cause."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """position_mm: along `normal`, which always points to the head, so that larger is higher. origin_mm: x, y and z of
    the first stored pixel.

    row_mm, column_mm: distance between rows and between columns. transpose, flip_rows, flip_columns: what makes the
    stored image upright, with columns that run to the patient's left and rows that run to the back.
    """

    position_mm: float
    origin_mm: tuple[float, float, float]
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


def geometry_of(header: Dataset) -> Geometry:
    """The geometry in a header. Raises BadGeometry: an attribute is missing, or cannot be that of a CT slice."""
    x, y, z = origin = _numbers(header, "ImagePositionPatient", 3)
    axes = _numbers(header, "ImageOrientationPatient", 6)
    spacing = _numbers(header, "PixelSpacing", 2)
    if max(map(abs, origin)) > MAX_POSITION_MM:
        raise BadGeometry(f"{problem_of(header, 'ImagePositionPatient', 3)} mm, metres away from the scanner")
    low, high = sorted(spacing)
    if not MIN_PIXEL_MM <= low <= high <= min(MAX_PIXEL_MM, low * MAX_PIXEL_RATIO):
        raise BadGeometry(f"{problem_of(header, 'PixelSpacing', 2)} mm, which is no pixel of a CT")
    (rx, ry, rz), (cx, cy, cz) = axes[:3], axes[3:]  # along a row, along a column
    nx, ny, nz = ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx
    length = _length(nx, ny, nz)
    if not all(0.9 < one < 1.1 for one in (_length(rx, ry, rz), _length(cx, cy, cz), length)):
        raise BadGeometry("ImageOrientationPatient has no two unit vectors at a right angle")
    scale = (1 if nz >= 0 else -1) / length
    normal = nx * scale, ny * scale, nz * scale
    position = sum(a * b for a, b in zip(origin, normal, strict=True))
    x, y, z = origin
    if abs(rx) >= abs(ry):
        return Geometry(position, (x, y, z), normal, spacing[0], spacing[1], False, cy < 0, rx < 0)
    return Geometry(position, (x, y, z), normal, spacing[0], spacing[1], True, ry < 0, cx < 0)


def _length(x: float, y: float, z: float) -> float:
    return math.hypot(x, y, z)


def _numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    numbers = numbers_of(header, keyword)
    if numbers is None or len(numbers) != count:
        raise BadGeometry(problem_of(header, keyword, count))
    # Beyond this products overflow; far below it each has its own limit.
    return tuple(max(-1e100, min(1e100, number)) for number in numbers)
