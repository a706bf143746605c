"""The pixel grid of a phantom patient, and how shapes are painted on it.

In: distances to borders or tubes, in mm. Out: `Canvas.hu`, (size, size) float32 HU, rows from front to back,
columns from the patient's right to the left. Borders are soft over one pixel (partial volume).
"""

from dataclasses import dataclass

import numpy as np

from chestgan_core.sources.phantom.anatomy import Anatomy
from chestgan_core.sources.phantom.shapes import Field, Tube, oval

CORTEX, MARROW = 850, 260
"""HU of the shell and the inside of a bone."""


@dataclass(frozen=True)
class Balls:
    """Many tubes at once: points (n, 3) mm, radius (n,) mm."""

    points: Field
    radius: Field

    @classmethod
    def of(cls, tubes: tuple[Tube, ...] | list[Tube]) -> "Balls":
        """All points of these tubes."""
        return cls(np.concatenate([t.points for t in tubes]), np.concatenate([t.radius for t in tubes]))


@dataclass
class Canvas:
    """The grid of one patient: x, y (size, size) body coordinates of the pixels in mm, pixel in mm."""

    x: Field
    y: Field
    pixel: float
    turn: tuple[float, float]  # cosine and sine of the patient's rotation
    shift: tuple[float, float]
    hu: Field

    @classmethod
    def of(cls, anatomy: Anatomy, size: int) -> "Canvas":
        """An empty canvas over the field of view."""
        pixel = anatomy.field_of_view / size
        axis = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(pixel)
        c, s = float(np.cos(anatomy.rotation)), float(np.sin(anatomy.rotation))
        right = axis[None, :] - np.float32(anatomy.shift[0])
        back = axis[:, None] - np.float32(anatomy.shift[1])
        x, y = np.float32(c) * right + np.float32(s) * back, np.float32(c) * back - np.float32(s) * right
        return cls(x, y, pixel, (c, s), anatomy.shift, np.empty((size, size), np.float32))

    def to_pixels(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Rows and columns (fractions of pixels) of body coordinates in mm."""
        c, s = self.turn
        middle = (self.hu.shape[0] - 1) / 2
        columns = (c * x - s * y + self.shift[0]) / self.pixel + middle
        rows = (s * x + c * y + self.shift[1]) / self.pixel + middle
        return rows, columns

    def cover(self, distance: Field) -> Field:
        """Fraction of each pixel inside a shape whose border is `distance` mm away."""
        fraction: Field = np.clip(distance * np.float32(1 / self.pixel) + np.float32(0.5), 0, 1)
        return fraction

    def paint(self, distance: Field, value: float | Field) -> None:
        """Fill a shape that may be anywhere."""
        self.hu += self.cover(distance) * (value - self.hu)

    def paint_oval(self, x: float, y: float, a: float, b: float, value: float, angle: float = 0.0) -> None:
        """Fill a small oval; only its neighbourhood is computed."""
        rows, columns = self.to_pixels(np.asarray(x), np.asarray(y))
        reach = max(a, b) / self.pixel + 2
        box = (
            slice(max(int(rows - reach), 0), max(int(rows + reach) + 2, 0)),
            slice(max(int(columns - reach), 0), max(int(columns + reach) + 2, 0)),
        )
        if self.x[box].size:
            part = self.hu[box]
            part += self.cover(oval(self.x[box], self.y[box], x, y, a, b, angle)) * (value - part)

    def paint_bone(self, x: float, y: float, a: float, b: float, angle: float = 0.0, rim: float = 2) -> None:
        """A bone of this outline: cortex of `rim` mm around marrow."""
        self.paint_oval(x, y, a, b, CORTEX, angle)
        self.paint_oval(x, y, max(a - rim, 0.5), max(b - rim, 0.5), MARROW, angle)

    def cover_tubes(self, tubes: Balls, depth: float, slab: float, grow: float = 0.0) -> Field:
        """Fraction of each pixel inside tubes, for a slab of this thickness; grow: wall outside; both in mm."""
        cover = np.zeros_like(self.hu)
        off = np.maximum(np.abs(tubes.points[:, 2] - depth) - slab / 2, 0)
        near = off < tubes.radius + grow
        if not near.any():
            return cover
        points, whole = tubes.points[near], tubes.radius[near] + np.float32(grow)
        radius = np.sqrt(whole**2 - off[near] ** 2)
        # A vessel that runs within the slab and is thinner fills the pixel only in part.
        strength = np.clip(2 * whole / max(slab, 1e-3), 0.4, 1)
        rows, columns = self.to_pixels(points[:, 0], points[:, 1])
        size = self.hu.shape[0]
        flat = cover.reshape(-1)
        for low, high in ((0.0, 2.5), (2.5, 6.0), (6.0, np.inf)):
            some = (radius >= low) & (radius < high)
            if not some.any():
                continue
            reach = int(np.ceil(radius[some].max() / self.pixel)) + 1
            step = np.arange(-reach, reach + 1)
            r = np.rint(rows[some]).astype(np.int32)[:, None, None] + step[:, None]
            c = np.rint(columns[some]).astype(np.int32)[:, None, None] + step
            away = np.hypot(r - rows[some][:, None, None], c - columns[some][:, None, None]) * self.pixel
            fraction = self.cover(radius[some][:, None, None] - away) * strength[some][:, None, None]
            r, c = np.broadcast_arrays(r, c)
            valid = (fraction > 0) & (r >= 0) & (r < size) & (c >= 0) & (c < size)
            np.maximum.at(flat, r[valid] * size + c[valid], fraction[valid])
        return cover


def blur(image: Field) -> Field:
    """Binomial filter of 3 x 3 pixels; the outermost pixels stay unchanged."""
    out = image.copy()
    out[1:-1] = (image[:-2] + 2 * image[1:-1] + image[2:]) * np.float32(0.25)
    flat = out.copy()
    flat[:, 1:-1] = (out[:, :-2] + 2 * out[:, 1:-1] + out[:, 2:]) * np.float32(0.25)
    return flat
