"""Objects that say that a generator made them are refused wherever DICOM comes in, counted, and let in on request."""

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)

from chestgan_core.cli.main import main
from chestgan_core.dicom.audit import audit_paths
from chestgan_core.dicom.confidentiality import Option
from chestgan_core.dicom.deidentify import NotCleaned, deidentify
from chestgan_core.dicom.left_out import Doubt, LeftOut
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import read_series
from chestgan_core.dicom.synthetic import names_synthesizer, synthetic_cause
from chestgan_core.errors import BadInput
from chestgan_core.publishing.writing.instructions import Instructions, Recipe
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.annotations.boxes import Defect
from chestgan_core.sources.annotations.structured_reports import read_report
from chestgan_core.sources.folder.folder_series import folder_series
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice, write_series
from tests.dicom.test_audit_table import text_on

SYNTHETIC_DATA = 0x0008001C


def equipment(value: str = "109100", scheme: str = "DCM") -> list[Dataset]:
    """Contributing equipment whose purpose is a code."""
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "Synthesizing Equipment"
    item.Manufacturer, item.PurposeOfReferenceCodeSequence = "a generator", [code]
    return [item]


def flagged(vr: str, value: Any, **changes: Any) -> FileDataset:
    """A slice whose SyntheticData has a value, in any value representation."""
    file = ct_slice(**changes)
    file.add(DataElement(SYNTHETIC_DATA, vr, value))
    return file


def written(folder: Path, *files: FileDataset) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        (folder / f"{number}.dcm").write_bytes(as_bytes(file))
    return folder


SAYS_SYNTHETIC = {
    "YES": flagged("CS", "YES"),
    "lower case": flagged("CS", "yes"),
    "blanks": flagged("CS", " YES  "),
    "another value before": flagged("CS", ["NO", "YES"]),
    "a long string": flagged("LO", "YES"),
    "bytes": flagged("UN", b"YES "),
    "neither YES nor NO": flagged("CS", "TRUE"),
    "a number": flagged("US", 1),
    "only its equipment": ct_slice(ContributingEquipmentSequence=equipment()),
    "NO, and its equipment": flagged("CS", "NO", ContributingEquipmentSequence=equipment("109100 ", "dcm")),
}
SAYS_NOTHING = {
    "absent": ct_slice(),
    "empty": flagged("CS", ""),
    "NO": flagged("CS", "NO"),
    "no twice": flagged("CS", ["NO", "no "]),
    "equipment that processes": ct_slice(ContributingEquipmentSequence=equipment("109102")),
    "equipment of another scheme": ct_slice(ContributingEquipmentSequence=equipment("109100", "99LOCAL")),
    "equipment without a purpose": ct_slice(ContributingEquipmentSequence=[Dataset()]),
}


@pytest.mark.parametrize("form", SAYS_SYNTHETIC)
def test_whoever_says_synthetic_in_any_form_is_refused(form, tmp_path):
    reading = read_series([written(tmp_path, SAYS_SYNTHETIC[form])])
    assert (reading.series, reading.left_out) == ((), {LeftOut.SYNTHETIC: 1})


@pytest.mark.parametrize("form", SAYS_NOTHING)
def test_whoever_does_not_say_so_is_read(form, tmp_path):
    reading = read_series([written(tmp_path, SAYS_NOTHING[form])])
    assert (len(reading.series), reading.left_out) == (1, {})


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("form", ["YES", "only its equipment"])
def test_no_encoding_hides_it(syntax, form, tmp_path):
    file = copy.deepcopy(SAYS_SYNTHETIC[form])
    file.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        file.PixelData = np.frombuffer(file.PixelData, "<i2").astype(">i2").tobytes()
        order = {"implicit_vr": False, "little_endian": False, "force_encoding": True}
        pydicom.dcmwrite(tmp_path / "1.dcm", file, **order)
    else:
        written(tmp_path, file)
    assert read_series([tmp_path]).left_out == {LeftOut.SYNTHETIC: 1}
    assert len(read_series([tmp_path], synthetic="accept").series) == 1


