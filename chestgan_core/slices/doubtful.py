"""Slices near the ends of the lungs, for a person to look at: are they on the right side?

In: slices in HU that the lung rule is unsure of (lung_region.py). Out: their counts, and one sheet as PNG. At most
PICTURES are kept, so memory does not grow with the delivery.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chestgan_core.imaging.pictures import INK, PAPER, png_of, to_grey
from chestgan_core.imaging.windows import WINDOWS

PICTURES, COLUMNS = 48, 8
CELL, GAP, LABEL = 128, 2, 16  # pixels


class DoubtfulSlices:
    """kept, left_out: how many doubtful slices are used and not used."""

    def __init__(self) -> None:
        self.kept, self.left_out = 0, 0
        self._cells: list[tuple[Image.Image, str]] = []

    def add(self, hu: np.ndarray, position_mm: float, kept: bool) -> None:
        """Count a slice, and keep its picture. hu: (size, size) int16."""
        self.kept, self.left_out = self.kept + kept, self.left_out + (not kept)
        if len(self._cells) < PICTURES:
            grey = Image.fromarray(to_grey(WINDOWS["lung"].to_unit(hu)[None])[0])
            filter_ = Image.Resampling.BOX if len(hu) > CELL else Image.Resampling.NEAREST
            cell = grey.resize((CELL, CELL), filter_)
            self._cells.append((cell, f"{position_mm:.0f} mm, {'used' if kept else 'left out'}"))

    def png(self) -> bytes | None:
        """The pictures in the order in which they came, each with its position along the body; None without any."""
        if not self._cells:
            return None
        lines = -(-len(self._cells) // COLUMNS)
        width = min(len(self._cells), COLUMNS) * (CELL + GAP) - GAP
        sheet = Image.new("L", (width, lines * (CELL + LABEL)), PAPER)
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
        for at, (cell, label) in enumerate(self._cells):
            left, top = at % COLUMNS * (CELL + GAP), at // COLUMNS * (CELL + LABEL)
            draw.text((left + 2, top), label, fill=INK, font=font)
            sheet.paste(cell, (left, top + LABEL))
        return png_of(sheet)
