import hashlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage

from chestgan_core.errors import BadInput
from chestgan_core.sources.phantom.patients import (
    PhantomPatient,
    histology_of,
    phantom_id,
    write_phantom,
    write_phantoms,
)

SIZE, SLICES, SEED = 128, 24, 3


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> list[PhantomPatient]:
    return write_phantoms(tmp_path_factory.mktemp("ph"), patients=6, seed=SEED, size=SIZE, slices=SLICES)


def headers(patient: PhantomPatient) -> list[pydicom.Dataset]:
    """All slices of a patient, from head to feet."""
    return [pydicom.dcmread(path, force=False) for path in patient.files]


def hounsfield(header: pydicom.Dataset) -> np.ndarray:
    hu = header.pixel_array.astype(np.int32) + int(header.RescaleIntercept)
    hu[header.pixel_array == header.get("PixelPaddingValue", 99999)] = -1024
    return hu


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def air_inside(hu: np.ndarray) -> float:
    """Fraction of the pixels with lung density between the first and the last soft-tissue pixel of their row."""
    tissue = hu > -300
    inside = np.maximum.accumulate(tissue, 1) & np.maximum.accumulate(tissue[:, ::-1], 1)[:, ::-1]
    inside &= np.maximum.accumulate(tissue, 0) & np.maximum.accumulate(tissue[::-1], 0)[::-1]
    return float((inside & (hu < -600) & (hu > -950)).sum() / hu.size)


def test_the_same_arguments_write_the_same_bytes_and_a_rerun_leaves_nothing_else(tmp_path: Path) -> None:
    for name in ("one", "two", "two"):
        write_phantoms(tmp_path / name, patients=2, seed=9, size=48, slices=6)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert len(digests(tmp_path / "one")) == 2 * 6 + 1


def test_a_patient_does_not_depend_on_how_many_are_written(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "all", patients=3, seed=9, size=48, slices=6)
    alone = write_phantom(tmp_path / "alone", 3, seed=9, size=48, slices=6)
    assert digests(alone.folder) == digests(tmp_path / "all" / alone.patient_id)


def test_another_seed_gives_other_pixels_and_other_uids(tmp_path: Path) -> None:
    uids, pixels = set(), set()
    for seed in (0, 1):
        first = headers(write_phantom(tmp_path / str(seed), 1, seed=seed, size=48, slices=6))
        uids |= {h.SOPInstanceUID for h in first} | {first[0].SeriesInstanceUID}
        pixels |= {h.PixelData for h in first}
    assert len(uids) == 2 * 7
    assert len(pixels) == 2 * 6


def test_another_size_never_reuses_a_uid(tmp_path: Path) -> None:
    small = headers(write_phantom(tmp_path / "small", 1, size=48, slices=6))
    large = headers(write_phantom(tmp_path / "large", 1, size=64, slices=6))
    assert not {h.SOPInstanceUID for h in small} & {h.SOPInstanceUID for h in large}


def test_a_rerun_with_another_seed_replaces_a_patient_whose_letter_changes(tmp_path: Path) -> None:
    number = next(n for n in range(7, 100) if histology_of(n, 0) != histology_of(n, 1))
    for seed in (0, 1):
        write_phantom(tmp_path, number, seed=seed, size=32, slices=4)
    assert [path.name for path in tmp_path.iterdir()] == [phantom_id(number, 1)]


