"""The encoder of reader studies."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chestgan_core.publishing.reader.png import decode_levels
from chestgan_core.reading.images.blind_png import blind_png


@given(height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 99), smooth=st.booleans())
def test_a_picture_comes_back_as_it_was_and_its_size_depends_on_its_shape_alone(
    height: int, width: int, seed: int, smooth: bool
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    grey = np.zeros_like(noise) if smooth else noise
    png = blind_png(grey)
    assert len(png) == len(blind_png(np.full_like(grey, 200)))
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(png))), grey)


def test_there_is_nothing_but_header_pixels_and_end() -> None:
    png = blind_png(np.zeros((32, 32), np.uint8))
    names, place = [], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        names.append(png[place + 4 : place + 8])
        place += 12 + length
    assert names == [b"IHDR", b"IDAT", b"IEND"]
    assert decode_levels(png, 32, 8, "a test").max() == 0  # whoever reads sets reads it, too


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)])
def test_what_is_not_one_grey_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is"):
        blind_png(wrong)
