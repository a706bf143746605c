"""The grey levels of an image file.

In: the bytes of a PNG, JPEG, TIFF, BMP, GIF or WebP file. Out: (H, W) uint8, 0 black, 255 white, rotated as EXIF says.
The size is checked before anything is decoded.
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
MAX_PIXELS = 64_000_000
MAX_BYTES = 512 * 1024**2
# An alpha channel counts as a copy of the grey levels if no more than the fraction _MARKED of the pixels differs from
# them by more than _SAME levels.
_MARKED, _SAME = 0.01, 2


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """grey: (H, W) uint8. mode: Pillow's mode of the file."""

    grey: np.ndarray
    mode: str


class UnusableImage(Exception):
    """A file that cannot be used as an image. status: why."""

    def __init__(self, status: ImageStatus) -> None:
        self.status = status
        super().__init__(status)


def decode_image(data: bytes, suffix: str) -> DecodedImage:
    """The image in a file. suffix: of its name; it distinguishes damaged images from other kinds of files.

    Colour becomes luma (ITU-R BT.601-7, 2.5.1). 16-bit grey is scaled linearly (65535 is white). Raises UnusableImage.
    """
    try:
        with warnings.catch_warnings():
            # The size is checked below; Pillow also warns about sizes that are allowed here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decoded(image)
    except UnidentifiedImageError as error:
        named = suffix.lower() in SUFFIXES
        raise UnusableImage(ImageStatus.UNREADABLE if named else ImageStatus.NOT_AN_IMAGE) from error
    except Image.DecompressionBombError as error:
        raise UnusableImage(ImageStatus.TOO_LARGE) from error
    # Errors that the decoders of Pillow raise on damaged files.
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
        raise UnusableImage(ImageStatus.UNREADABLE) from error


def _decoded(image: "ImageFile") -> DecodedImage:
    if image.width * image.height > MAX_PIXELS:
        raise UnusableImage(ImageStatus.TOO_LARGE)
    if getattr(image, "n_frames", 1) > 1:
        raise UnusableImage(ImageStatus.SEVERAL_FRAMES)
    mode = image.mode
    image.load()
    return DecodedImage(_grey(ImageOps.exif_transpose(image)), mode)


def _grey(image: Image.Image) -> np.ndarray:
    """(H, W) uint8, with transparency resolved.

    The alpha channel of the PNG files of the chest CT collection is a copy of their grey levels. Composited on black,
    bone and tissue would lose up to nine tenths of their brightness; on white, the lungs would turn bright. Such a copy
    (apart from marks drawn in colour) is ignored. An image with any other alpha channel is composited on black, which
    is what surrounds a patient in CT and in radiographs.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _of_16_bit(np.asarray(image).astype(np.int64))
    if image.mode == "F":
        raise UnusableImage(ImageStatus.UNREADABLE)
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
        raise UnusableImage(ImageStatus.UNREADABLE)
    return ((values + 128) // 257).astype(np.uint8)
