"""Cleaned files: nothing that identifies is left anywhere in their bytes, and their pixels are the same."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from chestgan_core.cli.dicom import OPTIONS
from chestgan_core.cli.main import main
from chestgan_core.dicom import deidentify as deidentify_module
from chestgan_core.dicom.audit import Finding, audit_paths
from chestgan_core.dicom.cleaned_text import cleaned_text, shifted_dates
from chestgan_core.dicom.confidentiality import Option, rule_of, rules
from chestgan_core.dicom.deidentify import Cleaned, NotCleaned, deidentify
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from tests.dicom.ct_files import as_bytes, ct_slice
from tests.dicom.test_audit_table import text_on, value_of

NAMES = Pseudonyms(b"a key of the tests, 32 characters")
SECRETS = (
    "mueller", "hans", "doe", "jane", "house", "19600131", "31.01.1960", "4711", "sacred", "station9", "2.25.999",
)  # fmt: skip


def named_slice(z: float = 0.0, **changes: Any) -> FileDataset:
    """A slice that says who the patient is in every way that there is."""
    item = Dataset()
    item.PatientID, item.PatientName, item.StudyDate = "4711", "Mueller^Hans", "19600131"
    step = Dataset()
    step.ScheduledPerformingPhysicianName, step.ScheduledProcedureStepDescription = "House^Jane", "for Hans"
    step.ReferencedSOPInstanceUID = "2.25.999"
    item.RequestAttributesSequence = [step]
    file = ct_slice(z=z, series="2.25.999.1", **{
        "PatientID": "4711", "PatientName": "Mueller^Hans", "PatientBirthDate": "19600131", "PatientAge": "095Y",
        "PatientSex": "F", "AccessionNumber": "4711", "StudyDescription": "CT chest for Hans Mueller 31.01.1960",
        "SeriesDescription": "Thorax 5.0 B70f Mueller", "ConvolutionKernel": "B70f", "ProtocolName": "Hans Mueller",
        "StudyInstanceUID": "2.25.999.2", "FrameOfReferenceUID": "2.25.999.3", "StationName": "STATION9",
        "StudyDate": "20240229", "AcquisitionDateTime": "20240229120000.5", "ContentDate": "20240301",
        "InstitutionName": "Sacred Heart", "ReferringPhysicianName": "House^Gregory", "BodyPartExamined": "MUELLER",
        "Manufacturer": "Doe and Mueller", "ImageComments": "seen with Jane Doe", "OperatorsName": ["Doe^Jane", "x"],
        "OriginalAttributesSequence": [item], "ReferencedImageSequence": [item], "SliceLocation": z, **changes,
    })  # fmt: skip
    file.private_block(0x0019, "SACRED HEART", create=True).add_new(0x10, "LO", "Mueller^Hans")
    file.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x10, "DS", "1.5")
    file.add(DataElement(0x60003000, "OW", b"\1\1" * 8))
    file.add(DataElement(0x60000010, "US", 4))
    file.add(DataElement(0xFFFCFFFC, "OB", b"Mueller^Hans"))
    file.file_meta.SourceApplicationEntityTitle = "MUELLER_HANS"
    file.file_meta.PrivateInformationCreatorUID, file.file_meta.PrivateInformation = "1.2", b"Mueller^Hans"
    file.preamble = b"Mueller^Hans 19600131".ljust(128, b"\0")
    return file


def write(folder: Path, *files: Dataset) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        data = as_bytes(file) if isinstance(file, Dataset) else file
        (folder / f"{number}.dcm").write_bytes(data)
    return folder


def read(folder: Path) -> list[FileDataset]:
    files = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
    return sorted(files, key=lambda file: float(file.ImagePositionPatient[2]))


def cleaned(tmp_path: Path, *files: Any, options: Any = ()) -> tuple[Cleaned, Path]:
    source = write(tmp_path / "in", *files)
    return deidentify(source, tmp_path / "out", options, NAMES), tmp_path / "out"


def secrets_in(data: bytes) -> list[str]:
    return [word for word in SECRETS if word.encode() in data.lower()]


OPTION_SETS = [
    (), ("shifted-dates",), ("descriptors", "shifted-dates", "patient"), tuple(set(OPTIONS) - {"dates", "uids"}),
]  # fmt: skip


@pytest.mark.parametrize("options", OPTION_SETS)
def test_nothing_that_identifies_is_in_any_byte(tmp_path: Path, options: tuple[str, ...]) -> None:
    chosen = [option for option in Option if option in options]
    done, out = cleaned(tmp_path, named_slice(), named_slice(z=3), options=chosen)
    assert (done.files, done.patients, done.left_out) == (2, 1, {})
    for path in out.rglob("*.dcm"):
        kept = secrets_in(path.read_bytes()) + secrets_in(str(path).encode())
        # Who keeps stations and institutions keeps their names.
        assert set(kept) <= ({"station9", "sacred"} if "device" in options else set())
    report = audit_paths([out])
    assert report.blocking() == ()
    if not options:
        assert main(["audit", str(out)]) == 0
        assert set(report.findings) == {Finding.OTHER}  # the sequence of referenced images


def encoded(syntax: str) -> Any:
    def change(file: FileDataset) -> bytes:
        if syntax == RLELossless:
            file.compress(RLELossless)
        else:
            file.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            file.PixelData = np.frombuffer(file.PixelData, "<i2").astype(">i2").tobytes()
            out = io.BytesIO()
            pydicom.dcmwrite(out, file, little_endian=False, implicit_vr=False, force_encoding=True)
            return out.getvalue()
        return as_bytes(file)

    return change


FORMS: dict[str, Any] = {
    "explicit": as_bytes,
    "implicit": encoded(ImplicitVRLittleEndian),
    "big endian": encoded(ExplicitVRBigEndian),
    "deflated": encoded(DeflatedExplicitVRLittleEndian),
    "RLE": encoded(RLELossless),
    "no preamble": lambda file: as_bytes(file)[132:],
    "no meta": lambda file: (data := as_bytes(file))[144 + int.from_bytes(data[140:144], "little") :],
    "trailing bytes": lambda file: as_bytes(file) + b"Mueller^Hans",
}


@pytest.mark.parametrize("form", FORMS)
def test_pixels_stay_in_every_encoding(tmp_path: Path, form: str) -> None:
    file = named_slice()
    stored = np.frombuffer(file.PixelData, "<i2")
    data = FORMS[form](file)
    done, out = cleaned(tmp_path, data)
    assert done.files == 1, done.left_out
    (path,) = out.rglob("*.dcm")
    (after,) = read(out)
    before = pydicom.dcmread(tmp_path / "in" / "0.dcm", force=True)
    assert bytes(after.PixelData) == bytes(before.PixelData)
    assert np.array_equal(after.pixel_array.ravel(), stored)
    assert secrets_in(path.read_bytes()) == []
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    if form not in ("deflated", "no meta", "no preamble"):
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID


def normalized(folder: Path) -> tuple[int, dict[str, int], list[bytes]]:
    done = normalize([folder], NormalizationRecipe(size=32), NAMES)
    left_out = {reason: count for reason, count in done.report.left_out.items() if reason != "not-dicom"}
    return done.report.kept, left_out, sorted(one.tobytes() for one in done.shard.slices)


def test_normalized_slices_are_the_same(tmp_path: Path, phantom_folder: Path) -> None:
    source = sorted(path for path in phantom_folder.rglob("*") if path.is_dir() and any(path.glob("*.dcm")))[
        0
    ]
    deidentify(source, tmp_path / "out", [], NAMES)
    assert normalized(tmp_path / "out") == normalized(source)


def test_attributes_that_pixels_need_stay_whatever_the_patient_is_called(tmp_path: Path) -> None:
    file = named_slice(PatientName="Hu^Ct", RescaleType="HU", ProtocolName="of Hu")
    done, out = cleaned(tmp_path, file)
    assert done.files == 1
    (after,) = read(out)
    assert (after.Modality, after.RescaleType) == ("CT", "HU")
    assert list(after.ImageType) == list(file.ImageType)


def two_scans() -> Iterator[FileDataset]:
    """Two scans in one series that only the times and the comments tell apart."""
    for z in range(12):
        for scan in (1, 2):
            file = named_slice(z=3.0 * z, AcquisitionTime=f"1{scan}0000", ImageComments=f"Doe {scan}")
            file.SeriesTime = file.AcquisitionTime
            file.SOPInstanceUID = f"2.25.999.7.{scan}.{z}"
            file.PixelData = (np.frombuffer(file.PixelData, "<i2") + scan).astype("<i2").tobytes()
            yield file


def test_scans_that_only_times_told_apart_stay_apart(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, *two_scans())
    assert len({file.SeriesInstanceUID for file in read(out)}) == 2
    before, after = normalized(tmp_path / "in"), normalized(out)
    assert before == after
    assert before[0] > 12


def test_names_are_keyed_and_the_same_wherever_they_are_referred_to(tmp_path: Path) -> None:
    other = named_slice(z=3)
    other.ReferencedImageSequence[0].ReferencedSOPInstanceUID = named_slice().SOPInstanceUID
    _, out = cleaned(tmp_path, named_slice(), other)
    first, second = read(out)
    assert first.PatientID == first.PatientName == second.PatientID == NAMES.patient("4711")
    assert first.StudyInstanceUID == second.StudyInstanceUID != named_slice().StudyInstanceUID
    assert second.ReferencedImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert first.SOPClassUID == named_slice().SOPClassUID
    deidentify(tmp_path / "in", tmp_path / "again", [], NAMES)
    assert [file.SOPInstanceUID for file in read(tmp_path / "again")] == [
        file.SOPInstanceUID for file in (first, second)
    ]
    deidentify(tmp_path / "in", tmp_path / "other", [], Pseudonyms(b"another key of 16 bytes"))
    assert read(tmp_path / "other")[0].PatientID != first.PatientID


def test_dates_move_by_days_of_the_patient_and_intervals_stay(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, named_slice(), options=[Option.SHIFTED_DATES])
    (file,) = read(out)
    days = NAMES.days(file.PatientID)
    assert [file.StudyDate, file.ContentDate] == shifted_dates(["20240229", "20240301"], days)
    assert file.StudyDate != "20240229"
    assert file.AcquisitionDateTime == file.StudyDate + "120000.5"
    assert file.LongitudinalTemporalInformationModified == "MODIFIED"
    assert not file.PatientBirthDate
    assert shifted_dates(["20240301", "2024", "x", "20240301120000+0100"], 1) == [
        "20240229", "", "", "20240229120000+0100",
    ]  # fmt: skip


def test_options_keep_what_they_name_and_the_file_says_so(tmp_path: Path) -> None:
    done, out = cleaned(
        tmp_path, named_slice(), options=[Option.DESCRIPTORS, Option.PATIENT, Option.SAFE_PRIVATE]
    )
    assert done.files == 1
    (file,) = read(out)
    assert file.StudyDescription == "CT chest for"
    assert file.SeriesDescription == "Thorax 5.0 B70f"
    assert file.ConvolutionKernel == "B70f"
    assert (file.PatientSex, file.PatientAge) == ("F", "090Y")
    assert [
        element.value for element in file if element.tag.is_private and not element.tag.is_private_creator
    ] == [1.5]
    assert file.PatientIdentityRemoved == "YES"
    codes = [item.CodeValue for item in file.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113108", "113111"]
    assert "StudyDate" not in file or not file.StudyDate
    assert file.LongitudinalTemporalInformationModified == "REMOVED"
    with pytest.raises(BadInput, match="dates are kept or shifted, not both"):
        deidentify(tmp_path / "in", tmp_path / "x", [Option.DATES, Option.SHIFTED_DATES], NAMES)
    assert set(OPTIONS) == set(map(str, Option))


def test_every_attribute_of_the_table_is_cleaned_at_any_depth(tmp_path: Path) -> None:
    for depth, folder in enumerate(("flat", "nested")):
        file = ct_slice(PatientID="4711", PatientName="Mueller^Hans")
        where: Dataset = file
        if depth:
            where = Dataset()
            file.ReferencedImageSequence = [where]
        for tag in rules():
            try:
                vr = dictionary_VR(tag).split(" ")[0]
            except KeyError:
                vr = "LO"
            if vr != "UI" and tag >> 16 >= 8 and tag not in (0x00100020, 0x00100010):
                where.add(DataElement(tag, vr, value_of(vr)))
        done, out = cleaned(tmp_path / folder, file)
        assert done.files == 1
        assert set(audit_paths([out]).findings) <= {Finding.OTHER}
        (after,) = read(out)
        kept = (after.ReferencedImageSequence[0] if depth else after).keys()
        assert not [rule_of(tag).keyword for tag in kept if (rule := rule_of(tag)) and rule.basic == "X"]


def test_what_cannot_be_cleaned_is_counted_and_not_copied(tmp_path: Path) -> None:
    report = named_slice()
    report.SOPClassUID = BasicTextSRStorage
    capture = named_slice(z=6, SOPClassUID=SecondaryCaptureImageStorage)
    burned = named_slice(z=9, BurnedInAnnotation="YES")
    hu = np.kron(np.full((128, 128), -1000, np.int16), np.ones((4, 4), np.int16))
    hu[100:400, 100:400] = 40
    shown = ct_slice(text_on(hu, "Doe, Jane", 16, (8, 8)), z=12)
    good = as_bytes(named_slice(z=15))
    header = good.index(b"\x20\x00\x0e\x00UI")
    cut = (good[:-999], good[: header + 20])
    source = write(tmp_path / "in", report, capture, burned, shown, good, *cut, b"a table")
    done = deidentify(source, tmp_path / "out", [], NAMES)
    assert done.files == 1
    assert done.left_out == {
        NotCleaned.DOCUMENT: 1, NotCleaned.PIXELS: 3, NotCleaned.UNREADABLE: 2, NotCleaned.OTHER_FILE: 1,
    }  # fmt: skip
    assert main(["deidentify", str(source), str(tmp_path / "out")]) == 3
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


def test_what_the_audit_would_stop_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(file: Any, plan: Any) -> Any:
        clean = original(file, plan)
        return type(clean)(clean.patient, clean.series, clean.instance, as_bytes(named_slice()))

    original = deidentify_module.cleaned_file
    monkeypatch.setattr(deidentify_module, "cleaned_file", forgets)
    done, out = cleaned(tmp_path, named_slice())
    assert done.left_out == {NotCleaned.STILL_NAMED: 1}
    assert list(out.rglob("*.dcm")) == []


def test_the_folder_is_empty_or_ours_and_never_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "in", named_slice(), named_slice(z=3))
    other = tmp_path / "other"
    other.mkdir()
    (other / "README.md").write_text("mine")
    with pytest.raises(BadInput, match="holds files that are not of"):
        deidentify(source, other, [], NAMES)
    for inside in (source / "out", source, tmp_path):
        with pytest.raises(BadInput, match="lies in the folder that is cleaned, or around it"):
            deidentify(source, inside, [], NAMES)
    out = tmp_path / "out"
    deidentify(source, out, [], NAMES)
    written = sorted(path.relative_to(out) for path in out.rglob("*"))
    (source / "1.dcm").unlink()

    def fails(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deidentify_module, "_write", fails)
        with pytest.raises(KeyboardInterrupt):
            deidentify(source, out, [], NAMES)
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == written
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    deidentify(source, out, [], NAMES)
    assert len(list(out.rglob("*.dcm"))) == 1


def test_no_list_of_names_is_written_or_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "Mueller_Hans", named_slice(), b"Mueller Hans")
    assert main(["deidentify", str(source), str(tmp_path / "out"), "--options", "descriptors", "--json"]) == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["files"] == 1
    assert secrets_in((printed.out + printed.err).replace(str(tmp_path), "").encode()) == []
    for path in (tmp_path / "out").rglob("*"):
        assert secrets_in(str(path.relative_to(tmp_path)).encode()) == []
        assert path.is_dir() or secrets_in(path.read_bytes()) == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("CT chest for Hans Mueller 31.01.1960", "CT chest for"), ("Thorax 5.0 B70f", "Thorax 5.0 B70f"),
        ("31 Jan 1960 chest", "31 1960 chest"), ("LUNG1-001_20180209_CT", ""), ("ID 123456 lung", "ID lung"),
        ("DrMueller Lunge", "Lunge"), ("Chest/ABD w/o 1.25mm", "Chest/ABD w/o 1.25mm"),
    ],
)  # fmt: skip
def test_free_text_is_reduced_to_known_words(text: str, kept: str) -> None:
    assert cleaned_text(text) == kept
    assert cleaned_text("chest of four", frozenset(("four",))) == "chest of"
