"""A synthetic patient: layouts from the base to the apex of the lungs, with a tumour that keeps its place.

In: what a generator can be asked, and the seed of the patient. Out: `SubjectLayouts`. The tumour is an ellipsoid in mm,
cut by the planes of the slices: each slice is asked for the box of its cut.
"""

import math
from dataclasses import dataclass

import numpy as np

from chestgan_core.errors import BadInput
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.layout import Edges, Layout
from chestgan_core.layouts.table import (
    LayoutTable,
    chances_of,
    chosen_entry,
    moved_boxes,
    moved_position,
    require_tumours,
    rounded,
)

SPACING_MM = 5.0  # between slices, unless another is asked for
MIN_SLICES, MAX_SLICES = 2, 1000
MIN_PIXELS = 0.5  # width and height of a cut that is asked for; the slice through the centre always is
_TRIES = 32  # tumours drawn until all cuts of one lie in the lungs
_OF_SUBJECT = 0x5B3C  # stream of random numbers


@dataclass(frozen=True)
class Ellipsoid:
    """x, y: of the centre, pixels of the image. z_mm: of the centre, from the base of the lungs. axes_mm: whole axes
    along x, y and the body.
    """

    x: float
    y: float
    z_mm: float
    axes_mm: tuple[float, float, float]

    @property
    def volume_mm3(self) -> float:
        """Of the whole ellipsoid."""
        return math.pi / 6 * math.prod(self.axes_mm)

    def cut(self, z_mm: float, pixel_mm: float) -> Edges | None:
        """The box of its cut with the plane at z_mm, in pixels; None where the plane passes it."""
        width, height, along = self.axes_mm
        scale = 1 - (2 * (z_mm - self.z_mm) / along) ** 2
        if scale <= 0:
            return None
        across, down = (math.sqrt(scale) * axis / pixel_mm / 2 for axis in (width, height))
        return self.x - across, self.y - down, self.x + across, self.y + down


@dataclass(frozen=True)
class SubjectLayouts:
    """One synthetic patient. seed: of all its slices. layouts: from base to apex. z_mm: of the slices, above the base
    of the lungs, which are lung_mm high. tumour: None: it has none.
    """

    seed: int
    layouts: tuple[Layout, ...]
    z_mm: tuple[float, ...]
    spacing_mm: float
    pixel_mm: float
    lung_mm: float
    tumour: Ellipsoid | None

    @property
    def asked_mm3(self) -> float:
        """Volume of the tumour that is asked for; 0 without one."""
        return self.tumour.volume_mm3 if self.tumour else 0.0


def subject_layouts(
    askable: Askable,
    seed: int,
    spacing_mm: float | None = None,
    asked: Layout | None = None,
    tumour_fraction: float = 1.0,
) -> SubjectLayouts:
    """The layouts of one synthetic patient; they depend on the table, on what is asked and on the seed only.

    Args:
        askable: Of a generator that was trained with positions.
        seed: Of the patient: of the noise of all its slices, and of its tumour.
        spacing_mm: Between slices; None: SPACING_MM.
        asked: boxes: one, the largest cut of the tumour, or () for none; None: a tumour is drawn. position: of its
            centre; None: drawn. class_name: of the patient.
        tumour_fraction: Of the patients that have a drawn tumour.

    Returns:
        Slices at even distances over the median extent of the lungs of the training patients. The extent of the tumour
        along the body is the mean of its axes in the image.

    Raises:
        BadInput: A generator that knows no positions or no mm, a spacing that gives fewer than MIN_SLICES or more than
            MAX_SLICES slices, more than one tumour, one outside the lungs.
    """
    table = _require_table(askable)
    asked = asked or Layout()
    askable.require(asked, "the asked tumour")
    z_mm, spacing = _planes(table.lung_mm, spacing_mm)
    if len(asked.boxes or ()) > 1:
        cause = f"has {len(asked.boxes or ())} tumours, and a synthetic patient has one at most"
        raise BadInput("the asked patient", cause, "ask for one tumour")
    tumour = None
    if askable.conditions.tumour is not None and asked.boxes != ():
        tumour = _tumour(askable, table, seed, z_mm, asked, tumour_fraction)
    layouts = []
    for z in z_mm:
        boxes: tuple[Edges, ...] | None = () if askable.conditions.tumour is not None else None
        cut = tumour.cut(z, table.pixel_mm) if tumour else None
        if tumour and cut and (z == tumour.z_mm or min(cut[2] - cut[0], cut[3] - cut[1]) >= MIN_PIXELS):
            boxes = (rounded(cut),)
        layouts.append(Layout(boxes, z / table.lung_mm, asked.class_name))
    return SubjectLayouts(seed, tuple(layouts), z_mm, spacing, table.pixel_mm, table.lung_mm, tumour)


