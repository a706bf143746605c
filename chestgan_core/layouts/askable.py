"""What a generator can be asked, and the checks of everything that is asked of it.

In: the conditions of its training, its classes, and what it knows of the layouts of its training slices. Out: a layout
that it can show, or an error that says what it knows. Whatever names a tumour (an option, a line of a file, a form)
passes here, once.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chestgan_core.config.conditions import MAX_TUMOURS, Conditions
from chestgan_core.errors import BadInput, UnknownName, nearest
from chestgan_core.layouts.layout import Edges, Layout
from chestgan_core.layouts.lung_zone import require_in_lungs
from chestgan_core.layouts.table import LayoutTable

LengthUnit: TypeAlias = Literal["px", "mm"]


@dataclass(frozen=True)
class Askable:
    """resolution: of its images, pixels per side. classes: of its experiment. conditions: of its training. table: of
    the layouts of its training slices; None: of a generator without conditions.
    """

    resolution: int
    classes: tuple[str, ...]
    conditions: Conditions
    table: LayoutTable | None

    def knows(self) -> str:
        """What it can be told, as the end of a sentence."""
        parts = []
        if self.conditions.tumour is not None:
            parts.append("tumours")
        if self.conditions.position:
            parts.append("the position")
        if self.classes:
            parts.append(f"the class ({', '.join(self.classes)})")
        return f"it can be told {' and '.join(parts)}" if parts else "it can be told nothing but a seed"

    def class_number(self, name: str, seed: int) -> int:
        """Of the class of an image: that named, else that of the seed; -1 without classes."""
        if not self.classes:
            return -1
        return self.classes.index(name) if name else seed % len(self.classes)

    def pixels(self, length: float, unit: LengthUnit, what: str) -> float:
        """A length in pixels of the image. Raises BadInput: in mm, and the size of a pixel is unknown."""
        if unit == "px":
            return length
        if self.table is None or not self.table.pixel_mm:
            cause = "is in mm, and the model does not know how many mm its pixels have"
            raise BadInput(what, cause, f"give pixels, 0 to {self.resolution}")
        return length / self.table.pixel_mm

    def require(self, layout: Layout, what: str, anywhere: bool = False) -> None:
        """Refuse what it cannot show.

        what: the object of the error: "--tumour", "layouts.csv, line 7". anywhere: tumours may lie outside the lungs,
        as some that radiologists marked do.

        Raises BadInput: a condition that it was not trained with, an unknown class, a position outside 0 to 1, boxes
        that are none or too many, a tumour outside the lungs.
        """
        self._require_class(layout.class_name, what)
        self._require_position(layout.position, what)
        if layout.boxes is None:
            return
        self.require_tumours(what)
        if len(layout.boxes) > MAX_TUMOURS:
            cause = f"has {len(layout.boxes)} tumours in one image, at most {MAX_TUMOURS} are possible"
            raise BadInput(what, cause, "leave out the smallest")
        for box in layout.boxes:
            require_box(box, self.resolution, what)
        if self.table is not None and not anywhere:
            require_in_lungs(layout, self.table.zone, what)

    def require_tumours(self, what: str) -> None:
        """Refuse to be asked for images with tumours, or without. what: the object of the error.

        Raises BadInput: it was not trained with them, so that nobody knows which of its images show one.
        """
        if self.conditions.tumour is None:
            raise self._unknown(what, "tumours")

    def _require_class(self, name: str, what: str) -> None:
        if name and not self.classes:
            raise self._unknown(what, "a class")
        if name and name not in self.classes:
            cause = f"asks for the class {name}, which the model was not trained with"
            raise UnknownName(what, cause, nearest(name, self.classes))

    def _require_position(self, position: float | None, what: str) -> None:
        if position is None:
            return
        if not self.conditions.position:
            raise self._unknown(what, "a position")
        if not 0 <= position <= 1:
            cause = f"asks for the position {position:g}"
            raise BadInput(what, cause, "positions go from 0 (base of the lungs) to 1 (apex)")

    def _unknown(self, what: str, asked: str) -> BadInput:
        return BadInput(what, f"asks for {asked}, which the model was not trained with", self.knows())


def require_box(box: Edges, resolution: int, what: str) -> None:
    """Refuse edges that are no box of an image. what: the object of the error.

    Raises BadInput: NaN or infinite, of zero or negative size, in fractions of the side, beyond the image.
    """
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)):
        shown = ", ".join(f"{edge:g}" for edge in box)
        raise BadInput(what, f"has edges that are no numbers ({shown})", "give left, top, right, bottom")
    if right <= left or bottom <= top:
        cause = f"has a tumour of {right - left:.4g} x {bottom - top:.4g} pixels"
        raise BadInput(what, cause, "width and height are above 0, and right and bottom beyond left and top")
    if min(box) >= 0 and max(box) <= 1:
        cause = "has all edges between 0 and 1: they are fractions of the side, or in another unit"
        raise BadInput(what, cause, f"give pixels, 0 to {resolution}, or mm")
    if min(left, top) < 0 or max(right, bottom) > resolution:
        cause = f"reaches beyond the image: x {left:.4g} to {right:.4g}, y {top:.4g} to {bottom:.4g} pixels"
        remedy = f"the image has {resolution} x {resolution} pixels, from the top left; mm need the unit mm"
        raise BadInput(what, cause, remedy)
