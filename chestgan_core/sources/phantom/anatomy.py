"""The anatomy of a phantom patient: its parts and their borders.

Coordinates are those of a supine patient (DICOM PS3.3 C.7.6.2.1.1) with the origin in the middle of the body:
x to the patient's left, y to the back, and `depth` in mm from the top of the scan (neck) towards the feet,
which is -z. Organs are ovals whose size is a profile over depth, and tubes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from chestgan_core.sources.phantom.shapes import Field, Tube, oval, smooth_minimum

Side = Literal[-1, 1]
"""-1 is the patient's right (left in the image), 1 the left."""

# Half axes in mm of an average patient, at these fractions of the scan length below its top.
_FRACTIONS = (0.0, 0.06, 0.12, 0.20, 0.30, 0.45, 0.60, 0.75, 0.90, 1.0)
_BODY_WIDTH = (172, 186, 188, 184, 174, 167, 165, 162, 158, 156)
_BODY_DEPTH = (60, 74, 90, 106, 117, 123, 125, 124, 121, 119)
_CAGE_WIDTH = (50, 58, 80, 112, 128, 139, 142, 141, 137, 131)
_CAGE_DEPTH = (40, 46, 58, 76, 90, 102, 106, 106, 103, 99)
_MEDIASTINUM_WIDTH = (30, 32, 34, 34, 31, 33, 33, 31, 29, 28)

APEX, LUNG_END = 0.13, 0.90
"""Fractions of the scan length between which there is lung."""


@dataclass(frozen=True)
class Tumour:
    """A spiculated ball: middle and radius in mm, lobes (count, phase) and spikes (angle, reach in radii)."""

    x: float
    y: float
    depth: float
    radius: float
    lobes: tuple[tuple[int, float], ...]
    spikes: tuple[tuple[float, float], ...]

    def outline(self, angle: Field) -> Field:
        """Distance from the middle to the border at these angles (radians), in mm, on the central slice."""
        reach = np.ones_like(angle)
        for count, phase in self.lobes:
            reach += 0.08 * np.cos(count * angle + phase)
        for direction, length in self.spikes:
            gap = np.angle(np.exp(1j * (angle - direction))).astype(np.float32)
            reach += length * np.exp(-((gap / 0.09) ** 2))
        return self.radius * reach