def test_every_slice_is_a_complete_ct_image(patients: list[PhantomPatient]) -> None:
    for patient in patients:
        for header in headers(patient):
            assert header.file_meta.MediaStorageSOPClassUID == header.SOPClassUID == CTImageStorage
            assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
            assert header.Modality == "CT"
            assert header.PhotometricInterpretation == "MONOCHROME2"
            assert list(header.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
            assert list(header.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
            assert header.PatientIdentityRemoved == "YES"
            assert header.BurnedInAnnotation == "NO"
            assert header.RescaleType == "HU"
            assert header.PatientID == str(header.PatientName) == patient.patient_id
            assert header.pixel_array.shape == (SIZE, SIZE)
            for keyword in ("FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                assert header[keyword].value.startswith("2.25.")
                assert header[keyword].value.is_valid
            assert {"KVP", "SliceThickness", "DeidentificationMethod", "StudyDate"} <= set(header.dir())


def test_no_text_in_a_file_claims_to_be_ct_of_a_person(patients: list[PhantomPatient]) -> None:
    header = headers(patients[0])[0]
    assert "generated" in header.Manufacturer
    assert "generated" in header.ImageComments
    assert "phantom" in header.SeriesDescription
    for element in header:
        if element.VR in ("LO", "LT", "SH", "ST", "PN"):
            assert "CT data" not in str(element.value).replace("not CT data of a person", "")


def test_the_positions_fall_evenly_from_head_to_feet_and_the_names_do_not_follow_them(
    patients: list[PhantomPatient],
) -> None:
    for patient in patients:
        z = [float(header.ImagePositionPatient[2]) for header in headers(patient)]
        assert np.diff(z) == pytest.approx(np.diff(z)[0], abs=0.01)
        assert z[0] > z[-1]
        names = [path.name for path in patient.files]
        assert names not in (sorted(names), sorted(names, reverse=True))


def test_the_set_has_the_peculiarities_of_real_deliveries(patients: list[PhantomPatient]) -> None:
    first = [headers(patient)[0] for patient in patients]
    assert [h.PixelRepresentation for h in first] == [0, 1, 0, 1, 0, 1]
    assert [int(h.RescaleIntercept) for h in first].count(0) == 1
    assert sum("PixelPaddingValue" in h for h in first) == 1
    assert [patient.files[0].suffix for patient in patients] == [".dcm", ""] * 3
    assert {h.ConvolutionKernel for h in first} == {"B30f", "B70f"}
    assert [patient.localizer is not None for patient in patients] == [True] + [False] * 5


def test_the_localizer_is_a_series_of_its_own_and_not_axial(patients: list[PhantomPatient]) -> None:
    assert patients[0].localizer is not None
    header = pydicom.dcmread(patients[0].localizer)
    assert header.ImageType[2] == "LOCALIZER"
    assert header.SeriesInstanceUID != patients[0].series_uid
    assert header.pixel_array.shape == (SLICES, SIZE)


def test_the_tumour_box_holds_soft_tissue_with_lung_around_it(patients: list[PhantomPatient]) -> None:
    for patient in patients:
        (top, bottom), (left, right), (low, high) = (
            patient.tumour.rows,
            patient.tumour.columns,
            patient.tumour.z_mm,
        )
        inside = [h for h in headers(patient) if low <= float(h.ImagePositionPatient[2]) <= high]
        assert inside
        middle = min(inside, key=lambda h: abs(float(h.ImagePositionPatient[2]) - (low + high) / 2))
        hu = hounsfield(middle)
        row, column = (top + bottom) // 2, (left + right) // 2
        assert -60 < hu[row - 1 : row + 2, column - 1 : column + 2].mean() < 120
        frame = np.ones_like(hu, dtype=bool)
        frame[top:bottom, left:right] = False
        frame[: top - 2] = frame[bottom + 2 :] = False
        frame[:, : left - 2] = frame[:, right + 2 :] = False
        assert np.median(hu[frame]) < -650


def test_both_ends_show_no_lung_and_the_middle_does(patients: list[PhantomPatient]) -> None:
    for patient in patients:
        lung = np.array([air_inside(hounsfield(h)) for h in headers(patient)])
        assert lung[0] < 0.01
        assert lung[-1] < 0.01
        assert lung[SLICES // 2] > 0.08
        assert 0.4 < (lung > 0.02).mean() < 0.85


def test_patients_differ_in_anatomy(patients: list[PhantomPatient]) -> None:
    middle = [hounsfield(headers(patient)[SLICES // 2]) for patient in patients]
    for first in range(6):
        for second in range(first):
            assert np.abs(middle[first] - middle[second]).mean() > 50
    assert len({patient.tumour for patient in patients}) == 6


def test_few_patients_show_three_classes_and_many_the_proportions_of_the_collection() -> None:
    assert [phantom_id(number) for number in (1, 2, 3)] == ["PH-A0001", "PH-B0002", "PH-G0003"]
    letters = Counter(histology_of(number) for number in range(1, 2001))
    assert letters["A"] > letters["G"] > letters["B"] > letters["E"] > 0
    assert letters["A"] / 2000 == pytest.approx(251 / 355, abs=0.05)


@given(number=st.integers(1, 9999), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_every_patient_id_has_the_letter_of_its_histology(number: int, seed: int) -> None:
    assert re.fullmatch(r"PH-[ABEG]\d{4}", phantom_id(number, seed))
    assert phantom_id(number, seed)[3] == histology_of(number, seed)


@pytest.mark.parametrize(
    "wrong", [{"patients": 0}, {"patients": 10000}, {"seed": -1}, {"size": 8}, {"slices": 1}]
)
def test_numbers_out_of_range_are_refused_in_one_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        write_phantoms(tmp_path / "ph", **wrong)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ph").exists()


def test_importing_the_source_loads_neither_numpy_nor_pydicom() -> None:
    code = (
        "import sys\nfrom chestgan_core.sources.phantom.source import CONFIG\n"
        "assert CONFIG\n"
        "print(*sorted({'numpy', 'pydicom', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
