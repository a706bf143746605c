"""Shapes as fields of distances: ovals and tubes, in millimetres.

In: coordinates in mm. Out: the distance of each to the border, positive inside. So the minimum of two fields is the
intersection of their shapes, and a field minus 2 is the shape 2 mm smaller on every side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""Floats over a grid or over points; float32 wherever speed counts."""


@dataclass(frozen=True)
class Tube:
    """A chain of balls: points (n, 3) in mm as (x, y, depth), radius (n,) in mm."""

    points: Field
    radius: Field


def oval(
    x: Field, y: Field, cx: float, cy: float, a: float, b: float, angle: float = 0.0, power: float = 2.0
) -> Field:
    """Distance in mm to the border of |x/a|^power + |y/b|^power = 1 around (cx, cy), to first order.

    angle turns the oval from +x towards +y, in radians. Positive inside.
    """
    a, b = max(a, 1e-3), max(b, 1e-3)
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    if angle:
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        dx, dy = c * dx + s * dy, c * dy - s * dx
    level: Field
    distance: Field
    a32, b32 = np.float32(a), np.float32(b)
    dx, dy = dx / a32, dy / b32
    # (1 - level) over the length of its gradient; the tiny terms keep the middle finite.
    if power == 2.0:
        level = np.sqrt(dx * dx + dy * dy + np.float32(1e-8))
        slope = np.sqrt((dx / a32) ** 2 + (dy / b32) ** 2 + np.float32(1e-8 / min(a, b) ** 2))
        distance = (1 - level) * level / slope
    else:
        dx, dy = np.abs(dx), np.abs(dy)
        px, py = dx ** np.float32(power - 1), dy ** np.float32(power - 1)
        level = (px * dx + py * dy + np.float32(1e-8)) ** np.float32(1 / power)
        slope = np.sqrt((px / a32) ** 2 + (py / b32) ** 2 + np.float32(1e-12))
        distance = (1 - level) * level ** np.float32(power - 1) / slope
    return distance


def smooth_minimum(first: Field, second: Field, radius: float = 7.0) -> Field:
    """Intersection of two shapes with corners rounded by about `radius` mm."""
    overlap = np.maximum(np.float32(radius) - np.abs(first - second), 0)
    rounded: Field = np.minimum(first, second) - overlap * overlap * np.float32(0.25 / radius)
    return rounded


def tube(points: list[tuple[float, float, float]], radius: float | tuple[float, float]) -> Tube:
    """Balls along a polyline through these points (mm); the radius may change linearly from one value to another."""
    corners = np.asarray(points, dtype=np.float32)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    first, last = radius if isinstance(radius, tuple) else (radius, radius)
    count = max(int(lengths[-1] / max(0.3 * min(first, last), 0.6)) + 1, 2)
    at = np.linspace(0, lengths[-1], count)
    path = np.stack([np.interp(at, lengths, corners[:, axis]) for axis in range(3)], axis=1)
    return Tube(path.astype(np.float32), np.linspace(first, last, count).astype(np.float32))