@dataclass(frozen=True)
class Anatomy:
    """One patient. Lengths in mm, angles in radians, densities in HU."""

    length: float
    width: float
    thickness: float
    lung: float
    fat: float
    breast: float  # 0 for none
    field_of_view: float
    rotation: float
    shift: tuple[float, float]
    heart: tuple[float, float, float]  # x, y, size factor
    dome: tuple[float, float]  # where the right and left dome of the diaphragm begin, fractions of the length
    rib_pitch: float
    rib_phase: float
    parenchyma: float
    blood: float
    noise: float
    sharp: bool
    texture: Field  # (planes, n, n), about unit variance: density differences in the lung
    mottle: Field  # the same, finer
    vessels: tuple[Tube, ...]
    tumour: Tumour

    def profile(self, values: tuple[int, ...], depth: float) -> float:
        """A half axis of the average patient at this depth."""
        return float(np.interp(depth / self.length, _FRACTIONS, values))

    def body_axes(self, depth: float) -> tuple[float, float]:
        """Half width and half depth of the skin's oval."""
        extra = self.fat - 14
        return (
            self.profile(_BODY_WIDTH, depth) * self.width + extra,
            self.profile(_BODY_DEPTH, depth) * self.thickness + extra,
        )

    def cage_axes(self, depth: float) -> tuple[float, float]:
        """Half width and half depth of the inside of the rib cage."""
        return (
            self.profile(_CAGE_WIDTH, depth) * self.width * self.lung,
            self.profile(_CAGE_DEPTH, depth) * self.thickness * self.lung,
        )

    def body_middle(self, depth: float) -> float:
        """y of the middle of the skin's oval: thinner parts of the body lie on the table, too."""
        return 0.8 * (self.body_axes(0.6 * self.length)[1] - self.body_axes(depth)[1])

    def cage_middle(self, depth: float) -> float:
        """y of the middle of the rib cage: towards the neck the sternum comes near the spine."""
        return 0.75 * (self.cage_axes(0.6 * self.length)[1] - self.cage_axes(depth)[1]) - 2

    def spine(self) -> tuple[float, float]:
        """Middle of the vertebral bodies."""
        return 0.0, 66 * self.thickness

    def hilum(self, side: Side) -> tuple[float, float, float]:
        """Where vessels and bronchi enter a lung: x, y, depth."""
        return side * 33.0 + 4, -2.0, 0.45 * self.length

    def body(self, x: Field, y: Field, depth: float) -> Field:
        """Distance to the skin, with a groove along the spine and the sternum."""
        width, height = self.body_axes(depth)
        fraction, middle = depth / self.length, self.body_middle(depth)
        groove = np.float32(5) / (1 + (x * np.float32(1 / 15)) ** 2) ** 2
        body = oval(x, y, 0, middle, width, height, power=2.35) - groove
        if fraction < 0.14:
            body = np.maximum(body, oval(x, y, 0, middle - 22, 66 * self.width, 74 * self.width))
        bulge = 1 - ((fraction - 0.46) / 0.17) ** 2
        if self.breast and bulge > 0:
            for side in (-1, 1):
                sunk = middle + 48 - height + 34 * (1 - bulge * self.breast)
                front = oval(x, y, side * 70 * self.width, sunk, 56 * self.width, 62)
                body = -smooth_minimum(-body, -front, 12)
        return body

    def cage(self, x: Field, y: Field, depth: float) -> Field:
        """Distance to the inner side of the rib cage."""
        return oval(x, y, 0, self.cage_middle(depth), *self.cage_axes(depth), power=2.2)

    def heart_field(self, x: Field, y: Field, depth: float) -> Field:
        """Distance to the pericardium; -1000 where the heart does not reach this depth."""
        along = (depth / self.length - 0.63) / 0.185
        if abs(along) >= 1:
            return np.full_like(x, -1000)
        reach = float(np.sqrt(1 - along * along)) ** 0.7
        hx, hy, size = self.heart
        # Towards the feet the apex of the heart lies further to the left and to the front.
        hx, hy, turn = hx + 12 * along, hy - 6 * along, 0.45 - 0.25 * along
        return oval(x, y, hx, hy, 58 * size * reach, 45 * size * reach, turn)

    def dome_field(self, x: Field, y: Field, depth: float, side: Side) -> Field:
        """Distance to the organs that bulge from the abdomen into one lung: liver right, stomach and spleen left."""
        begin = self.dome[0 if side < 0 else 1]
        along = (depth / self.length - begin) / 0.24
        if along <= 0:
            return np.full_like(x, -1000)
        reach = float(np.sqrt(1 - (1 - min(along, 1)) ** 2))
        width, height = self.cage_axes(depth)
        return oval(x, y, side * 0.46 * width, -0.16 * height, 0.56 * width * reach, 1.02 * height * reach)

    def lung_field(self, x: Field, y: Field, depth: float, side: Side, cage: Field | None = None) -> Field:
        """Distance to the pleura of one lung; cage: the result of `cage`, if known already."""
        fraction = depth / self.length
        if not APEX < fraction < LUNG_END:
            return np.full_like(x, -1000)
        width, height = self.cage_axes(depth)
        growth = float(np.sqrt(1 - (1 - min((fraction - APEX) / 0.17, 1)) ** 2))
        centre = self.cage_middle(depth)
        inside = (self.cage(x, y, depth) if cage is None else cage) - 3
        bulk = oval(x, y, side * 0.50 * width, centre + 6, 0.60 * width * growth, 1.06 * height * growth)
        narrow = self.profile(_MEDIASTINUM_WIDTH, depth)
        middle = oval(x, y, 3, centre - 8, narrow, 0.92 * height)
        spine = oval(x, y, *self.spine(), 27, 30)
        field = smooth_minimum(inside, bulk)
        for organ in (middle, spine, self.heart_field(x, y, depth) + 3, self.dome_field(x, y, depth, side)):
            field = smooth_minimum(field, -organ)
        return np.minimum(field, np.float32((LUNG_END - fraction) * self.length * 0.5))
