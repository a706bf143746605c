"""The quick way to the attributes of a header gives what pydicom gives, or nothing."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from chestgan_core.dicom.dicom_file import _at_pixels
from chestgan_core.dicom.element_scan import scan
from chestgan_core.dicom.headers import ATTRIBUTES
from tests.dicom.ct_files import ct_slice
from tests.dicom.test_headers import dataset_bytes


def with_sequences(undefined: bool) -> Dataset:
    """A slice with sequences in one another, of undefined or of stated lengths."""
    data, code, reference, item = ct_slice(), Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodeMeaning = "1", "one"
    item.PurposeOfReferenceCodeSequence = Sequence([code])
    item.ReferencedSOPInstanceUID = "1.2.3"
    reference.CodeValue = "2"
    data.ReferencedImageSequence = Sequence([item, item, Dataset()])
    data.ProcedureCodeSequence = Sequence([reference])
    data.add_new(0x00091010, "OB", bytes(300))
    for holder in (data, item):
        for element in holder:
            if element.VR == "SQ":
                element.is_undefined_length = undefined
                for one in element.value:
                    one.is_undefined_length_sequence_item = undefined
    return data


def both(data: bytes, implicit: bool) -> tuple[object, object]:
    """What the scan gives, and what pydicom gives."""
    stream = io.BytesIO(data)
    try:
        header = read_dataset(stream, implicit, True, stop_when=_at_pixels, specific_tags=list(ATTRIBUTES))
        expected: object = {int(tag): element for tag, element in header.items()}, stream.tell()
    except Exception as error:
        expected = type(error)
    found = scan(data, 0, implicit, ATTRIBUTES)
    return None if found is None else ({int(tag): one for tag, one in found[0].items()}, found[1]), expected


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("implicit", [True, False])
def test_an_ordinary_header_is_found_as_pydicom_finds_it(implicit, undefined):
    found, expected = both(dataset_bytes(with_sequences(undefined), implicit, True), implicit)
    assert found is not None
    assert found == expected


@settings(max_examples=400, deadline=None)
@given(st.data(), st.booleans(), st.booleans())
def test_whatever_is_cut_off_or_damaged_is_read_as_pydicom_reads_it_or_left_to_it(data, implicit, undefined):
    raw = bytearray(dataset_bytes(with_sequences(undefined), implicit, True)[:1500])
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=3)):
        raw[at] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    found, expected = both(cut, implicit)
    assert found is None or found == expected
