"""One phantom slice: from an anatomy and a depth to Hounsfield units.

In: `Anatomy` (mm). Out: (size, size) float32 HU, laid out as in `Canvas`. Later shapes cover earlier ones.
"""

import numpy as np

from chestgan_core.sources.phantom.anatomy import Anatomy
from chestgan_core.sources.phantom.canvas import CORTEX, MARROW, Balls, Canvas, blur
from chestgan_core.sources.phantom.shapes import Field, oval, smooth_minimum, tube

AIR, TABLE, GAS, FAT, SKIN, WALL, MUSCLE, LIVER, CARTILAGE = -1000, -350, -700, -100, 20, 35, 50, 60, 140
"""HU of the tissues."""


class Painter:
    """Paints the slices of one patient. slab: slice thickness in mm."""

    def __init__(self, anatomy: Anatomy, size: int, slab: float) -> None:
        self.anatomy, self.slab = anatomy, slab
        self.canvas = Canvas.of(anatomy, size)
        t, arch = anatomy.thickness, 0.33
        back = anatomy.spine()[1]
        self.vessels = Balls.of(anatomy.vessels)
        # Points as (x, y, fraction of the length); the aorta first, then veins, lung arteries, neck vessels.
        self.blood = self._tubes(
            ([(-8, -32 * t, 0.56), (-14, -38 * t, 0.42), (-8, -32 * t, arch)], 15),
            ([(-8, -32 * t, arch), (6, -12, 0.32), (18, 14, arch), (24, back - 22, 0.37)], (14, 12)),
            ([(24, back - 22, 0.37), (22, back - 14, 0.6), (8, back - 26, 1.05)], (12, 10)),
            ([(-30, -26, 0.22), (-30, -22, 0.55)], 9),
            ([(20, -44 * t, 0.53), (20, -34 * t, 0.43), (32, -8, 0.43)], (14, 9)),
            ([(14, -28 * t, 0.44), (-6, -16, 0.45), (-36, -10, 0.455)], (11, 8)),
            ([(-10, -30, 0), (-10, -34, 0.2), (-8, -32 * t, arch)], 5),
            ([(14, -24, 0), (12, -28, 0.2), (8, -18, arch)], 5),
            ([(-22, -30, 0.05), (-30, -26, 0.22)], 7),
            ([(24, -34, 0.1), (-28, -36, 0.25)], 6),
        )
        # Trachea, the two main bronchi from the carina, and their branches.
        self.airway = self._tubes(
            ([(0, -2, -0.06), (1, -4, 0.2), (2, -1, 0.40)], 8.5),
            ([(2, -1, 0.40), (-20, 2, 0.45), (-40, 2, 0.485)], (7, 4.5)),
            ([(2, -1, 0.40), (24, 4, 0.46), (42, 4, 0.49)], (6, 4)),
            ([(-40, 2, 0.485), (-52, 14, 0.585)], (4, 2.2)),
            ([(42, 4, 0.49), (54, 18, 0.60)], (4, 2.2)),
            ([(-34, 0, 0.46), (-56, -14, 0.42)], (3.2, 1.8)),
            ([(38, 2, 0.48), (58, -16, 0.43)], (3.2, 1.8)),
        )
        out = 140 * anatomy.width
        self.clavicles = self._tubes(
            ([(-20, -62 * t, 0.20), (-70, -54 * t, 0.14), (-out, -8, 0.06)], 6.5),
            ([(20, -62 * t, 0.20), (70, -54 * t, 0.14), (out, -8, 0.06)], 6.5),
        )

    def _tubes(self, *lines: tuple[list[tuple[float, float, float]], float | tuple[float, float]]) -> Balls:
        """Tubes whose points are given as (x mm, y mm, fraction of the scan length), with their radius in mm."""
        length = self.anatomy.length
        return Balls.of([
            tube([(x, y, fraction * length) for x, y, fraction in points], radius) for points, radius in lines
        ])  # fmt: skip

    def paint(self, depth: float, random: np.random.Generator) -> Field:
        """HU of the slice at this depth (mm below the top of the scan); random: draws its noise only."""
        c, a = self.canvas, self.anatomy
        c.hu.fill(AIR)
        self._table()
        cage = a.cage(c.x, c.y, depth)
        self._body(depth)
        self._organs(depth, cage)
        self._lungs(depth, cage)
        self._bones(depth, cage)
        return self._reconstruct(random)

    def _table(self) -> None:
        c, a = self.canvas, self.anatomy
        half = 0.5 * a.field_of_view
        top = a.body_axes(0.6 * a.length)[1] + 8 + a.shift[1]
        # The table does not turn with the patient: back to scanner coordinates.
        cs, s = c.turn
        x = cs * c.x - s * c.y + np.float32(a.shift[0])
        y = s * c.x + cs * c.y + np.float32(a.shift[1])
        curve = y - np.float32(top) + (x / np.float32(half)) ** 2 * np.float32(24)
        shell = np.minimum(2.0 - np.abs(curve), np.float32(0.96 * half) - np.abs(x))
        c.paint(shell, TABLE)
        c.paint(np.minimum(2.0 - np.abs(curve - 34), np.float32(0.7 * half) - np.abs(x)), TABLE)

    def _body(self, depth: float) -> None:
        c, a = self.canvas, self.anatomy
        width, _ = a.body_axes(depth)
        body = a.body(c.x, c.y, depth)
        c.paint(body, SKIN)
        c.paint(body - 2, FAT)
        # Fat lies thicker on the sides of the chest than over the spine.
        muscle = body - np.float32(a.fat) * (0.75 + 0.25 * np.abs(c.x) * np.float32(1 / width))
        c.paint(muscle, MUSCLE)

    def _organs(self, depth: float, cage: Field) -> None:
        c, a = self.canvas, self.anatomy
        fraction = depth / a.length
        if fraction > 0.10:
            c.paint(cage, FAT + 15)
        _, sy = a.spine()
        c.paint(oval(c.x, c.y, 0, sy - 2, 36, 30), MUSCLE)
        if fraction < 0.16:
            c.paint_oval(0, -10, 40, 34, MUSCLE)
        c.hu += c.cover_tubes(self.blood, depth, 0.0) * (a.blood - c.hu)
        c.paint_oval(8, 16 * a.thickness, 9, 6, WALL)
        heart = a.heart_field(c.x, c.y, depth)
        c.paint(heart, FAT)
        c.paint(heart - 4, MUSCLE)
        c.paint(heart - 13, a.blood)
        if fraction > a.dome[0]:
            liver = np.minimum(a.dome_field(c.x, c.y, depth, -1), cage - 2)
            c.paint(liver, LIVER)
            if fraction > 0.8:
                lobe = np.minimum(oval(c.x, c.y, 15, -40 * a.thickness, 70, 38), cage - 4)
                c.paint(lobe, LIVER)
        if fraction > a.dome[1]:
            dome = np.minimum(a.dome_field(c.x, c.y, depth, 1), cage - 2)
            c.paint(dome - 1, MUSCLE - 10)
            gas = oval(c.x, c.y, 66 * a.width, -30 * a.thickness, 26, 16, angle=0.3)
            c.paint(smooth_minimum(gas, dome - 6), GAS if fraction < 0.93 else 30)
            c.paint_oval(86 * a.width, 38 * a.thickness, 30, 44, LIVER - 10, angle=-0.3)
        if fraction > 0.92:
            for side in (-1, 1):
                c.paint_oval(side * 62, 44 * a.thickness, 24, 30, FAT)
                c.paint_oval(side * 62, 44 * a.thickness, 18, 25, 35 + 0.5 * a.blood, angle=side * 0.4)

    def _lungs(self, depth: float, cage: Field) -> None:
        c, a = self.canvas, self.anatomy
        walls = c.cover_tubes(self.airway, depth, self.slab, grow=1.6)
        lumen = c.cover_tubes(self.airway, depth, self.slab)
        lung = np.maximum(
            c.cover(a.lung_field(c.x, c.y, depth, -1, cage)), c.cover(a.lung_field(c.x, c.y, depth, 1, cage))
        )
        if lung.any():
            # Gravity: the back of a supine lung is denser.
            inside = np.float32(a.parenchyma) + np.float32(0.22) * c.y
            inside += 14 * self._field(a.texture, depth) + 22 * self._field(a.mottle, depth)
            tree = c.cover_tubes(self.vessels, depth, self.slab)
            inside += tree * (np.float32(a.blood) - inside)
            inside += tumour_cover(a, c, depth) * (MUSCLE - 10 - inside)
            c.hu += lung * (inside - c.hu)
        c.hu += walls * (WALL - c.hu)
        c.hu += lumen * (AIR + 15 - c.hu)

    def _bones(self, depth: float, cage: Field) -> None:
        c, a = self.canvas, self.anatomy
        fraction = depth / a.length
        _, sy = a.spine()
        if fraction > 0.11:
            self._ribs(depth, cage)
        if 0.22 < fraction < 0.66:
            width = np.interp(fraction, (0.22, 0.28, 0.4, 0.66), (26, 26, 15, 8))
            c.paint_bone(0, a.cage_middle(depth) - a.cage_axes(depth)[1] - 8, float(width), 6)
        c.hu += c.cover_tubes(self.clavicles, depth, self.slab) * (CORTEX * 0.7 - c.hu)
        if 0.08 < fraction < 0.42:
            cw, ch = a.cage_axes(depth)
            back = a.cage_middle(depth) + 0.62 * ch + 14
            length = float(np.interp(fraction, (0.08, 0.2, 0.42), (34, 36, 14)))
            for side in (-1, 1):
                c.paint_bone(side * (0.70 * cw + 34), back, length, 5, angle=-side * 0.72, rim=1.6)
        if fraction < 0.10:
            for side in (-1, 1):
                c.paint_bone(side * 146 * a.width, a.body_middle(depth), 22, 24, rim=3)
        # A vertebra every 24 mm: body and pedicles, then a disc without pedicles.
        disc = (depth / 24 + a.rib_phase) % 1 < 0.2
        c.paint_oval(0, sy + 31, 4.5, 11, CORTEX * 0.7)
        for side in (-1, 1):
            c.paint_oval(side * 15, sy + 23, 14, 5, CORTEX * 0.6, angle=side * 0.5)
            if not disc and fraction > 0.11:
                c.paint_oval(side * 26, sy + 20, 13, 4.5, CORTEX * 0.6, angle=side * 0.25)
        if disc:
            c.paint_oval(0, sy, 20, 16, 90)
        else:
            c.paint_bone(0, sy, 20.5, 16.5, rim=1.8)
        c.paint_oval(0, sy + 22, 9.5, 8, 25)

    def _ribs(self, depth: float, cage: Field) -> None:
        """Ribs descend from the spine to the front, so one slice cuts several of them obliquely."""
        c, a = self.canvas, self.anatomy
        ring = 4.2 - np.abs(cage + 5)
        at = np.nonzero(ring > -2)
        x, y = c.x[at], c.y[at]
        around = np.arctan2(np.abs(x), y) * np.float32(1 / np.pi)  # 0 at the back, 1 at the front
        phase = np.float32(depth / a.rib_pitch + a.rib_phase) - np.float32(3.4) * around
        phase += np.float32(0.25) * (x > 0)
        along = (np.float32(0.24) - np.abs(phase % 1 - np.float32(0.5))) * 85
        distance = np.minimum(smooth_minimum(ring[at], along, 3), (around - np.float32(0.10)) * 200)
        cartilage = around > 0.84
        hard, soft = np.where(cartilage, CARTILAGE, CORTEX), np.where(cartilage, CARTILAGE - 30, MARROW)
        value = c.hu[at]
        value += c.cover(distance) * (hard - value)
        value += c.cover(distance - 1.8) * (soft - value)
        c.hu[at] = value

    def _field(self, volume: Field, depth: float) -> Field:
        """Smooth random field at this depth: linear interpolation of a coarse volume on the pixel grid."""
        planes, rows, _ = volume.shape
        at = min(max(depth / self.anatomy.length, 0), 1) * (planes - 1)
        low = min(int(at), planes - 2)
        plane = volume[low] + np.float32(at - low) * (volume[low + 1] - volume[low])
        size = self.canvas.hu.shape[0]
        fine = np.linspace(0, rows - 1.001, size, dtype=np.float32)
        whole = fine.astype(np.int32)
        part = fine - whole
        plane = plane[whole] + part[:, None] * (plane[whole + 1] - plane[whole])
        image: Field = plane[:, whole] + part * (plane[:, whole + 1] - plane[:, whole])
        return image

    def _reconstruct(self, random: np.random.Generator) -> Field:
        """Kernel and noise: a soft kernel blurs both, a sharp one lifts edges and fine noise."""
        c, a = self.canvas, self.anatomy
        noise = random.standard_normal(c.hu.shape, dtype=np.float32)
        if a.sharp:
            hu = c.hu + 0.5 * (c.hu - blur(c.hu)) + np.float32(a.noise) * (noise - 0.6 * blur(noise))
        else:
            hu = blur(c.hu) + np.float32(a.noise * 2.6) * blur(blur(noise))
        return np.clip(hu, -1024, 3071)


def tumour_cover(anatomy: Anatomy, canvas: Canvas, depth: float) -> Field:
    """Fraction of each pixel inside the tumour at this depth (mm); its outline shrinks as that of a ball does."""
    t = anatomy.tumour
    cover = np.zeros_like(canvas.hu)
    height = 1 - ((depth - t.depth) / t.radius) ** 2
    if height <= 0:
        return cover
    rows, columns = canvas.to_pixels(np.asarray(t.x), np.asarray(t.y))
    reach = 2 * t.radius / canvas.pixel
    box = (
        slice(max(int(rows - reach), 0), int(rows + reach) + 2),
        slice(max(int(columns - reach), 0), int(columns + reach) + 2),
    )
    dx, dy = canvas.x[box] - np.float32(t.x), canvas.y[box] - np.float32(t.y)
    outline = t.outline(np.arctan2(dy, dx)) * np.float32(np.sqrt(height))
    cover[box] = canvas.cover(outline - np.hypot(dx, dy))
    return cover
