"""The same slice gives the same Hounsfield units whatever the transfer syntax, the sign, the bits and the padding."""

import itertools

import numpy as np
import pytest

from tests.dicom.compressed_files import EVERY_SYNTAX, LOSSLESS, NATIVE, compress, file_of, frame, hu_of
from tests.dicom.ct_files import as_bytes, ct_slice

CORNERS = ([0, 0, -1, -1], [0, -1, 0, -1])
AIR = -1024
NATIVE_WORDS = ("rle", *NATIVE)  # these hold whole containers, whatever BitsStored says


def slice_hu(low: int, high: int) -> np.ndarray:
    """Every part of the range in HU, with its ends. Smooth: an encoder of GDCM writes beyond its buffer on noise."""
    return np.linspace(low, high, 48 * 40).round().astype(np.int64).reshape(48, 40)


def range_of(bits: int, signed: bool, intercept: int) -> tuple[int, int]:
    """The HU that so many bits can hold, within those of CT."""
    low = -(1 << (bits - 1)) if signed else 0
    return max(low + intercept, -1000), min(low + (1 << bits) - 1 + intercept, 3000)


# name: PixelPaddingValue and its VR, PixelPaddingRangeLimit, the stored value in the corners.
PADDINGS = {
    "none": (None, "SS", None, None),
    "negative, written signed": (-2000, "SS", None, -2000),
    "negative, written unsigned": (63536, "US", None, -2000),
    "a range": (-32768, "SS", -2000, -3000),
    "a range, written unsigned": (63536, "US", 65535, -5),
}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stored", [12, 16])
@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_every_transfer_syntax_gives_the_same_units(tmp_path, syntax, stored, signed):
    for (name, padding), intercept in itertools.product(PADDINGS.items(), (-1024, 0, -8192)):
        written, kind, limit, corner = padding
        low, high = range_of(stored, signed, intercept)
        if low > high or (corner == -5 and intercept == 0):  # of this range -5 is tissue then
            continue
        hu = slice_hu(low, high)
        words = (hu - intercept).astype(np.int64)
        if corner is not None:
            hu[CORNERS], words[CORNERS] = AIR, corner
        # A value that BitsStored cannot hold (-2000 in unsigned 12 bits) needs a codestream of whole containers.
        holds = signed and (corner is None or corner >= -(1 << (stored - 1)))
        precision = stored if holds or (corner is None and not signed) else 16
        words &= (1 << precision) - 1 if precision < 16 and syntax not in NATIVE_WORDS else 0xFFFF
        data = ct_slice(
            hu,
            BitsStored=stored,
            HighBit=stored - 1,
            PixelRepresentation=int(signed),
            RescaleIntercept=intercept,
        )
        if written is not None:
            data.add_new("PixelPaddingValue", kind, written)
        if limit is not None:
            data.add_new("PixelPaddingRangeLimit", kind, limit)
        path = tmp_path / "slice"
        path.write_bytes(file_of(data, words.astype(np.uint16), syntax, precision))
        assert np.array_equal(hu_of(path), hu), (name, intercept, precision)


@pytest.mark.parametrize("syntax", [*LOSSLESS, "explicit"])
@pytest.mark.parametrize("dtype", ["int16", "uint16"])
def test_padding_that_tissue_has_is_air_in_the_corners_and_stays_inside(tmp_path, syntax, dtype):
    hu = slice_hu(0 if dtype == "uint16" else -1000, 900)
    hu[20:24, 20:24] = 0
    hu[:4, :4] = hu[-3:, :5] = hu[-1:, :] = 0
    data = ct_slice(hu, RescaleIntercept=0, PixelRepresentation=int(dtype == "int16"))
    data.add_new("PixelPaddingValue", "US", 0)
    expected = hu.copy()
    expected[:4, :4] = expected[-3:, :5] = expected[-1:, :] = AIR
    (tmp_path / "slice").write_bytes(file_of(data, hu.astype(np.uint16), syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), expected)


def test_a_range_of_padding_that_holds_tissue_does_not_make_the_body_air(tmp_path):
    hu = slice_hu(-1000, 1000)
    data = ct_slice(hu, PixelRepresentation=0)
    data.add_new("PixelPaddingValue", "US", 0)
    data.add_new("PixelPaddingRangeLimit", "US", 65535)
    (tmp_path / "slice").write_bytes(file_of(data, (hu + 1024).astype(np.uint16), "explicit"))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("intercept", [0, -1024])
@pytest.mark.parametrize("precision", [13, 16])
@pytest.mark.parametrize("header_signed", [False, True])
def test_a_jpeg_2000_stream_with_another_sign_than_its_header_gives_the_true_units(
    tmp_path, header_signed, precision, intercept
):
    hu = slice_hu(-1000, 3000)
    words = (hu - intercept) & ((1 << precision) - 1)
    data = ct_slice(
        hu,
        BitsStored=precision,
        HighBit=precision - 1,
        PixelRepresentation=int(header_signed),
        RescaleIntercept=intercept,
    )
    stream = frame(words.astype(np.uint16), "jpeg-2000", precision, signed=not header_signed)
    (tmp_path / "slice").write_bytes(as_bytes(compress(data, "jpeg-2000", stream)))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-2000", "jpeg-lossless-sv1"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stored", "precision"), [(16, 12), (16, 13), (12, 16), (12, 13), (13, 12)])
