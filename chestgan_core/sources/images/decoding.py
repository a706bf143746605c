"""The grey levels of an image file.

In: the bytes of a PNG, JPEG, JPEG 2000, TIFF, BMP, GIF or WebP file. Out: (H, W) uint8, 0 black, 255 white, rotated as
EXIF says. The size is checked before anything is decoded. A picture whose grey levels are not known for certain is
refused: stored values without a window, and parts that every viewer shows on another background.
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

FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "GIF", "WEBP")
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".j2c", ".jpx", ".jpf"}
    | {".tif", ".tiff", ".bmp", ".gif", ".webp"}
)
# Pictures of kinds that are not read. By the ending of the name: a parser for each would be one more to attack.
OTHER_SUFFIXES = frozenset(
    {
        ".avif",
        ".heic",
        ".heif",
        ".jxl",
        ".jxr",
        ".pgm",
        ".ppm",
        ".pnm",
        ".pbm",
        ".psd",
        ".svg",
        ".tga",
        ".ico",
    }
    | {".dcx", ".pcx", ".eps", ".pdf", ".nii", ".nrrd", ".mha", ".mhd"}
)
# The largest radiographs have 4,300 x 3,600 pixels; four times that in colour is 256 MB.
MAX_PIXELS = 64_000_000
MAX_BYTES = 512 * 1024**2
# An alpha channel counts as a copy of the grey levels if no more than the fraction _MARKED of the pixels differs from
# them by more than _SAME levels.
_MARKED, _SAME = 0.01, 2
# Of 256 grey levels. 16-bit values that lie in fewer are what a scanner or detector stored in 10 to 14 bits.
_RAW_LEVELS = 64
_SELDOM = 1e-4  # of the pixels: marks and padding, which say nothing about the range
# A picture is empty where _MOST of its pixels have fewer grey levels than _FEW_LEVELS, or lie within _FLAT of them.
_MOST, _FEW_LEVELS, _FLAT = 0.99, 8, 16
_WHITE_IS_ZERO, _PHOTOMETRIC = 0, 262  # TIFF 6.0, section 8


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
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decoded(image)
    except UnusableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnusableImage(_unidentified(suffix.lower())) from error
    except Image.DecompressionBombError as error:
        raise UnusableImage(ImageStatus.TOO_LARGE) from error
    except Exception as error:  # the decoders of Pillow raise any exception on damaged files
        bomb = isinstance(error, ValueError) and "Decompressed data too large" in str(error)  # texts in a PNG
        raise UnusableImage(ImageStatus.TOO_LARGE if bomb else ImageStatus.UNREADABLE) from error


def require_contrast(grey: np.ndarray) -> None:
    """Raises UnusableImage: a picture that is empty, flat, a mask, or saturated. grey: (H, W) uint8."""
    counts = np.bincount(grey.ravel(), minlength=256)
    held = np.sort(counts)[::-1].cumsum()
    levels = int(np.searchsorted(held, _MOST * grey.size)) + 1
    low, high = np.searchsorted(counts.cumsum(), [(1 - _MOST) / 2 * grey.size, (1 + _MOST) / 2 * grey.size])
    if levels < _FEW_LEVELS or high - low < _FLAT:
        raise UnusableImage(ImageStatus.NO_CONTRAST)


def _unidentified(suffix: str) -> ImageStatus:
    if suffix in OTHER_SUFFIXES:
        return ImageStatus.OTHER_FORMAT
    return ImageStatus.UNREADABLE if suffix in SUFFIXES else ImageStatus.NOT_AN_IMAGE


def _decoded(image: "ImageFile") -> DecodedImage:
    if image.width * image.height > MAX_PIXELS:
        raise UnusableImage(ImageStatus.TOO_LARGE)
    if getattr(image, "n_frames", 1) > 1:
        raise UnusableImage(ImageStatus.SEVERAL_FRAMES)
    mode = image.mode
    tags = getattr(image, "tag_v2", {})
    # Pillow inverts such values of up to 8 bits itself.
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and mode.startswith("I")
    image.load()
    return DecodedImage(_grey(ImageOps.exif_transpose(image), inverted), mode)


def _grey(image: Image.Image, inverted: bool) -> np.ndarray:
    """(H, W) uint8, with transparency resolved. inverted: whether the lowest of more than 8 bits is white.

    The alpha channel of the PNG files of the chest CT collection is a copy of their grey levels. Composited on black,
    bone and tissue would lose up to nine tenths of their brightness; on white, the lungs would turn bright. Such a copy
    (apart from marks drawn in colour) is ignored, and so is one that is the same everywhere. With any other, a part of
    the picture looks different on every background: it is used only if that part is black anyway, as what surrounds a
    patient is in CT and in radiographs.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _of_16_bit(np.asarray(image).astype(np.int64), inverted, image.info.get("transparency"))
    if image.mode == "F":
        raise UnusableImage(ImageStatus.RAW_VALUES)
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        full = image.convert("RGBA")
        luma = np.asarray(full.convert("RGB").convert("L"))
        alpha = np.asarray(full.getchannel("A"))
        if not alpha.any():
            raise UnusableImage(ImageStatus.TRANSPARENT)
        apart = np.abs(luma.astype(np.int16) - alpha) > _SAME
        if apart.mean() < _MARKED or alpha.min() == alpha.max():
            return luma
        black = Image.new("RGBA", full.size, (0, 0, 0, 255))
        on_black = np.asarray(Image.alpha_composite(black, full).convert("L"))
        if (np.abs(luma.astype(np.int16) - on_black) > _SAME).mean() >= _MARKED:
            raise UnusableImage(ImageStatus.TRANSPARENT)
        return on_black
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L"))


def _of_16_bit(values: np.ndarray, inverted: bool, transparent: object) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise UnusableImage(ImageStatus.RAW_VALUES)
    if (
        isinstance(transparent, int)
        and (values == transparent).mean() >= _MARKED
        and transparent >= 256 * _SAME
    ):
        raise UnusableImage(ImageStatus.TRANSPARENT)
    if inverted:
        values = 65535 - values
    grey = ((values + 128) // 257).astype(np.uint8)
    used = np.flatnonzero(np.bincount(grey.ravel(), minlength=256) > _SELDOM * grey.size)
    # The levels as a ring, so that negative values, which lie at the upper end of unsigned ones, are near zero.
    widest_gap = np.diff(np.append(used, used[0] + 256)).max()
    if len(used) > 2 and 256 - widest_gap < _RAW_LEVELS:
        raise UnusableImage(ImageStatus.RAW_VALUES)
    return grey
