"""A contact sheet of a collection of images: what each class looks like.

In: rows, and where their files lie. Out: PNG bytes, with one block of images per class under its name.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chestgan_core.imaging.pictures import INK, PAPER, from_grey, image_grid, png_of
from chestgan_core.sources.images.decoding import decode_image
from chestgan_core.sources.images.image_rows import ImageRow

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import FileLocation

COLUMNS, LINES, EDGE, LABEL = 8, 2, 112, 26


def sheet_png(rows: Sequence[ImageRow], locations: "Sequence[FileLocation | None]") -> bytes:
    """At most 16 images of each class, evenly spaced over those in use."""
    from chestgan_core.dicom.file_walk import Archives

    classes: defaultdict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if row.is_selected:
            classes[row.class_name].append(at)
    blocks = []
    with Archives() as archives:
        for name, members in sorted(classes.items()):
            spaced = np.linspace(0, len(members) - 1, min(COLUMNS * LINES, len(members))).round().astype(int)
            cells = []
            for at in (members[index] for index in spaced):
                location = locations[at]
                assert location is not None  # noqa: S101 (an image that is used has been opened)
                data = archives.read(location, rows[at].bytes)
                cells.append(fitted(decode_image(data, PurePosixPath(rows[at].path).suffix).grey, EDGE))
            label = f"{name}: {len(members)} images"
            blocks.append((label, image_grid(from_grey(np.stack(cells)), columns=COLUMNS)))
    width = max(block.width for _, block in blocks)
    sheet = Image.new("L", (width, sum(LABEL + block.height for _, block in blocks)), PAPER)
    draw, top = ImageDraw.Draw(sheet), 0
    for label, block in blocks:
        draw.text((4, top + 5), label, fill=INK, font=ImageFont.load_default(size=14))
        sheet.paste(block, (0, top + LABEL))
        top += LABEL + block.height
    return png_of(sheet)


def fitted(grey: np.ndarray, edge: int) -> np.ndarray:
    """The whole image, scaled, in the middle of a black square: (H, W) uint8 to (edge, edge) uint8.

    Pillow's filters widen with the scale, so there is no aliasing; Hamming is nearly as sharp as bicubic and does not
    ring.
    """
    rows, columns = grey.shape
    scale = edge / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.HAMMING))
    square = np.zeros((edge, edge), np.uint8)
    top, left = (edge - size[1]) // 2, (edge - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square