def test_a_stream_with_another_precision_than_its_header_gives_the_true_units(
    tmp_path, stored, precision, signed, syntax
):
    bits = min(stored, precision)
    intercept = -1024
    low, high = range_of(bits, signed, intercept)
    hu = slice_hu(low, high)
    words = ((hu - intercept) & ((1 << precision) - 1)).astype(np.uint16)
    data = ct_slice(hu, BitsStored=stored, HighBit=stored - 1, PixelRepresentation=int(signed))
    stream = frame(words, syntax, precision, signed and syntax == "jpeg-2000")
    (tmp_path / "slice").write_bytes(as_bytes(compress(data, syntax, stream)))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-2000", "jpeg-lossless-sv1"])
def test_a_stream_whose_values_need_more_bits_than_the_header_says_keeps_them(tmp_path, syntax):
    hu = slice_hu(-1000, 3000)  # from 24 to 4024: more than signed 12 bits hold
    data = ct_slice(hu, BitsStored=12, HighBit=11, PixelRepresentation=1)
    stream = frame((hu + 1024).astype(np.uint16), syntax, 13, syntax == "jpeg-2000")
    (tmp_path / "slice").write_bytes(as_bytes(compress(data, syntax, stream)))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", ["explicit", "rle"])
@pytest.mark.parametrize("signed", [False, True])
def test_values_in_the_upper_bits_are_found_there(tmp_path, syntax, signed):
    hu = slice_hu(-1000, 1000)
    words = ((hu + 1024) << 4).astype(np.uint16)
    data = ct_slice(hu, BitsStored=12, HighBit=15, PixelRepresentation=int(signed))
    (tmp_path / "slice").write_bytes(file_of(data, words, syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("high", [15, 13, 0, 4000, None])
@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_a_wrong_high_bit_changes_nothing(tmp_path, syntax, high):
    hu = slice_hu(-1000, 3000)
    data = ct_slice(hu, BitsStored=12, HighBit=high, PixelRepresentation=0)
    (tmp_path / "slice").write_bytes(file_of(data, (hu + 1024).astype(np.uint16), syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big-endian", "deflated", "rle"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("slope", [1, 0.5])
def test_32_bits_give_the_same_units(tmp_path, syntax, signed, slope):
    hu = slice_hu(-1000, 3000)
    words = (np.rint((hu + 1024) / slope).astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)
    data = ct_slice(
        hu,
        BitsAllocated=32,
        BitsStored=32,
        HighBit=31,
        PixelRepresentation=int(signed),
        RescaleSlope=slope,
    )
    (tmp_path / "slice").write_bytes(file_of(data, words, syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_8_bits_give_the_same_units(tmp_path, syntax):
    hu = np.linspace(-1000, 3000, 48 * 40).round().astype(int).reshape(48, 40) // 16 * 16
    words = ((hu + 1024) // 16).astype(np.uint8)
    data = ct_slice(hu, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, RescaleSlope=16)
    (tmp_path / "slice").write_bytes(file_of(data, words, syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_a_negative_slope_is_not_mistaken(tmp_path, syntax):
    hu = slice_hu(-1000, 3000)
    data = ct_slice(hu, PixelRepresentation=0, RescaleSlope=-1, RescaleIntercept=3071)
    data.add_new("PixelPaddingValue", "US", 65535)
    words = (3071 - hu).astype(np.uint16)
    words[CORNERS], hu[CORNERS] = 65535, AIR
    (tmp_path / "slice").write_bytes(file_of(data, words, syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
@pytest.mark.parametrize("intercept", [0, -1024])
def test_negative_values_in_pixels_that_are_said_to_be_unsigned_stay_negative(tmp_path, syntax, intercept):
    hu = slice_hu(-1000, 3000)
    words = ((hu - intercept) & 0xFFFF).astype(np.uint16)
    hu[CORNERS], words[CORNERS] = AIR, 65536 - 2000  # padding that no attribute declares
    data = ct_slice(hu, PixelRepresentation=0, RescaleIntercept=intercept)
    stream = file_of(data, words, syntax)
    (tmp_path / "slice").write_bytes(stream)
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_unsigned_values_above_the_scale_of_ct_are_metal(tmp_path, syntax):
    hu = slice_hu(-1000, 3000)
    words = (hu + 1024).astype(np.uint16)
    words[20:22, 20:22] = 30000
    hu[20:22, 20:22] = 3071
    (tmp_path / "slice").write_bytes(file_of(ct_slice(hu, PixelRepresentation=0), words, syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_padding_that_an_encoder_cut_to_the_stored_bits_is_air(tmp_path, syntax):
    hu = slice_hu(-1000, 3000)
    words = (hu + 1024).astype(np.uint16)
    words[CORNERS], hu[CORNERS] = (65536 - 2000) & 0xFFF, AIR
    data = ct_slice(hu, PixelRepresentation=0, BitsStored=12, HighBit=11)
    data.add_new("PixelPaddingValue", "US", 65536 - 2000)
    (tmp_path / "slice").write_bytes(file_of(data, words, syntax))
    assert np.array_equal(hu_of(tmp_path / "slice"), hu)