@pytest.mark.parametrize(
    "kind",
    [
        {"SOPClassUID": EnhancedCTImageStorage, "NumberOfFrames": 4},
        {"SOPClassUID": SegmentationStorage, "Modality": "SEG"},
        {"SOPClassUID": ComprehensiveSRStorage, "Modality": "SR", "PixelData": None, "Rows": None},
        {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
        {"RescaleSlope": None},
    ],
    ids=["multi-frame", "segmentation", "report", "coronal", "without a rescale"],
)
def test_the_reason_is_synthetic_whatever_else_would_refuse_the_object(kind, tmp_path):
    folder = written(tmp_path, flagged("CS", "YES", **kind))
    assert read_series([folder]).left_out == {LeftOut.SYNTHETIC: 1}
    (other,) = read_series([folder], synthetic="accept").left_out
    assert other is not LeftOut.SYNTHETIC


def test_a_series_of_which_a_part_is_synthetic_is_refused_whole_and_every_file_counted(tmp_path):
    write_series(tmp_path / "mixed", 5)
    (tmp_path / "mixed" / "made.dcm").write_bytes(as_bytes(flagged("CS", "YES", z=30.0)))
    coronal = ct_slice(SOPInstanceUID="2.25.1.7", ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    (tmp_path / "mixed" / "coronal.dcm").write_bytes(as_bytes(coronal))
    write_series(tmp_path / "real", 4, series="2.25.2")
    reading = read_series([tmp_path])
    assert [(series.uid, len(series.slices)) for series in reading.series] == [("2.25.2", 4)]
    assert reading.left_out == {LeftOut.SYNTHETIC: 6, LeftOut.NOT_AXIAL: 1}
    assert reading.files == 4 + sum(reading.left_out.values()) == 11
    causes = {cause.cause: cause.files for cause in reading.causes if cause.reason == LeftOut.SYNTHETIC}
    assert causes == {"SyntheticData is YES": 1, "other files of its series are flagged synthetic": 5}


def test_accepted_ones_are_used_and_counted_as_doubtful(tmp_path):
    write_series(tmp_path, 3)
    (tmp_path / "made.dcm").write_bytes(as_bytes(flagged("CS", "YES", z=30.0)))
    reading = read_series([tmp_path], synthetic="accept")
    assert ([len(series.slices) for series in reading.series], reading.left_out) == ([4], {})
    assert [(doubt.reason, doubt.files) for doubt in reading.doubts] == [(Doubt.SYNTHETIC, 1)]


def test_the_catalog_of_a_folder_leaves_them_out_and_counts_them(tmp_path):
    write_series(tmp_path / "real", 3)
    write_series(tmp_path / "made", 4, series="2.25.2", SyntheticData="YES")
    catalog = folder_series(tmp_path, Pseudonyms(), "test", "", "")
    assert ([row.images for row in catalog.rows], catalog.left_out) == ([3], {"synthetic": 4})
    catalog = folder_series(tmp_path, Pseudonyms(), "test", "", "", synthetic="accept")
    assert (sorted(row.images for row in catalog.rows), catalog.left_out) == ([3, 4], {})


def test_a_folder_of_nothing_else_is_refused_with_the_reason_and_the_way_in(tmp_path):
    write_series(tmp_path, 4, SyntheticData="YES")
    with pytest.raises(
        BadInput, match=r"left out: synthetic 4 .*SyntheticData is YES.*; .*synthetic: accept"
    ):
        folder_series(tmp_path, Pseudonyms(), "test", "", "")


def test_normalize_refuses_them_unless_told_otherwise(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    write_series(tmp_path / "in" / "real", 3)
    write_series(tmp_path / "in" / "made", 4, series="2.25.2", SyntheticData="YES")
    command = ["normalize", str(tmp_path / "in"), "--size", "32", "--json", "--out"]
    assert main([*command, str(tmp_path / "refused.safetensors")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kept"], report["left_out"]) == (3, {"synthetic": 4})
    assert main([*command, str(tmp_path / "accepted.safetensors"), "--synthetic", "accept"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kept"], report["left_out"]) == (7, {})
    assert [(one["reason"], one["files"]) for one in report["warnings"]] == [("synthetic", 4)]


def test_what_is_accepted_is_another_recipe():
    assert NormalizationRecipe(synthetic="accept").version != NormalizationRecipe().version


def test_who_reproduces_the_numbers_of_a_set_lets_in_what_was_let_in():
    recipe = NormalizationRecipe(size=32, synthetic="accept")
    made = Instructions(
        format=1,
        dataset="d",
        image_kind="real",
        private=False,
        hounsfield=True,
        source="idc",
        training_set="1",
        evaluation="1",
        recipe=Recipe(recipe.version, **asdict(recipe)),
        selection={},
    )
    assert made.normalization == recipe


def test_a_report_that_is_flagged_gives_no_box(tmp_path):
    report = Dataset()
    report.file_meta = pydicom.dataset.FileMetaDataset()
    report.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = "2.25.5"
    report.SyntheticData = "YES"
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    assert read_report(tmp_path / "report.dcm", "P1").defects == {Defect.SYNTHETIC: 1}
    assert read_report(tmp_path / "report.dcm", "P1", "accept").defects == {Defect.NO_REPORT: 1}


NAMES = Pseudonyms(b"a key of the tests, 32 characters")


@pytest.mark.parametrize("options", [(), tuple(Option)[:1], (Option.DEVICE, Option.UIDS)], ids=str)
@pytest.mark.parametrize("form", SAYS_SYNTHETIC)
def test_cleaning_does_not_make_a_synthetic_file_a_real_one(form, options, tmp_path):
    written(tmp_path / "in", SAYS_SYNTHETIC[form])
    done = deidentify(tmp_path / "in", tmp_path / "out", options, NAMES)
    assert done.files + sum(done.left_out.values()) == 1
    for path in (tmp_path / "out").rglob("*.dcm"):
        cleaned = pydicom.dcmread(path)
        assert cleaned.SyntheticData == "YES"
        assert names_synthesizer(cleaned) == ("equipment" in form)
    if form in ("YES", "only its equipment"):
        assert done.files == 1
    assert synthetic_cause(pydicom.dcmread(tmp_path / "in" / "0.dcm"))


def test_names_that_are_drawn_into_synthetic_pixels_are_found_as_well(tmp_path):
    noise = np.random.default_rng(0).normal(0, 20, (512, 512))
    hu = (np.kron(chest_hu(), np.ones((4, 4))) + noise).astype(np.int16)
    written(tmp_path / "in", flagged("CS", "YES", hu=text_on(hu, "MUELLER HANS", 22, (8, 8))))
    assert audit_paths([tmp_path / "in"]).pictures == 1
    assert deidentify(tmp_path / "in", tmp_path / "out", (), NAMES).left_out == {NotCleaned.PIXELS: 1}


def test_the_code_of_a_synthesizer_is_that_of_the_standard():
    assert codes.DCM.SynthesizingEquipment.value == "109100"
