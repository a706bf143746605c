"""Several scans in one series, copies, UIDs that collide: nothing is lost silently, and nothing is mixed."""

import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from chestgan_core.dicom.along_body import joined
from chestgan_core.dicom.left_out import Doubt, LeftOut
from chestgan_core.dicom.series import Reading, Series, read_series
from tests.dicom.ct_files import as_bytes, ct_slice

COUNT = 4  # slices of a scan
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def grey(value: int) -> np.ndarray:
    """Pixels that tell which scan a slice belongs to."""
    hu = np.full((8, 8), -1000, np.int16)
    hu[2:6, 2:6] = value
    return hu


def scan(number: int, shift: float = 0.0, positions: range = range(COUNT), **changes: object) -> list[bytes]:
    """The files of one scan: 3 mm apart, its number is in the pixels and in the SOP instance UIDs."""
    return [
        as_bytes(
            ct_slice(
                grey(100 * number + at),
                z=3.0 * at + shift,
                SOPInstanceUID=f"2.25.{number}.{at + 1}",
                **{name: value(at) if callable(value) else value for name, value in changes.items()},
            )
        )
        for at in positions
    ]


def written(folder: Path, files: list[bytes], order: list[int] | None = None) -> Reading:
    """Files under names that follow `order`, and what is read of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, file in zip(order or range(len(files)), files, strict=True):
        (folder / f"{name:03d}").write_bytes(file)
    reading = read_series([folder])
    slices = sum(len(series.slices) for series in reading.series)
    assert reading.files == len(files) == slices + sum(reading.left_out.values())
    return reading


def numbers(series: Series) -> set[str]:
    """The scans that slices of a stack belong to: more than one means that they are mixed."""
    return {header.sop_uid.split(".")[2] for header in series.slices}


def each_scan_is_a_stack(reading: Reading, scans: int, slices: int = COUNT) -> None:
    assert sorted(map(sorted, map(numbers, reading.series))) == [[str(n)] for n in range(1, scans + 1)]
    assert [len(series.slices) for series in reading.series] == [slices] * scans
    assert len({series.stack for series in reading.series}) == scans
    assert all(series.stack for series in reading.series)
    assert [one.reason for one in reading.doubts] == [Doubt.SEVERAL_STACKS]


# What tells two scans at the same positions apart, by the number of the scan (1, 2, ...) and of the slice.
APART = {
    "acquisition": lambda n: {"AcquisitionNumber": n},
    "acquisition of each slice": lambda n: {"AcquisitionNumber": lambda at: 10 * n + at},
    "kernel": lambda n: {"ConvolutionKernel": f"B{n}0f"},
    "thickness": lambda n: {"SliceThickness": n},
    "description": lambda n: {"SeriesDescription": f"Chest {n}"},
    "study": lambda n: {"StudyInstanceUID": f"2.25.7.{n}"},
    "image type": lambda n: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", f"M{n}"]},
    "phase": lambda n: {"NominalPercentageOfCardiacPhase": 10.0 * n},
    "temporal position": lambda n: {"TemporalPositionIdentifier": n},
    "trigger time": lambda n: {"TriggerTime": lambda at: 100 * n + at},
    "frame reference time": lambda n: {"FrameReferenceTime": 1000 * n},
    "diameter": lambda n: {"ReconstructionDiameter": 100 * n},
    "pixel size": lambda n: {"PixelSpacing": [n, n]},
    "voltage": lambda n: {"KVP": 60 + 20 * n},
    "filter": lambda n: {"FilterType": f"F{n}"},
    "contrast": lambda n: {"ContrastBolusAgent": "" if n == 1 else f"agent {n}"},
    "acquisition time": lambda n: {"AcquisitionTime": f"12{n:02d}00.5"},
    "content time": lambda n: {"ContentTime": lambda at: f"12{n:02d}{at:02d}"},
    "instance number": lambda n: {"InstanceNumber": lambda at: 10 * n + at},
    "instance number, scans by turns": lambda n: {"InstanceNumber": lambda at: 10 * at + n},
}


@pytest.mark.parametrize("kind", APART)
@settings(FEW, max_examples=3)
@given(scans=st.integers(2, 3), data=st.data())
def test_scans_at_the_same_positions_are_stacks_of_their_own_whatever_the_files_are_called(
    tmp_path, kind, scans, data
):
    files = [file for n in range(1, scans + 1) for file in scan(n, **APART[kind](n))]
    order = data.draw(st.permutations(range(len(files))))
    reading = written(tmp_path / "in", files, order)
    each_scan_is_a_stack(reading, scans)
    again = written(tmp_path / "in", files)
    assert [series.stack for series in reading.series] == [series.stack for series in again.series]


@pytest.mark.parametrize("kind", ["acquisition", "kernel", "thickness", "description", "phase", "diameter"])
def test_scans_half_a_step_apart_are_not_interleaved(tmp_path, kind):
    files = [file for n in (1, 2) for file in scan(n, shift=1.5 * n, **APART[kind](n))]
    each_scan_is_a_stack(written(tmp_path / "in", files), 2)


def test_scans_half_a_step_apart_that_are_numbered_one_after_the_other_are_not_interleaved(tmp_path):
    files = [
        file for n in (1, 2) for file in scan(n, shift=1.5 * n, InstanceNumber=lambda at, n=n: 10 * n - at)
    ]
    each_scan_is_a_stack(written(tmp_path / "in", files), 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"InstanceNumber": lambda at: 8 - at},
        {"InstanceNumber": lambda at: (at + 4) % 8},  # the upper half first
        {"AcquisitionNumber": lambda at: at // 2},  # step and shoot: the table moves after each two slices
        {"AcquisitionNumber": lambda at: at},
        {"TriggerTime": lambda at: 300 + at % 2},
        {"ContentTime": lambda at: f"12000{(7 * at) % 8}"},
        {"InstanceNumber": lambda at: (5 * at) % 8},
        {"ConvolutionKernel": lambda at: "B30f" if at != 3 else ""},
        {"SliceThickness": lambda at: 3 if at else None},
        {"KVP": lambda at: 100 + at % 3},
    ],
)
def test_a_plain_scan_whose_headers_vary_stays_one_stack(tmp_path, changes):
    reading = written(tmp_path / "in", scan(1, positions=range(8), **changes))
    assert [(len(series.slices), series.stack) for series in reading.series] == [(8, "")]
    assert reading.doubts == ()


def test_each_stack_has_the_kernel_thickness_and_description_of_its_own_files(tmp_path):
    one = {"ConvolutionKernel": "B30f", "SliceThickness": 5, "SeriesDescription": "soft"}
    other = {"ConvolutionKernel": "B70f", "SliceThickness": 1, "SeriesDescription": "lung"}
    reading = written(tmp_path / "in", [*scan(1, **one), *scan(2, shift=0.5, **other)])
    found = {(s.kernel, s.thickness_mm, s.description): numbers(s) for s in reading.series}
    assert found == {("B30f", 5.0, "soft"): {"1"}, ("B70f", 1.0, "lung"): {"2"}}


def test_scans_that_nothing_tells_apart_are_left_out_with_a_reason_and_never_mixed(tmp_path):
    reading = written(tmp_path / "in", [*scan(1), *scan(2)])
    assert reading.left_out == {LeftOut.OVERLAPPING: 2 * COUNT}
    assert reading.series == ()
    ((reason, files),) = [(one.reason, one.files) for one in reading.causes]
    assert (reason, files) == (LeftOut.OVERLAPPING, 2 * COUNT)


def test_one_ambiguous_position_does_not_cost_the_rest(tmp_path):
    reading = written(tmp_path / "in", [*scan(1), *scan(2, positions=range(1))])
    assert reading.left_out == {LeftOut.OVERLAPPING: 2}
    assert [len(series.slices) for series in reading.series] == [COUNT - 1]


@FEW
@given(order=st.permutations(range(COUNT)))
def test_where_all_positions_are_one_the_slice_location_orders_the_slices(tmp_path, order):
    lost = {"ImagePositionPatient": [0, 0, 0], "SliceLocation": lambda at: 3 * at - 50}
    reading = written(tmp_path / "in", scan(1, **lost), order)
    (series,) = reading.series
    assert [header.position_mm for header in series.slices] == [-50.0, -47.0, -44.0, -41.0]
    assert [header.sop_uid for header in series.slices] == [f"2.25.1.{at}" for at in range(1, COUNT + 1)]
    assert [one.reason for one in reading.doubts] == [Doubt.SLICE_LOCATION]


def test_two_scans_without_positions_are_told_apart_by_acquisition_and_ordered_by_slice_location(tmp_path):
    lost = {"ImagePositionPatient": [0, 0, 0], "SliceLocation": lambda at: 3 * at}
    files = [*scan(1, AcquisitionNumber=1, **lost), *scan(2, AcquisitionNumber=2, **lost)]
    reading = written(tmp_path / "in", files)
    assert [numbers(series) for series in reading.series] == [{"1"}, {"2"}]
    assert [header.position_mm for header in reading.series[0].slices] == [0.0, 3.0, 6.0, 9.0]


@pytest.mark.parametrize("location", [{}, {"SliceLocation": 5}])
def test_slices_of_one_position_without_anything_to_order_them_are_left_out_loudly(tmp_path, location):
    reading = written(tmp_path / "in", scan(1, ImagePositionPatient=[0, 0, 0], **location))
    assert reading.left_out == {LeftOut.ONE_POSITION: COUNT}
    assert "one position" in reading.causes[0].cause


def test_images_at_one_position_over_time_are_kept_as_stacks_of_one(tmp_path):
    bolus = {
        "ImagePositionPatient": [0, 0, 0],
        "SliceLocation": 5,
        "AcquisitionTime": lambda at: f"12000{at}",
    }
    reading = written(tmp_path / "in", scan(1, **bolus))
    assert [len(series.slices) for series in reading.series] == [1] * COUNT


@FEW
@given(order=st.permutations(range(2 * COUNT)))
def test_a_delivery_that_comes_twice_is_used_once(tmp_path, order):
    reading = written(tmp_path / "in", scan(1) * 2, order)
    assert reading.left_out == {LeftOut.DUPLICATE: COUNT}
    assert [len(series.slices) for series in reading.series] == [COUNT]
    assert reading.doubts == ()


def renamed(data: Dataset, **changes: object) -> bytes:
    """The same image under other attributes."""
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    return as_bytes(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"SOPInstanceUID": "2.25.99"},
        {"SOPInstanceUID": "2.25.99", "InstanceNumber": 7},
        {"SOPInstanceUID": "2.25.99", "AcquisitionNumber": 7},
        {"SOPInstanceUID": "2.25.99", "SeriesDescription": "sent again"},
        {"ConvolutionKernel": "B30f"},
        {"SeriesInstanceUID": "2.25.500"},
        {"StudyInstanceUID": "2.25.501"},
        {"PatientID": " PH-A0001 "},
    ],
)
def test_the_same_pixels_at_the_same_place_of_the_same_patient_are_a_duplicate(tmp_path, changes):
    files = [as_bytes(ct_slice(grey(1), z=4)), renamed(ct_slice(grey(1), z=4), **changes)]
    for order in ([0, 1], [1, 0]):
        reading = written(tmp_path / "in", files, order)
        assert reading.left_out == {LeftOut.DUPLICATE: 1}
        assert [len(series.slices) for series in reading.series] == [1]


def test_a_compressed_copy_is_a_duplicate_and_another_scale_with_the_same_values_too(tmp_path):
    plain = ct_slice(grey(1), z=4)
    packed = ct_slice(grey(1), z=4)
    packed.compress(RLELossless, encoding_plugin="pydicom")
    stream = io.BytesIO()
    packed.save_as(stream, enforce_file_format=True)
    shifted = ct_slice(grey(1), z=4, RescaleIntercept=0, PixelData=grey(1).astype("<i2").tobytes())
    reading = written(tmp_path / "in", [as_bytes(plain), stream.getvalue(), as_bytes(shifted)])
    assert reading.left_out == {LeftOut.DUPLICATE: 2}


def test_a_damaged_copy_never_hides_the_good_one(tmp_path):
    damaged = ct_slice(grey(1), z=4)
    damaged.file_meta.TransferSyntaxUID = RLELossless
    damaged.PixelData = encapsulate([b"\0" * 80])
    damaged["PixelData"].is_undefined_length = True
    stream = io.BytesIO()
    damaged.save_as(stream, enforce_file_format=True)
    files = [stream.getvalue(), as_bytes(ct_slice(grey(1), z=4))]
    for order in ([0, 1], [1, 0]):
        reading = written(tmp_path / "in", files, order)
        assert reading.left_out == {LeftOut.UNREADABLE: 1}
        assert [len(series.slices) for series in reading.series] == [1]


@FEW
@given(order=st.permutations(range(COUNT)))
def test_one_uid_for_all_slices_loses_none_and_is_warned_about(tmp_path, order):
    files = [as_bytes(ct_slice(grey(at), z=3.0 * at, SOPInstanceUID="2.25.1")) for at in range(COUNT)]
    reading = written(tmp_path / "in", files, order)
    (series,) = reading.series
    assert len(series.slices) == len({header.content for header in series.slices}) == COUNT
    assert [(one.reason, one.files) for one in reading.doubts] == [(Doubt.UID_COLLISION, COUNT)]
    assert [header.content for header in series.slices] == [
        header.content for header in written(tmp_path / "in", files).series[0].slices
    ]


def without_uids(data: Dataset) -> bytes:
    """Neither the data set nor its meta information names the instance or its class."""
    for part, keyword in (
        (data, "SOPInstanceUID"),
        (data, "SOPClassUID"),
        (data.file_meta, "MediaStorageSOPInstanceUID"),
        (data.file_meta, "MediaStorageSOPClassUID"),
    ):
        delattr(part, keyword)
    stream = io.BytesIO()
    data.save_as(stream)
    return stream.getvalue()


def test_slices_without_a_uid_are_named_by_their_content(tmp_path):
    files = [without_uids(ct_slice(grey(at), z=3.0 * at)) for at in range(COUNT)]
    reading = written(tmp_path / "in", [*files, files[0]])
    assert reading.left_out == {LeftOut.DUPLICATE: 1}
    assert [(one.reason, one.files) for one in reading.doubts] == [(Doubt.NO_UID, COUNT)]
    (series,) = reading.series
    assert len({header.content for header in series.slices}) == COUNT


def test_an_image_that_says_neither_modality_nor_class_is_left_out_with_that_cause(tmp_path):
    reading = written(tmp_path / "in", [without_uids(ct_slice(grey(1), Modality=None))])
    assert reading.left_out == {LeftOut.NOT_CT: 1}
    assert reading.causes[0].cause == "its modality and its SOP class are missing"


def test_a_thousand_images_with_acquisitions_of_their_own_at_one_position_take_no_time(tmp_path):
    reading = written(tmp_path / "in", scan(1, positions=range(1)))
    (header,) = reading.series[0].slices
    assert len(joined([[header]] * 3000)) == 3000


def test_uids_of_another_patient_lose_nobody(tmp_path):
    files = [
        *[as_bytes(ct_slice(grey(at), z=at)) for at in range(COUNT)],
        *[as_bytes(ct_slice(grey(50 + at), z=at, PatientID="PH-B0002")) for at in range(COUNT)],
    ]
    reading = written(tmp_path / "in", files)
    assert [(s.patient_id, len(s.slices)) for s in reading.series] == [("PH-A0001", 4), ("PH-B0002", 4)]
    assert [(one.reason, one.files) for one in reading.doubts] == [(Doubt.UID_OF_SEVERAL_PATIENTS, 2 * COUNT)]


def test_the_same_image_under_two_patients_is_kept_for_both_and_warned_about(tmp_path):
    files = [as_bytes(ct_slice(grey(1), PatientID=patient)) for patient in ("PH-A0001", "PH-B0002")]
    reading = written(tmp_path / "in", files)
    assert reading.left_out == {}
    assert [one.reason for one in reading.doubts] == [Doubt.UID_OF_SEVERAL_PATIENTS]


def test_of_ambiguous_slices_in_a_zip_and_a_folder_the_content_decides_too(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(as_bytes(ct_slice(grey(1), z=0)))
    with zipfile.ZipFile(tmp_path / "in" / "b.zip", "w") as archive:
        archive.writestr("copy", as_bytes(ct_slice(grey(1), z=0)))
        archive.writestr("other", as_bytes(ct_slice(grey(2), z=0, AcquisitionNumber=2)))
    reading = read_series([tmp_path / "in"])
    assert reading.left_out == {LeftOut.DUPLICATE: 1}
    assert sum(len(series.slices) for series in reading.series) == 2
    assert Counter(one.reason for one in reading.doubts)[Doubt.UID_COLLISION] == 1


VARYING = (
    "AcquisitionNumber",
    "ConvolutionKernel",
    "SliceThickness",
    "InstanceNumber",
    "AcquisitionTime",
    "KVP",
)


@st.composite
def deliveries(draw: st.DrawFn) -> list[bytes]:
    """Scans of one series with any overlap, headers that tell them apart or not, copies and colliding UIDs."""
    kept = draw(st.sets(st.sampled_from(VARYING)))
    files = []
    for number in range(draw(st.integers(1, 3))):
        low, step = draw(st.sampled_from([0.0, 0.5, 9.0])), draw(st.sampled_from([1.0, 1.5]))
        for at in range(draw(st.integers(1, 4))):
            header = {
                "AcquisitionNumber": number,
                "ConvolutionKernel": f"B{number}0",
                "SliceThickness": number + 1,
                "InstanceNumber": draw(st.integers(1, 12)),
                "AcquisitionTime": f"1200{number}{at}",
                "KVP": 80 + number,
            }
            uid = draw(st.sampled_from([f"2.25.{number}.{at}", "2.25.77"]))
            chosen = {name: header[name] for name in sorted(kept)}
            data = ct_slice(grey(100 * number + at), z=low + step * at, SOPInstanceUID=uid, **chosen)
            files += [as_bytes(data)] * draw(st.sampled_from([1, 1, 1, 2]))
    return files


@settings(FEW, max_examples=20)
@given(files=deliveries(), data=st.data())
def test_whatever_a_series_holds_nothing_is_lost_and_names_decide_nothing(tmp_path, files, data):
    order = data.draw(st.permutations(range(len(files))))
    first, again = (written(tmp_path / "in", files, names) for names in (None, order))
    for reading in (first, again):
        for series in reading.series:
            positions = [header.position_mm for header in series.slices]
            assert positions == sorted(set(positions))
    shown = [
        (
            [
                (s.stack, s.kernel, s.thickness_mm, [(h.sop_uid, h.content) for h in s.slices])
                for s in r.series
            ],
            r.left_out,
            [(one.reason, one.files) for one in r.doubts],
        )
        for r in (first, again)
    ]
    assert shown[0] == shown[1]
