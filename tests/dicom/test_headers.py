"""What of a header decides whether a slice is used: what pixels need is checked, what they do not, never matters."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import write_dataset

from chestgan_core.dicom.headers import Rejected, SliceHeader
from chestgan_core.dicom.left_out import LeftOut
from tests.dicom.compressed_files import deflated, file_of, header_of, hu_of
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

WORDS = (chest_hu() + 1024).astype(np.uint16)


def written(data: Dataset, keyword: str, kind: str, value: object) -> Dataset:
    """The attribute with another value representation than its own, so that any value can be written."""
    if keyword in data:
        del data[keyword]
    data.add_new(keyword, kind, value)
    return data


def rejected(path: Path) -> tuple[LeftOut, str]:
    header = header_of(path)
    assert isinstance(header, Rejected)
    return header.reason, header.cause


@pytest.mark.parametrize("thickness", ["2,5", "2.5 mm", "Amadeus", "nan", "inf", "1e300", "-1", "0", ""])
def test_a_thickness_that_is_no_number_is_unknown_and_the_slice_is_kept(tmp_path, thickness):
    (tmp_path / "a").write_bytes(as_bytes(written(ct_slice(), "SliceThickness", "LO", thickness)))
    header = header_of(tmp_path / "a")
    assert isinstance(header, SliceHeader)
    assert header.series.thickness_mm == 0
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


@pytest.mark.parametrize(
    "value", ["", "rubbish", "1,5", "1.0\\x", "99999999999999999999", "\x1b[31m", "Ä" * 40]
)
def test_no_value_of_an_attribute_that_pixels_do_not_need_costs_the_slice(tmp_path, value):
    data = ct_slice()
    for keyword in (
        *("KVP", "WindowCenter", "WindowWidth", "InstanceNumber", "AcquisitionNumber", "SeriesNumber"),
        *("PatientAge", "PatientBirthDate", "PatientSex", "AcquisitionTime", "AcquisitionDateTime", "ContentTime"),
        *("SliceLocation", "TriggerTime", "ReconstructionDiameter", "TemporalPositionIdentifier", "StudyDate"),
        *("NominalPercentageOfCardiacPhase", "GantryDetectorTilt", "ConvolutionKernel", "SeriesDescription"),
        *("SmallestImagePixelValue", "LargestImagePixelValue", "Exposure", "SpacingBetweenSlices", "HighBit"),
        *("PixelAspectRatio", "NumberOfFrames", "PixelPaddingValue", "PixelPaddingRangeLimit", "LossyImageCompression"),
    ):  # fmt: skip
        written(data, keyword, "LT", value)
    (tmp_path / "a").write_bytes(as_bytes(data))
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


def test_an_instance_number_with_a_point_and_a_missing_rescale_type_are_no_fault(tmp_path):
    data = written(ct_slice(RescaleType=None), "InstanceNumber", "LO", "1.0")
    (tmp_path / "a").write_bytes(as_bytes(data))
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


NEEDED = [
    ("Rows", "70000", LeftOut.UNREADABLE, "Rows is 70000, not between 1 and 4096"),
    ("Columns", "0", LeftOut.UNREADABLE, "Columns is 0, not between 1 and 4096"),
    ("Rows", "-5", LeftOut.UNREADABLE, "Rows is -5"),
    ("Rows", "1.5", LeftOut.UNREADABLE, "Rows is 1.5"),
    ("Rows", "DOE^JOHN", LeftOut.UNREADABLE, "Rows is not a number"),
    ("BitsAllocated", "60000000000", LeftOut.UNREADABLE, "BitsAllocated is 6e+10, not 8, 16 or 32"),
    ("BitsAllocated", "12", LeftOut.UNREADABLE, "BitsAllocated is 12, not 8, 16 or 32"),
    ("BitsAllocated", "1e308", LeftOut.UNREADABLE, "BitsAllocated is 1e+308"),
    ("BitsStored", "17", LeftOut.UNREADABLE, "BitsStored is 17, not between 6 and 16"),
    ("BitsStored", "0", LeftOut.UNREADABLE, "BitsStored is 0, not between 6 and 16"),
    ("PixelRepresentation", "2", LeftOut.UNREADABLE, "PixelRepresentation is 2, not 0 or 1"),
    ("PixelRepresentation", "x", LeftOut.UNREADABLE, "PixelRepresentation is not a number"),
    ("SamplesPerPixel", "3", LeftOut.NOT_MONOCHROME2, "SamplesPerPixel is 3"),
    ("NumberOfFrames", "40", LeftOut.MULTI_FRAME, "NumberOfFrames is 40"),
    ("RescaleIntercept", "3e9", LeftOut.NO_RESCALE, "RescaleIntercept is 3000000000"),
    ("RescaleIntercept", "-1024,0", LeftOut.NO_RESCALE, "RescaleIntercept is not a number"),
    ("RescaleSlope", "1,0", LeftOut.NO_RESCALE, "RescaleSlope is not a number"),
    ("RescaleSlope", "1e308", LeftOut.NO_RESCALE, "RescaleSlope is 1e+308"),
    ("RescaleSlope", "1e-300", LeftOut.NO_RESCALE, "RescaleSlope is 1e-300"),
    ("PixelSpacing", "1e-8\\1", LeftOut.NO_POSITION, "PixelSpacing is 1e-08 x 1 mm"),
    ("PixelSpacing", "1e-5\\1", LeftOut.NO_POSITION, "PixelSpacing is 1e-05 x 1 mm"),
    ("PixelSpacing", "1e308\\1e308", LeftOut.NO_POSITION, "PixelSpacing is 1e+308 x 1e+308 mm"),
    ("PixelSpacing", "40\\40", LeftOut.NO_POSITION, "PixelSpacing is 40 x 40 mm"),
    ("PixelSpacing", "0.1\\9", LeftOut.NO_POSITION, "PixelSpacing is 0.1 x 9 mm"),
    ("PixelSpacing", "-0.7\\-0.7", LeftOut.NO_POSITION, "PixelSpacing is -0.7 x -0.7 mm"),
    ("PixelSpacing", "0,7\\0,7", LeftOut.NO_POSITION, "PixelSpacing is not a number"),
    ("PixelSpacing", "0.7", LeftOut.NO_POSITION, "PixelSpacing is 0.7 (1 values instead of 2)"),
    ("ImagePositionPatient", "0\\0\\1e300", LeftOut.NO_POSITION, "ImagePositionPatient is 0 x 0 x 1e+300 mm"),
    ("ImagePositionPatient", "0\\0\\nan", LeftOut.NO_POSITION, "ImagePositionPatient is not a number"),
    ("ImagePositionPatient", "0\\0\\99000", LeftOut.NO_POSITION, "ImagePositionPatient is 0 x 0 x 99000 mm"),
    ("ImageOrientationPatient", "2\\0\\0\\0\\0.5\\0", LeftOut.NO_POSITION, "ImageOrientationPatient has no two unit"),
    ("ImageOrientationPatient", "1\\0\\0\\1\\0\\0", LeftOut.NO_POSITION, "ImageOrientationPatient has no two unit"),
    ("ImageOrientationPatient", "1e200\\0\\0\\0\\1e200\\0", LeftOut.NO_POSITION, "ImageOrientationPatient has no"),
]  # fmt: skip


@pytest.mark.parametrize(("keyword", "value", "reason", "cause"), NEEDED)
def test_a_value_that_pixels_need_and_that_cannot_be_is_named(tmp_path, keyword, value, reason, cause):
    kind = "DS" if value.replace(".", "").lstrip("-").isdigit() else "LT"
    if "\\" in value and kind == "LT":
        kind = "LO"
    (tmp_path / "a").write_bytes(as_bytes(written(ct_slice(), keyword, kind, value)))
    found, told = rejected(tmp_path / "a")
    assert found is reason
    assert told.startswith(cause)
    assert "DOE" not in told


@pytest.mark.parametrize(
    "keyword",
    [
        "Rows",
        "Columns",
        "BitsAllocated",
        "PixelRepresentation",
        "RescaleSlope",
        "PixelSpacing",
        "ImagePositionPatient",
    ],
)
def test_an_attribute_that_pixels_need_and_that_is_missing_is_named(tmp_path, keyword):
    (tmp_path / "a").write_bytes(as_bytes(ct_slice(**{keyword: None})))
    assert rejected(tmp_path / "a")[1] == f"{keyword} is missing"


@pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated", "BitsStored", "PixelRepresentation"])
@pytest.mark.parametrize("kind", ["DS", "IS", "UL", "LO", "SS", "FD"])
def test_a_number_may_be_written_with_any_value_representation(tmp_path, keyword, kind):
    number = getattr(ct_slice(), keyword)
    value = str(number) if kind in ("DS", "IS", "LO") else float(number) if kind == "FD" else number
    (tmp_path / "a").write_bytes(as_bytes(written(ct_slice(), keyword, kind, value)))
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


@pytest.mark.parametrize(
    "keyword", ["BitsStored", "HighBit", "SamplesPerPixel", "RescaleType", "SliceThickness"]
)
def test_an_attribute_that_can_be_missing_may_be(tmp_path, keyword):
    (tmp_path / "a").write_bytes(as_bytes(ct_slice(**{keyword: None})))
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


@pytest.mark.parametrize("more", [1, 2, 1024, 4096, 20_000])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big-endian", "deflated"])
def test_bytes_after_the_pixels_are_no_fault(tmp_path, syntax, more):
    data = ct_slice()
    raw = file_of(data, WORDS, syntax)
    data.PixelData = data.PixelData + b"\x7f" * (more + more % 2)
    if syntax == "deflated":
        raw = deflated(as_bytes(data))
    else:
        raw = resaved(data, implicit=syntax == "implicit", little=syntax != "big-endian")
    (tmp_path / "a").write_bytes(raw)
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


def resaved(data: FileDataset, implicit: bool, little: bool) -> bytes:
    again = Dataset()
    again.update(data)
    again.file_meta = data.file_meta
    stream = io.BytesIO()
    again.save_as(stream, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return stream.getvalue()


def dataset_bytes(data: FileDataset, implicit: bool, little: bool) -> bytes:
    """The data set alone, without preamble and file meta information."""
    if not little:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data["PixelData"].VR = "OW"
    again = Dataset()
    again.update(data)
    from pydicom.filebase import DicomBytesIO

    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = implicit, little
    write_dataset(stream, again)
    return stream.getvalue()


ENCODINGS = {"implicit": (True, True), "explicit": (False, True), "big-endian": (False, False)}


@pytest.mark.parametrize("found", ENCODINGS)
@pytest.mark.parametrize(
    "stated", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_a_data_set_is_read_as_it_is_encoded_not_as_its_file_says(tmp_path, recwarn, found, stated):
    data = ct_slice()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    raw = as_bytes(data)
    end = 144 + int.from_bytes(raw[140:144], "little")
    meta = raw[:end].replace(b"1.2.840.10008.1.2.1\0", str(stated).encode().ljust(20, b"\0"))
    (tmp_path / "a").write_bytes(meta + dataset_bytes(data, *ENCODINGS[found]))
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())
    assert not recwarn.list


@pytest.mark.parametrize("group_length", [False, True])
@pytest.mark.parametrize("found", ENCODINGS)
def test_a_data_set_without_preamble_and_meta_information_is_read(tmp_path, found, group_length):
    data = ct_slice(ContentDate="20200101")
    if group_length:
        data.add_new(0x00080000, "UL", 300)
        data.add_new(0x00280000, "UL", 1)  # what it says is not believed
    (tmp_path / "a").write_bytes(dataset_bytes(data, *ENCODINGS[found]))
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


def test_meta_information_without_preamble_is_read(tmp_path):
    (tmp_path / "a").write_bytes(as_bytes(ct_slice())[132:])
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


@pytest.mark.parametrize(
    "content", [b"\x08\0", b"\x08\0\x05\0CS", b"\x08\0" * 300, b"\x02\0\0\0" + b"x" * 400, b"\0\x08" * 200]
)
def test_other_files_that_begin_alike_are_left_out(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert rejected(tmp_path / "a")[0] in (LeftOut.NOT_DICOM, LeftOut.UNREADABLE)


@pytest.mark.parametrize(
    ("keyword", "pixels"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)]
)
def test_floating_point_pixels_are_told(tmp_path, keyword, pixels):
    data = ct_slice(PixelData=None)
    setattr(data, keyword, chest_hu().astype(pixels).tobytes())
    (tmp_path / "a").write_bytes(as_bytes(data))
    assert rejected(tmp_path / "a") == (
        LeftOut.UNREADABLE,
        "its pixels are floating point numbers, which CT Image Storage has not",
    )


def test_pixels_in_fragments_under_an_uncompressed_syntax_are_told(tmp_path):
    raw = as_bytes(ct_slice())
    length = raw.rindex(b"\xe0\x7f\x10\x00") + 8
    (tmp_path / "a").write_bytes(raw[:length] + b"\xff" * 4 + b"\xfe\xff\x00\xe0\0\0\0\0")
    assert "its transfer syntax is not compressed" in rejected(tmp_path / "a")[1]


TEXTS = {
    "utf-7": ("utf-7", b"+3AA- B30f"),
    "unknown": ("ISO 9999", b"B30f \xff\xfe"),
    "latin-1 in ascii": ("", b"B\xe930f"),
    "escapes": ("ISO 2022 IR 100", b"B30f\x1b[31m\x07\x9b"),
    "new lines": ("ISO_IR 192", "B30f\r\n\u2028\u202e\u200b".encode()),
    "not utf-8": ("ISO_IR 192", b"B30f\xed\xa0\x80"),
    "two": ("utf-7\\ISO 2022 IR 87", b"B30f \x1b$B\x7f"),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.filterwarnings("ignore:Found unknown escape")
def test_text_that_enters_rows_can_be_written_everywhere(tmp_path, name):
    charset, text = TEXTS[name]
    data = ct_slice()
    data.ConvolutionKernel = data.SeriesDescription = data.StudyDescription = "K" * 16
    data.Manufacturer = "K" * 16
    data.PatientID = "K" * 16
    raw = as_bytes(data).replace(b"K" * 16, text.ljust(16))
    element = b"\x08\0\x05\0CS" + (len(charset) + len(charset) % 2).to_bytes(2, "little") + charset.encode()
    first = raw.index(b"\x08\0\x08\0CS")  # ImageType, the first element of the data set
    raw = raw[:first] + element + b" " * (len(charset) % 2) + raw[first:]
    (tmp_path / "a").write_bytes(raw)
    header = header_of(tmp_path / "a")
    assert isinstance(header, SliceHeader)
    series = header.series
    for value in (series.kernel, series.manufacturer, series.description, series.study_description):
        assert value.encode()
        assert value.isprintable()
        assert "30f" in value
    assert series.patient_id.encode()
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.dicom.compressed_files import header_of, hu_of
from chestgan_core.dicom.headers import Rejected
from chestgan_core.slices.normalization import normalize
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
for path in map(Path, sys.argv[2:]):
    header = header_of(path)
    print(header.cause if isinstance(header, Rejected) else hu_of(path).shape)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_no_value_of_a_header_takes_more_memory_than_a_slice_may_have(tmp_path):
    paths = []
    for number, (keyword, kind, value) in enumerate(
        [
            ("BitsAllocated", "DS", "60000000000"),
            ("PixelSpacing", "LO", "1e-8\\1"),
            ("PixelSpacing", "LO", "1e-5\\1"),
            ("RescaleIntercept", "LT", "3e9"),
            ("PixelPaddingValue", "DS", "6e10"),
            ("PixelPaddingRangeLimit", "DS", "1e15"),
            ("NumberOfFrames", "LT", "1e300"),
        ]
    ):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(as_bytes(written(ct_slice(), keyword, kind, value)))
    command = [sys.executable, "-c", LIMITED, str(Path(__file__).parents[2]), *map(str, paths)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("(128, 128)") == 3
    assert len(answer.stdout.splitlines()) == len(paths)


LARGEST = """
import resource, sys
from pathlib import Path
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
print(normalize([Path(sys.argv[1])], NormalizationRecipe(), Pseudonyms()).report.kept)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("syntax", ["explicit", "jpeg-2000"])
@pytest.mark.parametrize("spacing", [[0.1, 0.1], [0.1, 0.05], [0.05, 0.1]])
def test_the_largest_slice_is_normalized_in_a_gigabyte(tmp_path, syntax, spacing):
    hu = chest_hu(4096)
    data = ct_slice(hu, PixelSpacing=spacing)
    (tmp_path / "a").write_bytes(file_of(data, (hu + 1024).astype(np.uint16), syntax))
    command = [sys.executable, "-c", LARGEST, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.stdout == "1\n", answer.stderr


@pytest.mark.parametrize(
    "keyword", ["Rows", "RescaleIntercept", "PixelSpacing", "PixelPaddingValue", "BitsStored"]
)
def test_values_of_no_known_type_are_read_as_their_attribute_has_it(tmp_path, keyword):
    hu = chest_hu()
    data = ct_slice(hu)
    data.add_new("PixelPaddingValue", "SS", -2000)
    pixels = (hu.astype(np.int32) + 1024).astype("<i2")
    pixels[0, 0], hu[0, 0] = -2000, -1024
    data.PixelData = pixels.tobytes()
    raw = bytearray(as_bytes(data))
    tag = data[keyword].tag
    at = raw.index(tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little"), 132)
    length = raw[at + 6 : at + 8]
    raw[at + 4 : at + 8] = b"UN\0\0" + length + b"\0\0"
    (tmp_path / "a").write_bytes(bytes(raw))
    assert np.array_equal(hu_of(tmp_path / "a"), hu)


@pytest.mark.parametrize("keyword", ["SeriesDescription", "RescaleIntercept", "ConvolutionKernel"])
def test_values_of_an_odd_length_are_read(tmp_path, keyword):
    data = ct_slice(ConvolutionKernel="B30f", SeriesDescription="chest")
    raw = bytearray(as_bytes(data))
    tag = data[keyword].tag
    at = raw.index(tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little"), 132)
    length = int.from_bytes(raw[at + 6 : at + 8], "little")
    raw[at + 6 : at + 8] = (length + 1).to_bytes(2, "little")
    raw[at + 8 + length : at + 8 + length] = b" "
    (tmp_path / "a").write_bytes(bytes(raw))
    assert np.array_equal(hu_of(tmp_path / "a"), chest_hu())
