"""Image batches as PIL images and PNG files: grids, contact sheets, thumbnails.

In: grey images in [-1, 1]. Out: 8-bit grey images. Nothing here interpolates: an enlarged pixel stays a square, so
that a sheet shows what the network made. torch is not imported: a step that normalizes one patient would wait seconds
for it.
"""

import io
from collections.abc import Iterable
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from chestgan_core.local.files import replacing

if TYPE_CHECKING:
    import torch

INK, PAPER, RULE = 20, 255, 180
FRAME = (255, 176, 0)  # amber, of the box of a tumour
PALETTE = 64  # colours of a thumbnail: enough for charts with a few lines, and their blurred edges
Images: TypeAlias = "torch.Tensor | NDArray[np.float32]"


def to_grey(images: Images) -> NDArray[np.uint8]:
    """(N, 1, H, W) or (N, H, W) in [-1, 1] to (N, H, W) uint8: -1 is black, 1 is white, outside is clipped.

    This is the one mapping from network values to grey levels; published PNG files use it as well.
    """
    # Everything else is a tensor, perhaps on another device.
    numbers = images if isinstance(images, np.ndarray) else images.detach().float().cpu().numpy()
    unit = np.asarray(numbers, dtype=np.float32)
    if unit.ndim == 4 and unit.shape[1] == 1:
        unit = unit[:, 0]
    if unit.ndim != 3:
        raise ValueError(f"images must be (N, 1, H, W) or (N, H, W), not {unit.shape}")
    grey: NDArray[np.uint8] = np.rint((np.clip(unit, -1, 1) + 1) * 127.5).astype(np.uint8)
    return grey


def from_grey(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The inverse of to_grey to within half a grey level: uint8 to float32 in [-1, 1]."""
    unit: NDArray[np.float32] = grey.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return unit


def image_grid(
    images: Images, columns: int = 8, scale: int = 1, gap: int = 2, background: int = PAPER
) -> Image.Image:
    """Images in reading order on one sheet; returns an 8-bit grey PIL image.

    columns: images per row. scale: every pixel becomes scale x scale pixels. gap: pixels between images. background:
    grey level (0 to 255) of gaps and of cells that are left over in the last row.
    """
    cells = to_grey(images)
    if columns < 1 or scale < 1 or not len(cells):
        raise ValueError("a grid needs at least one image, one column and scale 1")
    cells = cells.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width = cells.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), background, dtype=np.uint8)
    for index, cell in enumerate(cells):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = cell
    return Image.fromarray(sheet)


def draw_boxes(
    image: Image.Image, boxes: Iterable[tuple[float, float, float, float]], scale: float = 1.0
) -> Image.Image:
    """An image with a frame of one pixel around each box; a copy, in colour.

    The frame lies outside of the box, so that it covers nothing of what is in it; along an edge of the image it lies on
    the outermost pixels.

    Args:
        image: 8 bit, as it is shown.
        boxes: left, top, right, bottom in pixels of the image before it was enlarged; half-open, origin top left.
        scale: By how much the image was enlarged, below 1 if it was made smaller.

    Returns:
        RGB, of the size of the image.

    Examples:
        >>> framed = draw_boxes(Image.new("L", (64, 64)), [(8.0, 10.0, 16.0, 20.0)], scale=2)
        >>> [framed.getpixel(at) == FRAME for at in ((15, 30), (16, 30), (31, 30), (32, 30))]
        [True, False, False, True]
    """
    framed = image.convert("RGB")
    draw = ImageDraw.Draw(framed)
    for box in boxes:
        left, top, right, bottom = (at * scale for at in box)
        upper = max(floor(left) - 1, 0), max(floor(top) - 1, 0)
        lower = min(ceil(right), image.width - 1), min(ceil(bottom), image.height - 1)
        if upper[0] <= lower[0] and upper[1] <= lower[1]:
            draw.rectangle((*upper, *lower), outline=FRAME)
    return framed


def contact_sheet(
    real: Images,
    fake: Images,
    path: Path,
    title: str = "Real beside synthetic",
    real_label: str = "real",
    fake_label: str = "synthetic",
    columns: int = 8,
    rows: int = 8,
) -> Path:
    """Write one PNG with a block of real images on the left and a block of synthetic ones on the right; returns path.

    At most rows x columns images of each side are shown, in the order given, and both in the same way. Small images are
    enlarged by a whole factor to about 128 pixels.
    """
    real_cells, fake_cells = _first(real, rows * columns), _first(fake, rows * columns)
    scale = max(1, 128 // real_cells.shape[-1])
    blocks = [image_grid(cells, columns, scale) for cells in (real_cells, fake_cells)]
    margin, gutter = 24, 40
    heading, caption = _font(30), _font(22)
    top = 100
    width = sum(block.width for block in blocks) + gutter + 2 * margin
    width = max(width, int(heading.getlength(title)) + 2 * margin)
    sheet = Image.new("L", (width, top + max(block.height for block in blocks) + margin), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((margin, 14), title, fill=INK, font=heading)
    left = margin
    for block, label, cells in zip(blocks, (real_label, fake_label), (real_cells, fake_cells), strict=True):
        draw.text((left, top - 38), f"{label} ({len(cells)})", fill=INK, font=caption)
        sheet.paste(block, (left, top))
        left += block.width + gutter
    middle = margin + blocks[0].width + gutter // 2
    draw.line([(middle, top - 38), (middle, sheet.height - margin)], fill=RULE, width=2)
    save_png(sheet, path)
    return path


def png_of(image: Image.Image) -> bytes:
    """PNG bytes with no chunk but header, pixels and end: the same image gives the same bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")  # compress_level=9 takes four times as long for 3 % fewer bytes
    return buffer.getvalue()


def thumbnail(png: bytes, limit: int, max_width: int) -> tuple[bytes, str]:
    """A picture of at most `limit` bytes and `max_width` pixels across, with its colours; and its MIME type.

    The PNG itself where it fits. Else the mean of the pixels that fall together, as PNG with a palette where that fits,
    as JPEG, which is halved until it does.
    """
    image: Image.Image = Image.open(io.BytesIO(png))
    if len(png) <= limit and image.width <= max_width:
        return png, "image/png"
    # A palette cannot be averaged. Grey pictures stay grey: a third of the bytes.
    image = image.convert("RGB") if _is_coloured(image) else image.convert("L")
    if image.width > max_width:
        height = max(1, round(image.height * max_width / image.width))
        image = image.resize((max_width, height), Image.Resampling.BOX)
    smaller = png_of(image if image.mode == "L" else image.quantize(PALETTE))
    if len(smaller) <= limit:
        return smaller, "image/png"
    while True:
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=80)
        if buffer.tell() <= limit or min(image.size) < 64:
            return buffer.getvalue(), "image/jpeg"
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)


def _is_coloured(image: Image.Image) -> bool:
    if image.mode in ("1", "L", "I", "I;16", "F"):
        return False
    red, green, blue = image.convert("RGB").split()
    return red.tobytes() != green.tobytes() or green.tobytes() != blue.tobytes()


def shrink_to_width(png: bytes, max_width: int) -> bytes:
    """The PNG with at most max_width pixels across: halved, each pixel the mean of four, as often as needed."""
    image: Image.Image = Image.open(io.BytesIO(png))
    if image.width <= max_width:
        return png
    while image.width > max_width:
        image = image.reduce(2)
    return png_of(image)


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG, atomically: a killed run leaves no incomplete file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG", optimize=False)


def _first(images: Images, count: int) -> NDArray[np.float32]:
    return from_grey(to_grey(images)[:count])


def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=pixels)
