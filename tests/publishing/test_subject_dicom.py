"""A synthetic patient as DICOM: one series that readers put together, and reports of the asked boxes."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
import torch

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.subject import subject_layouts
from chestgan_core.publishing.asked_images import askable_of
from chestgan_core.publishing.loose_subjects import write_subjects
from chestgan_core.publishing.subject_dicom import SubjectSeries
from chestgan_core.publishing.subjects import SubjectStack, generate_subjects
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.training.weights import LoadedGenerator
from tests.layouts.chests import chest
from tests.publishing.test_dicom_export import errors

SPACING = 20.0


@pytest.fixture(scope="module")
def stack(asking: LoadedGenerator) -> SubjectStack:
    asked = Layout(((14.0, 28.0, 20.0, 34.0),), 0.5)
    (made,) = generate_subjects(asking, [subject_layouts(askable_of(asking), 3, SPACING, asked)])
    return made


@pytest.fixture(scope="module")
def folder(asking: LoadedGenerator, stack: SubjectStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("patients") / "out"
    write_subjects(asking, [stack.layouts], out, dicom=True)
    (found,) = [path for path in out.iterdir() if path.is_dir()]
    return found


def test_a_reader_of_series_finds_one_with_the_asked_spacing_and_the_values_of_the_stack(
    asking: LoadedGenerator, stack: SubjectStack, folder: Path
) -> None:
    (series,) = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series))

    assert image.GetSize() == (64, 64, 12)
    assert image.GetSpacing() == pytest.approx((5.0, 5.0, SPACING))
    hu = sitk.GetArrayFromImage(image)
    low, high = asking.experiment.display_window.ends
    expected = (stack.images[:, 0].numpy() + 1) / 2 * (high - low) + low
    assert np.abs(hu - expected).max() < 1


def test_it_is_normalized_as_one_series_where_synthetic_objects_are_accepted(
    asking: LoadedGenerator, stack: SubjectStack, tmp_path: Path
) -> None:
    chests = np.stack([chest(layout.position or 0) for layout in stack.layouts.layouts])
    shown = SubjectStack(stack.layouts, torch.from_numpy(chests).float())  # random weights show no body
    for name, data in SubjectSeries(asking).files(shown):
        (tmp_path / name).write_bytes(data)
    recipe = NormalizationRecipe(size=64, synthetic="accept")

    rows = normalize([tmp_path], recipe, Pseudonyms()).shard.rows

    assert len({row.series_uid for row in rows}) == 1
    assert len(rows) >= 10
    assert np.abs(np.diff([row.position_mm for row in rows])) == pytest.approx(SPACING)


def test_slices_share_study_series_and_frame_and_say_that_nobody_was_scanned(folder: Path) -> None:
    files = [pydicom.dcmread(path) for path in sorted(folder.glob("???.dcm"))]

    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({file[name].value for file in files}) == 1
    assert len({file.SOPInstanceUID for file in files}) == 12
    assert [file.InstanceNumber for file in files] == list(range(1, 13))
    assert all(file.SyntheticData == "YES" for file in files)
    assert all(file.ImageComments.startswith("SYNTHETIC SERIES, not of a person") for file in files)
    assert all("licence: none needed" in file.ImageComments for file in files)


def test_each_slice_with_a_tumour_has_a_report_in_the_same_study(stack: SubjectStack, folder: Path) -> None:
    asked = [f"{number:03d}-boxes.dcm" for number, one in enumerate(stack.layouts.layouts) if one.boxes]
    reports = sorted(folder.glob("*-boxes.dcm"))

    assert [path.name for path in reports] == asked
    assert asked
    image = pydicom.dcmread(folder / f"{asked[0][:3]}.dcm")
    report = pydicom.dcmread(reports[0])
    assert report.StudyInstanceUID == image.StudyInstanceUID
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID


def test_the_files_keep_to_the_standard_by_dciodvfy(folder: Path) -> None:
    for path in sorted(folder.glob("*.dcm"))[4:8]:
        assert errors(path) == []


def test_the_same_patient_gives_the_same_bytes_and_another_spacing_another_series(
    asking: LoadedGenerator, stack: SubjectStack, folder: Path
) -> None:
    again = dict(SubjectSeries(asking).files(stack))

    assert again == {path.name: path.read_bytes() for path in folder.glob("*.dcm")}
    asked = Layout(((14.0, 28.0, 20.0, 34.0),), 0.5)
    (other,) = generate_subjects(asking, [subject_layouts(askable_of(asking), 3, 40, asked)])
    one = pydicom.dcmread(folder / "000.dcm").SeriesInstanceUID
    path = folder.parent / "other.dcm"
    path.write_bytes(dict(SubjectSeries(asking).files(other))["000.dcm"])
    assert pydicom.dcmread(path).SeriesInstanceUID != one


def test_pictures_and_series_are_not_mixed_in_one_folder(
    asking: LoadedGenerator, stack: SubjectStack, tmp_path: Path
) -> None:
    write_subjects(asking, [stack.layouts], tmp_path / "out")

    with pytest.raises(
        BadInput, match=r"holds synthetic patients of .*, not synthetic patients of .* as DICOM"
    ):
        write_subjects(asking, [stack.layouts], tmp_path / "out", dicom=True)
