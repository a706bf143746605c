"""Grey levels of odd pictures: within 3 of those that were drawn, or refused for the reason that is true."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from chestgan_core.sources.images.decoding import UnusableImage, decode_image, require_contrast
from chestgan_core.sources.images.image_rows import ImageStatus
from tests.sources.images.pictures import drawn

GREY = np.asarray(drawn(3, 96, 64))


def file(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def read(data: bytes, suffix: str = ".png") -> np.ndarray:
    grey = decode_image(data, suffix).grey
    require_contrast(grey)
    return grey


def reason(data: bytes, suffix: str = ".png") -> ImageStatus:
    with pytest.raises(UnusableImage) as refused:
        read(data, suffix)
    return refused.value.status


def as_tiff(values: np.ndarray, **options: Any) -> bytes:
    return file(Image.fromarray(values), "TIFF", **options)


def rgba(alpha: np.ndarray, colour: np.ndarray = GREY) -> bytes:
    parts = [Image.fromarray(colour)] * 3
    return file(Image.merge("RGBA", [*parts, Image.fromarray(alpha.astype(np.uint8))]), "PNG")


def exif(orientation: int) -> bytes:
    written = Image.Exif()
    written[0x0112] = orientation
    return written.tobytes()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_polarity_of_a_tiff_is_that_of_its_header(bits, white_is_zero, compression):
    values = GREY.astype(np.uint16) * 257 if bits == 16 else GREY
    data = as_tiff(np.iinfo(values.dtype).max - values if white_is_zero else values, compression=compression)
    if white_is_zero:  # in the header alone: Pillow would invert what it writes
        tag = struct.pack("<HHLL", 262, 3, 1, 1)
        assert data.count(tag) == 1
        data = data.replace(tag, struct.pack("<HHLL", 262, 3, 1, 0))
    assert np.abs(read(data, ".tif").astype(int) - GREY).max() <= 1


@pytest.mark.parametrize(
    ("form", "mode", "options", "error"),
    [
        ("PNG", "P", {}, 3),
        ("PNG", "L", {"interlace": True}, 0),
        ("GIF", "L", {}, 0),
        ("WEBP", "L", {"lossless": True}, 0),
        ("JPEG2000", "L", {}, 0),
        ("JPEG", "CMYK", {"quality": 97}, 3),
        ("TIFF", "CMYK", {}, 3),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}, 0),
        ("JPEG", "L", {"quality": 97, "progressive": True}, 3),
    ],
)
def test_every_kind_of_file_gives_the_grey_levels(form, mode, options, error):
    data = file(Image.fromarray(GREY).convert(mode), form, **options)
    assert np.abs(read(data, "").astype(int) - GREY).mean() <= error


@pytest.mark.parametrize(
    ("orientation", "stored"), [(3, GREY[::-1, ::-1]), (6, np.rot90(GREY)), (8, np.rot90(GREY, -1))]
)
def test_exif_turns_the_picture(orientation, stored):
    data = file(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif(orientation))
    assert np.array_equal(read(data), GREY)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG2000"])
def test_16_bits_over_their_whole_range_are_grey(form):
    data = file(Image.fromarray(GREY.astype(np.uint16) * 257), form)
    assert np.abs(read(data, "").astype(int) - GREY).max() <= 1


HU = GREY.astype(np.int32) * 8 - 1000


@pytest.mark.parametrize(
    "values",
    [HU + 1024, HU + 32768, HU % 65536, (HU + 1024) * 4, np.where(GREY > 250, 65535, HU + 1024)],
    ids=["12 bits", "offset of 32768", "signed as unsigned", "14 bits", "12 bits and padding"],
)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_stored_values_of_a_scanner_are_no_grey_levels(values, form):
    assert reason(file(Image.fromarray(values.astype(np.uint16)), form), "") == ImageStatus.RAW_VALUES


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int16])
def test_values_without_black_and_white_are_left_out(dtype):
    values = (GREY / np.float32(255) if dtype == np.float32 else HU).astype(dtype)
    image = Image.fromarray(values) if dtype != np.int16 else Image.fromarray(values.astype(np.int32))
    assert reason(file(image, "TIFF"), ".tif") == ImageStatus.RAW_VALUES


@pytest.mark.parametrize(
    "grey",
    [
        np.zeros_like(GREY),
        np.full_like(GREY, 255),
        np.full_like(GREY, 90) + GREY % 7,
        np.where(GREY > 100, 255, 0),
        GREY // 64 * 64,
        np.where(np.arange(GREY.size).reshape(GREY.shape) < GREY.size // 200, GREY, 255),
    ],
    ids=["black", "white", "nearly flat", "a mask", "four levels", "saturated"],
)
def test_a_picture_in_which_nothing_can_be_seen_is_left_out(grey):
    assert reason(file(Image.fromarray(grey.astype(np.uint8)), "PNG")) == ImageStatus.NO_CONTRAST


def test_one_bit_is_no_picture():
    assert reason(file(Image.fromarray(GREY).convert("1"), "PNG")) == ImageStatus.NO_CONTRAST


def test_black_in_16_bits_is_empty_and_not_raw():
    assert reason(file(Image.fromarray(np.zeros(GREY.shape, np.uint16)), "PNG")) == ImageStatus.NO_CONTRAST


@pytest.mark.parametrize("dark", [0.6, 0.95])
def test_a_dark_border_takes_no_picture_away(dark):
    edge = round(96 / (1 - dark) ** 0.5)
    wide = np.zeros((edge, edge), np.uint8)
    wide[:64, :96] = GREY
    assert np.array_equal(read(file(Image.fromarray(wide), "PNG")), wide)


@pytest.mark.parametrize("alpha", [255, 128, 1])
def test_an_alpha_that_is_the_same_everywhere_says_nothing(alpha):
    assert np.array_equal(read(rgba(np.full_like(GREY, alpha))), GREY)


def test_a_wholly_transparent_picture_is_left_out():
    assert reason(rgba(np.zeros_like(GREY))) == ImageStatus.TRANSPARENT


def test_transparent_parts_are_used_where_they_are_black_anyway():
    half = np.repeat(np.array([[0], [255]], np.uint8), 32, axis=0).repeat(96, axis=1)
    black = np.where(half > 0, GREY, 0).astype(np.uint8)
    assert np.array_equal(read(rgba(half, black)), black)
    assert reason(rgba(half)) == ImageStatus.TRANSPARENT
    assert reason(rgba(half, np.where(half > 0, GREY, 255).astype(np.uint8))) == ImageStatus.TRANSPARENT


def test_a_transparent_colour_of_a_palette_is_a_transparent_part():
    image = Image.fromarray(GREY).quantize(64)
    assert np.abs(read(file(image, "PNG")).astype(int) - GREY).mean() <= 3
    indices = np.asarray(image)
    bright = int(np.argmax(np.bincount(indices[np.asarray(image.convert("L")) > 60])))
    assert reason(file(image, "PNG", transparency=bright)) == ImageStatus.TRANSPARENT


@pytest.mark.parametrize(
    ("form", "keep", "status"),
    [
        ("PNG", 0.5, ImageStatus.UNREADABLE),
        ("JPEG", 0.5, ImageStatus.UNREADABLE),
        ("JPEG2000", 0.3, ImageStatus.UNREADABLE),
        ("GIF", 0.5, ImageStatus.UNREADABLE),
        ("WEBP", 0.5, ImageStatus.UNREADABLE),
    ],
)
def test_a_picture_that_is_cut_short_is_unreadable(form, keep, status):
    data = file(Image.fromarray(GREY), form)
    assert reason(data[: int(len(data) * keep)], ".png") == status


def test_a_bomb_of_text_is_too_large():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("x", "a" * 40_000_000, zip=True)
    assert reason(file(Image.fromarray(GREY), "PNG", pnginfo=texts)) == ImageStatus.TOO_LARGE


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "WEBP"])
def test_several_images_in_one_file_are_no_picture(form):
    data = file(Image.fromarray(GREY), form, save_all=True, append_images=[drawn(4, 96, 64)])
    assert reason(data, "") == ImageStatus.SEVERAL_FRAMES


@pytest.mark.parametrize(
    ("data", "suffix", "status"),
    [
        (b"P5 2 2 255\n0000", ".pgm", ImageStatus.OTHER_FORMAT),
        (b"\0\0\0\x1cftypavif", ".avif", ImageStatus.OTHER_FORMAT),
        (b"read me", ".txt", ImageStatus.NOT_AN_IMAGE),
        (b"", ".png", ImageStatus.UNREADABLE),
    ],
)
def test_a_file_that_is_not_read_says_why(data, suffix, status):
    assert reason(data, suffix) == status