def _require_table(askable: Askable) -> LayoutTable:
    table, what = askable.table, "the model"
    if table is None or not askable.conditions.position or not table.has_position:
        cause = "was not trained with the position of a slice, which a synthetic patient needs"
        raise BadInput(what, cause, f"{askable.knows()}; train one with conditions.position")
    if not table.pixel_mm or not table.lung_mm:
        cause = "does not know how many mm its pixels or the lungs have"
        raise BadInput(what, cause, "train it on CT, whose headers say so")
    return table


def _planes(lung_mm: float, spacing_mm: float | None) -> tuple[tuple[float, ...], float]:
    """Heights of the slices above the base, evenly spaced, and their spacing."""
    spacing = SPACING_MM if spacing_mm is None else spacing_mm
    count = math.floor(lung_mm / spacing) if math.isfinite(spacing) and spacing > 0 else 0
    if not MIN_SLICES <= count <= MAX_SLICES:
        cause = f"gives {count} slices in lungs of {lung_mm:.4g} mm"
        remedy = f"give {max(lung_mm / MAX_SLICES, 0.01):.2g} to {lung_mm / MIN_SLICES:.4g} mm"
        raise BadInput(f"a spacing of {spacing:g} mm", cause, remedy)
    first = (lung_mm - (count - 1) * spacing) / 2
    return tuple(first + number * spacing for number in range(count)), spacing


def _tumour(
    askable: Askable,
    table: LayoutTable,
    seed: int,
    z_mm: tuple[float, ...],
    asked: Layout,
    tumour_fraction: float,
) -> Ellipsoid | None:
    """The asked tumour, or one that is drawn: the first of which all cuts lie in the lungs, else that with the fewest
    outside.
    """
    random = np.random.Generator(np.random.PCG64([_OF_SUBJECT, seed]))
    if asked.boxes is None and random.random() >= tumour_fraction:
        return None
    if asked.boxes is None:
        require_tumours(table)
    chances = chances_of(table, askable.class_number(asked.class_name, seed), table.has_box)
    best, fewest = None, math.inf
    for _ in range(_TRIES):
        entry = chosen_entry(chances, random)
        drawn = moved_position(table, entry, random)
        position = drawn if asked.position is None else asked.position
        boxes = asked.boxes or moved_boxes(table, entry, position, random) or ()
        box = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
        found = _ellipsoid(box, table, z_mm, 0.5 if position is None else position, asked.position is None)
        outside = _outside(found, table, z_mm)
        if outside < fewest:
            best, fewest = found, outside
        if not outside:
            break
    return best


def _ellipsoid(
    box: Edges, table: LayoutTable, z_mm: tuple[float, ...], position: float, may_move: bool
) -> Ellipsoid:
    """Centred on a slice, so that its largest cut is shown. may_move: along the body, so that all of it is shown."""
    width, height = ((box[2] - box[0]) * table.pixel_mm, (box[3] - box[1]) * table.pixel_mm)
    along, wanted = (width + height) / 2, position * table.lung_mm
    whole = [z for z in z_mm if along / 2 <= z <= table.lung_mm - along / 2]
    z = min(whole if may_move and whole else z_mm, key=lambda z: abs(z - wanted))
    return Ellipsoid((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, z, (width, height, along))


def _outside(tumour: Ellipsoid, table: LayoutTable, z_mm: tuple[float, ...]) -> int:
    """How many cuts do not lie in the lungs."""
    cuts = [(tumour.cut(z, table.pixel_mm), z / table.lung_mm) for z in z_mm]
    return sum(cut is not None and not table.zone.holds(cut, position) for cut, position in cuts)
