"""Slices anywhere in space, for tests of what is drawn on them."""

import numpy as np
from numpy.typing import NDArray

from chestgan_core.sources.annotations.places import Places, SlicePlace, Stack

FRAME, SERIES, PATIENT = "2.25.3", "2.25.4", "PH-A0001"
AXES = np.eye(3)[:2]


def stack(
    axes: NDArray[np.float64] = AXES,
    count: int = 5,
    gap: float = 3.0,
    size: tuple[int, int] = (40, 60),
    spacing: tuple[float, float] = (0.7, 0.8),
    series: str = SERIES,
    frame: str = FRAME,
    patient: str = PATIENT,
    first: tuple[float, float, float] = (-20.0, 10.0, -300.0),
    alone: bool = True,
) -> Stack:
    """Slices `gap` mm apart. axes: (2, 3) unit vectors along a row and along a column; size: rows and columns; spacing:
    mm between rows and between columns. SOP instances are <series>.1 and so on.
    """
    normal = np.cross(*axes)
    slices = tuple(
        SlicePlace(
            f"{series}.{number}",
            f"name {number}",
            patient,
            f"key {series}",
            *size,
            np.asarray(first) + (number - 1) * gap * normal,
            axes[0],
            axes[1],
            spacing[1],
            spacing[0],
            gap / 2,
        )
        for number in range(1, count + 1)
    )
    return Stack(series, frame, f"key {series}", patient, alone, slices)


def places(*stacks: Stack) -> Places:
    """One scan by default."""
    return Places(stacks or (stack(),))


def rotation(seed: int) -> NDArray[np.float64]:
    """(2, 3): two unit vectors at a right angle, anywhere; of seeds below 8 the axes, flipped and exchanged."""
    if seed < 8:
        flipped = np.eye(3)[:2] * np.array([[-1 if seed & 1 else 1], [-1 if seed & 2 else 1]])
        return flipped[::-1] if seed & 4 else flipped
    whole, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return whole[:, :2].T


def points_of(place: SlicePlace, pixels: object) -> NDArray[np.float64]:
    """(N, 2) column and row -> (N, 3) mm."""
    at = np.asarray(pixels, np.float64)
    return (
        place.origin
        + at[:, :1] * place.column_mm * place.along_row
        + at[:, 1:] * place.row_mm * place.along_column
    )


def around(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    """The outline of the pixels [left, right) x [top, bottom), on their outer edges: (4, 2) column and row."""
    edges = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return edges - 0.5
