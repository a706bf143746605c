"""A picture as grey levels, from the bytes of its file.

In: bytes of a PNG, JPEG, TIFF, BMP, GIF or WebP file. Out: (H, W) uint8, 0 black, 255 white, upright. Nothing is
decoded before its size is known.
"""

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from chestgan_core.sources.images.image_rows import ImageStatus

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".gif", ".webp"})
# The largest radiographs have 4,300 x 3,600 pixels; four times that in colour is 256 MB.
LARGEST_PIXELS = 64_000_000
LARGEST_BYTES = 512 * 1024**2
# An alpha channel that differs from the grey levels in fewer pixels than this repeats them (see `_grey`).
_MARKED, _SAME = 0.01, 2


@dataclass(frozen=True, eq=False)
class Picture:
    """grey: (H, W) uint8. mode: how the file held it, as Pillow calls it."""

    grey: np.ndarray
    mode: str


class NotRead(Exception):
    """A file that gives no picture. status: why."""

    def __init__(self, status: ImageStatus) -> None:
        self.status = status
        super().__init__(status)


def read_picture(data: bytes, suffix: str) -> Picture:
    """The picture in a file. suffix: of its name, which decides how a file that is none is called.

    Colour becomes luma (ITU-R BT.601-7, 2.5.1). 16 bit are scaled as a whole (65535 is white). Raises NotRead.
    """
    try:
        with warnings.catch_warnings():
            # The size is checked below; Pillow would warn about some that are allowed.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decoded(image)
    except UnidentifiedImageError as error:
        named = suffix.lower() in SUFFIXES
        raise NotRead(ImageStatus.UNREADABLE if named else ImageStatus.NOT_AN_IMAGE) from error
    except Image.DecompressionBombError as error:
        raise NotRead(ImageStatus.TOO_LARGE) from error
    # What Pillow's decoders raise on damaged files.
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
    ) as error:
        raise NotRead(ImageStatus.UNREADABLE) from error


def _decoded(image: "ImageFile") -> Picture:
    if image.width * image.height > LARGEST_PIXELS:
        raise NotRead(ImageStatus.TOO_LARGE)
    if getattr(image, "n_frames", 1) > 1:
        raise NotRead(ImageStatus.SEVERAL_FRAMES)
    mode = image.mode
    image.load()
    return Picture(_grey(ImageOps.exif_transpose(image)), mode)


def _grey(image: Image.Image) -> np.ndarray:
    """(H, W) uint8 as the picture is meant to look.

    The PNG files of the chest CT collection hold a copy of the grey levels as their alpha channel: pasted on black, as
    alpha asks for, bone and tissue would lose up to nine tenths of their brightness; on white, the lungs would shine.
    Such a channel (marks drawn in colour differ) says nothing and is left away. Any other is pasted on black, which is
    what surrounds a patient in CT and in radiographs.
    """
    if image.mode.startswith("I;16"):
        return _of_16_bit(np.asarray(image).astype(np.int64))
    if image.mode == "I":
        return _of_16_bit(np.asarray(image).astype(np.int64))
    if image.mode == "F":
        raise NotRead(ImageStatus.UNREADABLE)
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        full = image.convert("RGBA")
        luma = np.asarray(full.convert("RGB").convert("L"))
        alpha = np.asarray(full.getchannel("A"))
        apart = np.abs(luma.astype(np.int16) - alpha) > _SAME
        if apart.mean() < _MARKED:
            return luma
        black = Image.new("RGBA", full.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, full).convert("L"))
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L"))


def _of_16_bit(values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise NotRead(ImageStatus.UNREADABLE)
    return ((values + 128) // 257).astype(np.uint8)
