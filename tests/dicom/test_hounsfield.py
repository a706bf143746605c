"""Stored values to Hounsfield units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from chestgan_core.dicom import hounsfield
from chestgan_core.dicom.hounsfield import NotHounsfield, Rescale, to_hounsfield
from chestgan_core.dicom.pixel_layout import PixelElement, layout_of
from tests.dicom.ct_files import ct_slice


def rescale_of(header: Dataset) -> Rescale:
    pixels = PixelElement(0x7FE00010, 1000, len(header.PixelData), True)
    return hounsfield.rescale_of(header, layout_of(header, ExplicitVRLittleEndian, pixels, 10**6))


@given(
    arrays(np.int16, (4, 5), elements=st.integers(-1024, 3071)),
    st.sampled_from([0, -1024, -1000, -8192]),
    st.sampled_from([np.int16, np.uint16]),
)
def test_stored_values_come_back_as_the_units_they_were_made_from(hu, intercept, dtype):
    stored = hu.astype(np.int32) - intercept
    stored = np.clip(stored, np.iinfo(dtype).min, np.iinfo(dtype).max)
    expected = (stored + intercept).astype(np.int16)
    assert np.array_equal(to_hounsfield(stored.astype(dtype), Rescale(1, intercept)), expected)


@given(
    st.sampled_from([np.int16, np.uint16, np.uint8, np.int8]),
    st.integers(-70000, 70000),
    st.sampled_from([1.0, 0.5, 2.0002442, 32.1216, -1.0]),
    st.data(),
)
def test_no_stored_value_overflows(dtype, intercept, slope, data):
    limits = np.iinfo(dtype)
    stored = data.draw(arrays(dtype, 6, elements=st.integers(int(limits.min), int(limits.max))))
    exact = np.clip(np.rint(stored.astype(np.float64) * slope + intercept), -1024, 3071)
    assert np.array_equal(to_hounsfield(stored, Rescale(slope, intercept)), exact)


def test_intercept_zero_is_legal():
    rescale = rescale_of(ct_slice(RescaleIntercept=0))
    assert to_hounsfield(np.array([-2048, -1000, 40], np.int16), rescale).tolist() == [-1024, -1000, 40]


@pytest.mark.parametrize("written", [-2000, 63536])
def test_padding_is_air_whichever_sign_it_was_written_with(written):
    signed = ct_slice()
    signed.add_new("PixelPaddingValue", "SS" if written < 0 else "US", written)
    assert to_hounsfield(np.array([-2000, 1064], np.int16), rescale_of(signed)).tolist() == [-1024, 40]
    signed.PixelRepresentation = 0
    assert to_hounsfield(np.array([63536, 1064], np.uint16), rescale_of(signed)).tolist() == [-1024, 40]


def test_a_padding_range_is_air():
    header = ct_slice(PixelRepresentation=0)
    header.add_new("PixelPaddingValue", "US", 60000)
    header.add_new("PixelPaddingRangeLimit", "US", 65535)
    stored = np.array([59999, 60000, 62000, 65535, 1024], np.uint16)
    assert to_hounsfield(stored, rescale_of(header)).tolist() == [3071, -1024, -1024, -1024, 0]


def test_a_padding_value_that_tissue_has_is_not_believed():
    header = ct_slice(RescaleIntercept=0)
    header.add_new("PixelPaddingValue", "SS", 0)
    rescale = rescale_of(header)
    assert to_hounsfield(np.array([0, 40], np.int16), rescale).tolist() == [0, 40]
    assert rescale.corner_padding == 0  # stored_pixels makes it air where it is connected to a corner


@pytest.mark.parametrize(
    "changes",
    [
        {"RescaleSlope": None},
        {"RescaleIntercept": None},
        {"RescaleSlope": 0},
        {"RescaleSlope": 1e-8},
        {"RescaleSlope": 1e6},
        {"RescaleIntercept": 3e9},
        {"RescaleIntercept": -3e9},
        {"RescaleIntercept": 40000},
        {"RescaleIntercept": -40000},
        {"RescaleType": "US"},
        {"RescaleType": "Z_EFF"},
    ],
)
def test_what_is_not_hounsfield_is_refused(changes):
    with pytest.raises(NotHounsfield):
        rescale_of(ct_slice(**changes))


@pytest.mark.parametrize("kind", ["HU", "", "Houndsfield Unit"])
def test_the_spellings_of_hounsfield_in_real_files_are_accepted(kind):
    assert rescale_of(ct_slice(RescaleType=kind)).intercept == -1024


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize(
    ("written", "problem"), [("-1024,0", "is not a number"), ("one", "is not a number"), ("", "is empty")]
)
def test_a_slope_or_intercept_that_is_no_number_is_named_and_never_guessed(keyword, written, problem):
    header = ct_slice()
    del header[keyword]
    header.add_new(keyword, "LO", written)
    with pytest.raises(NotHounsfield, match=f"{keyword} {problem}"):
        rescale_of(header)


def test_the_value_that_is_out_of_range_is_named():
    with pytest.raises(NotHounsfield, match="RescaleIntercept is 3000000000"):
        rescale_of(ct_slice(RescaleIntercept=3e9))


def test_32_bits_do_not_overflow():
    stored = np.array([0, 1024, 4095, 2**32 - 1], np.uint32)
    assert to_hounsfield(stored, Rescale(1, -1024)).tolist() == [-1024, 0, 3071, 3071]
    signed = np.array([-(2**31), -1000, 40, 2**31 - 1], np.int32)
    assert to_hounsfield(signed, Rescale(1, 0)).tolist() == [-1024, -1000, 40, 3071]
    assert to_hounsfield(signed, Rescale(1, 3e9)).tolist() == [3071] * 4
