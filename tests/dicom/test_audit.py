"""The de-identification audit: what it finds, where it looks, and that it never repeats what it found."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from chestgan_core.dicom.audit import AuditReport, Finding, audit_paths, audit_zip, empty_report
from chestgan_core.dicom.free_text import is_placeholder, reads_like_a_name
from chestgan_core.errors import UnknownName
from tests.dicom.ct_files import as_bytes, ct_slice

CLEAN: dict[str, Any] = {"PatientName": "PH-A0001", "PatientIdentityRemoved": "YES"}


def audited(folder: Path, *files: Dataset) -> AuditReport:
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(files):
        (folder / f"{number}.dcm").write_bytes(as_bytes(file))
    return audit_paths([folder])


def found(folder: Path, **changes: Any) -> set[Finding]:
    return set(audited(folder, ct_slice(**{**CLEAN, **changes})).findings)


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def test_phantoms_pass_as_a_private_folder(phantom_folder: Path) -> None:
    report = audit_paths([phantom_folder])
    assert report.files > 100
    assert report.blocking() == ()


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"PatientIdentityRemoved": "NO"}, Finding.NOT_REMOVED),
        ({"PatientIdentityRemoved": None}, Finding.NOT_STATED),
        ({"PatientName": "Doe^Jane"}, Finding.PATIENT_NAME),
        ({"PatientName": "Doe^Jane=道^ジェーン", "SpecificCharacterSet": ["", "ISO 2022 IR 87"]}, Finding.PATIENT_NAME),
        ({"PatientID": "DOE_JANE", "PatientName": None}, Finding.PATIENT_ID),
        ({"PatientBirthDate": "19590229"}, Finding.BIRTH_DATE),
        ({"PatientAddress": "1 High Street"}, Finding.PATIENT_DETAILS),
        ({"OtherPatientIDsSequence": [item(TypeOfPatientID="TEXT")]}, Finding.PATIENT_DETAILS),
        ({"PatientMotherBirthName": "Roe"}, Finding.PATIENT_DETAILS),
        ({"ReferringPhysicianName": "House^Gregory"}, Finding.STAFF_NAME),
        ({"OperatorsName": ["anonymous", "Kelso^Bob"]}, Finding.STAFF_NAME),
        ({"BurnedInAnnotation": "YES"}, Finding.BURNED_IN),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, Finding.CAPTURE_UNCLEAR),
    ],
)  # fmt: skip
def test_what_may_name_a_person_stops_a_private_folder(
    tmp_path: Path, changes: dict[str, Any], finding: Finding
) -> None:
    report = audited(tmp_path, ct_slice(**{**CLEAN, **changes}))
    assert report.findings == {finding: 1}
    assert report.blocking() == (finding,)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"AccessionNumber": "4711"}, Finding.RECORD_NUMBER),
        ({"InstitutionName": "Sacred Heart"}, Finding.INSTITUTION),
        ({"DeviceSerialNumber": "55152"}, Finding.DEVICE),
        ({"ImageComments": "seen again next week"}, Finding.COMMENTS),
        ({"StudyDate": "20240229"}, Finding.DATES),
        ({"StudyDate": "20240229", "LongitudinalTemporalInformationModified": "UNMODIFIED"}, Finding.DATES_KEPT),
        ({"RecognizableVisualFeatures": "YES"}, Finding.FACE),
        ({"PatientIdentityRemoved": None, "DeidentificationMethod": "by hand"}, Finding.FLAG_MISSING),
    ],
)  # fmt: skip
def test_what_only_narrows_down_is_reported_and_does_not_stop(
    tmp_path: Path, changes: dict[str, Any], finding: Finding
) -> None:
    report = audited(tmp_path, ct_slice(**{**CLEAN, **changes}))
    assert report.findings == {finding: 1}
    assert report.blocking() == ()


def test_dates_that_were_shifted_are_not_a_finding(tmp_path: Path) -> None:
    assert not found(tmp_path, StudyDate="20010101", LongitudinalTemporalInformationModified="MODIFIED")


def test_attributes_that_are_there_but_empty_are_not_a_finding(tmp_path: Path) -> None:
    blank = {
        "PatientBirthDate": "",
        "OperatorsName": "^^",
        "AccessionNumber": " ",
        "OtherPatientIDsSequence": [],
    }
    assert not found(tmp_path, **blank)


def test_identifiers_deep_in_sequences_are_found(tmp_path: Path) -> None:
    step = item(ScheduledPerformingPhysicianName="Turk^Chris")
    request = item(AccessionNumber="4711", ScheduledProcedureStepSequence=Sequence([step]))
    original = item(
        ModifiedAttributesSequence=Sequence([item(PatientName="Doe^Jane", PatientBirthDate="19590229")])
    )
    assert found(tmp_path, RequestAttributesSequence=[request], OriginalAttributesSequence=[original]) == {
        Finding.STAFF_NAME, Finding.RECORD_NUMBER, Finding.PATIENT_NAME, Finding.BIRTH_DATE, Finding.OTHER,
    }  # fmt: skip


def private_file(creator: str, vr: str, value: Any) -> Dataset:
    file = ct_slice(**CLEAN)
    file.private_block(0x0019, creator, create=True).add_new(0x10, vr, value)
    return file


@pytest.mark.parametrize(
    ("creator", "vr", "value", "finding"),
    [
        ("SACRED HEART PACS", "LO", "bed 12", Finding.PRIVATE_TEXT),
        ("SACRED HEART PACS", "UN", b"\x01\x02\x03\x04", Finding.PRIVATE_TEXT),
        ("SACRED HEART PACS", "US", 7, Finding.PRIVATE_TAGS),
        ("GEMS_PARM_01", "SH", "/1.3:1", Finding.PRIVATE_TAGS),
        ("GEMS_PARM_01", "PN", "Doe^Jane", Finding.PRIVATE_NAME),
    ],
)
def test_private_attributes_are_judged_by_their_creator_and_type(
    tmp_path: Path, creator: str, vr: str, value: Any, finding: Finding
) -> None:
    report = audited(tmp_path, private_file(creator, vr, value))
    assert report.findings == {finding: 1}
    assert bool(report.blocking()) == (finding is Finding.PRIVATE_NAME)


def test_names_are_found_in_files_that_do_not_state_types(tmp_path: Path) -> None:
    file = ct_slice(
        **CLEAN, OperatorsName="Kelso^Bob", RequestAttributesSequence=[item(AccessionNumber="4711")]
    )
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert set(audited(tmp_path, file).findings) == {
        Finding.STAFF_NAME, Finding.RECORD_NUMBER, Finding.OTHER,
    }  # fmt: skip


def test_a_finding_behind_a_long_header_is_found(tmp_path: Path) -> None:
    file = private_file("SIEMENS CSA HEADER", "OB", b"text" * 80_000)
    file.PerformedProcedureStepID = "4711"  # (0040,0253), after the private block
    file.TextComments = "after everything else"
    assert set(audited(tmp_path, file).findings) == {
        Finding.RECORD_NUMBER,
        Finding.COMMENTS,
        Finding.PRIVATE_TEXT,
    }


def test_files_are_counted_once_a_finding_and_reports_add_up(tmp_path: Path) -> None:
    named = ct_slice(z=3, **{**CLEAN, "PatientName": "Doe^Jane", "OtherPatientNames": "Roe^Jane"})
    one, other = audited(tmp_path / "a", ct_slice(**CLEAN), named), audited(tmp_path / "b", named)
    together = empty_report() + one + other
    assert (together.files, together.findings) == (3, {Finding.PATIENT_NAME: 2, Finding.PATIENT_DETAILS: 2})
    assert together.line() == "3 files: patient-name 2!, patient-details 2!"
    assert AuditReport.from_json(json.loads(json.dumps(together.as_json()))) == together


def test_no_value_reaches_the_report(tmp_path: Path) -> None:
    report = audited(
        tmp_path, ct_slice(**{**CLEAN, "PatientName": "Doe^Jane", "PatientAddress": "1 High Street"})
    )
    output = report.line() + repr(report) + json.dumps(report.as_json())
    assert not any(word in output for word in ("Doe", "Jane", "High"))


def test_zips_within_zips_are_audited_and_licences_are_not_counted(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.dcm", as_bytes(ct_slice(**CLEAN, PatientAddress="1 High Street")))
        archive.writestr("LICENSE", "CC BY 4.0")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    report = audit_zip(tmp_path / "outer.zip")
    assert (report.files, report.findings) == (1, {Finding.PATIENT_DETAILS: 1})


def test_a_header_that_cannot_be_read_stops_as_nobody_can_judge_it(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(bytes(128) + b"DICM" + b"no attributes of any kind")
    (tmp_path / "2.zip").write_bytes(b"PK\x03\x04 cut short")
    report = audit_paths([tmp_path])
    assert (report.files, report.findings) == (2, {Finding.UNREADABLE: 2})
    assert report.blocking() == (Finding.UNREADABLE,)


def test_a_value_that_cannot_be_converted_makes_its_file_unreadable_and_no_more(tmp_path: Path) -> None:
    good, bad = ct_slice(**CLEAN), ct_slice(**CLEAN)
    bad.add_new(0x00400275, "SQ", [item(RequestedProcedureID="1")])
    data = as_bytes(bad)
    start = data.index(b"\x40\x00\x75\x02SQ")
    # The item says that it is longer than the sequence that holds it.
    damaged = data[: start + 16] + (1 << 20).to_bytes(4, "little") + data[start + 20 :]
    (tmp_path / "0.dcm").write_bytes(as_bytes(good))
    (tmp_path / "1.dcm").write_bytes(damaged)
    report = audit_paths([tmp_path])
    assert report.files == 2
    assert report.findings.get(Finding.UNREADABLE, 0) <= 1


def test_accepted_findings_do_not_block_and_misspelled_ones_are_refused() -> None:
    report = AuditReport(3, {Finding.BIRTH_DATE: 3, Finding.STAFF_NAME: 1})
    assert report.blocking(["birth-date"]) == (Finding.STAFF_NAME,)
    assert report.blocking(["birth-date", "staff-name"]) == ()
    with pytest.raises(UnknownName, match=r"birthdate is not a finding; did you mean birth-date\?"):
        report.blocking(["birthdate"])


@pytest.mark.parametrize("name", [
    "", "^^^^", "ANONYMOUS", "Anonymous^Patient", "Patient 12", "Removed by CTP", "A098752", "P-0042",
    "0a0f91dc-6015-4342-b809-d19610854a21",
])  # fmt: skip
def test_placeholders_and_codes_name_nobody(name: str) -> None:
    assert is_placeholder(name)


@pytest.mark.parametrize(
    "name", ["Doe^Jane", "DOE", "Doe, Jane", "smith1960", "MISTER^CT", "anonymous Doe", "Doe 7"]
)
def test_what_may_be_a_name_is_not_a_placeholder(name: str) -> None:
    assert not is_placeholder(name)


@pytest.mark.parametrize(
    ("patient_id", "is_name"),
    [
        ("DOE_JANE", True),
        ("Doe^Jane", True),
        ("Lung_Dx-A0001", False),
        ("2178309", False),
        ("Phantom-Lung", False),
    ],
)
def test_a_patient_id_of_words_only_reads_like_a_name(patient_id: str, is_name: bool) -> None:
    assert reads_like_a_name(patient_id) == is_name


def test_real_collections_are_judged_sensibly(real_data: Path) -> None:
    dicom, edges = real_data / "dicom", real_data / "edge-cases"
    lung = audit_paths([dicom / "lung_pet_ct_dx"])
    assert lung.files == 128
    assert not lung.blocking()
    assert not {Finding.DATES, Finding.DATES_KEPT} & set(lung.findings)  # says that the dates were shifted
    qin = audit_paths([dicom / "qin_lung_ct"])
    assert qin.files == 326
    assert (
        qin.findings[Finding.FLAG_MISSING] == 325
    )  # the segmentation has the flag, the images name a method
    assert qin.findings[Finding.RECORD_NUMBER] == qin.findings[Finding.DEVICE] == 326
    assert qin.blocking() == ()
    compressed = audit_paths([edges / "compressed"])
    assert compressed.findings[Finding.PATIENT_NAME] == compressed.files == 12
    assert audit_paths([edges / "not-ct"]).findings[Finding.CAPTURE_UNCLEAR] == 8
    assert audit_paths([edges / "neck-only", edges / "orientation"]).blocking() == ()
