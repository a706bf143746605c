"""The audit against the table of the standard: every attribute of it, at the top and nested, is seen."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.datadict import dictionary_VR, get_entry
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from chestgan_core.cli.main import main
from chestgan_core.dicom.audit import Finding, Unexamined, audit_paths, findings_of_file
from chestgan_core.dicom.audit_report import AuditReport
from chestgan_core.dicom.burned_in import has_text
from chestgan_core.dicom.confidentiality import EDITION, Option, rule_of, rules
from chestgan_core.dicom.free_text import has_date, has_name, reads_like_a_name
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

CLEAN: dict[str, Any] = {"PatientName": None, "PatientIdentityRemoved": "YES"}
VALUES = {
    "DA": "19600131", "DT": "19600131120000", "TM": "120000", "DS": "71.5", "IS": "7", "AS": "061Y", "PN": "Doe^Jane",
    "US": 7, "UL": 7, "SS": 7, "SL": 7, "FD": 7.0, "FL": 7.0, "OB": b"text", "OW": b"text", "UN": b"text",
    "OF": b"text", "UR": "http://a.example", "AE": "PACS1", "CS": "AB", "AT": 0x00100010,
}  # fmt: skip
# PatientID may stay if it is a pseudonym: who says so is PatientIdentityRemoved.
JUDGED_BY_VALUE = ("PatientID",)


def findings(file: Dataset) -> set[Finding]:
    return findings_of_file(as_bytes(file))


def value_of(vr: str) -> Any:
    if vr == "SQ":
        item = Dataset()
        item.CodeValue = "1"
        return [item]
    return VALUES.get(vr, "4711")


def listed() -> list[tuple[int, str]]:
    known = []
    for tag, rule in rules().items():
        try:
            vr = dictionary_VR(tag).split(" ")[0]
        except KeyError:
            vr = "LO"  # newer than pydicom's dictionary
        if vr != "UI" and tag >> 16 >= 8 and rule.keyword not in JUDGED_BY_VALUE and tag != 0xFFFCFFFC:
            known.append((tag, vr))
    return known


def test_the_table_is_that_of_its_edition() -> None:
    table = rules()
    assert EDITION == "2026d"
    assert len(table) == 653  # and the private attributes, curves, overlay data and overlay comments
    assert rule_of(Tag("PatientName")).basic == "Z"
    assert rule_of(Tag("StudyDate")).options == {"dates": "K", "shifted-dates": "C"}
    assert rule_of(Tag(0x6002, 0x3000)).options == {"graphics": "C"}
    assert rule_of(Tag(0x5012, 0x0010)).basic == "X"
    assert rule_of(Tag("Rows")) is None
    offered = {option for rule in table.values() for option in rule.options}
    assert offered == {str(option) for option in Option} - {"safe-private"} | {"structured", "graphics"}


@pytest.mark.parametrize("nested", [False, True])
def test_every_attribute_of_the_table_gives_a_finding(nested: bool) -> None:
    assert len(listed()) > 560
    missed = []
    for tag, vr in listed():
        file = ct_slice(**CLEAN)
        where: Dataset = file
        if nested:
            where = Dataset()
            file.ReferencedImageSequence = [where]
        where.add(DataElement(tag, vr, value_of(vr)))
        if not findings(file):
            missed.append(rule_of(tag).keyword)
    assert missed == []


def test_types_that_a_file_does_not_state_change_nothing() -> None:
    for tag, vr in listed()[::7]:
        file = ct_slice(**CLEAN)
        file.add(DataElement(tag, vr, value_of(vr)))
        stated = findings(file)
        file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        try:
            get_entry(tag)
        except KeyError:
            continue  # of an attribute that pydicom does not know the type is only in the file
        assert findings(file) == stated, rule_of(tag).keyword


@pytest.mark.parametrize(
    ("patient_id", "is_name"),
    [
        ("MUELLERHANS19600131", True), ("Mueller Hans 31.01.1960", True), ("HM19600131", True), ("19600131", True),
        ("smith1960", True), ("MUELLER_HANS_17", True), ("Müller", True), ("Mueller", True), ("Patient_Mueller", True),
        ("山田太郎", True), ("Lung_Dx-A0001", False), ("TCGA-17-Z058", False), ("2178309", False),
        ("P0a1b2c3d4e5", False),
        ("LIDC-IDRI-0003", False), ("1.3.6.1.4.1.14519.5.2.1", False), ("Klinik17", False), ("ANONYMOUS", False),
    ],
)  # fmt: skip
def test_a_patient_id_that_is_a_name_or_a_date(patient_id: str, is_name: bool) -> None:
    assert reads_like_a_name(patient_id) == is_name
    found = findings(ct_slice(**{**CLEAN, "PatientID": patient_id, "SpecificCharacterSet": "ISO_IR 192"}))
    assert (Finding.PATIENT_ID in found) == is_name


@pytest.mark.parametrize("patient_id", ["Mueller", "DOE_JANE", "Doe^Jane"])
def test_a_name_stays_a_name_when_it_is_the_patient_id_too(patient_id: str) -> None:
    found = findings(ct_slice(**{**CLEAN, "PatientID": patient_id, "PatientName": patient_id}))
    assert {Finding.PATIENT_NAME, Finding.PATIENT_ID} <= found


def test_a_pseudonym_may_be_id_and_name_at_any_depth() -> None:
    item = Dataset()
    item.PatientID = item.PatientName = "Lung_Dx-A0001"
    file = ct_slice(**{**CLEAN, "PatientID": "Lung_Dx-A0001", "PatientName": "Lung_Dx-A0001"})
    file.ReferencedImageSequence = [item]
    file.StudyDescription = "Chest of Lung_Dx-A0001"
    assert findings(file) == {Finding.DESCRIPTIONS, Finding.OTHER}
    item.PatientID = "Mueller^Hans"
    assert Finding.OTHER_ID in findings(file)
    item.PatientID = "4711"
    assert Finding.OTHER_ID in findings(file)


@pytest.mark.parametrize("text", [
    "CT chest for Hans Mueller 31.01.1960", "Mueller Hans", "Thorax Hans-Peter Mueller", "seen by Dr. Cox",
    "HansMueller", "born 1960-01-31", "dob 31 Jan 1960", "Jan 31, 1960", "1960/1/31", "31.01.60", "control 19600131",
    "31. Januar 1960", "MUELLER_HANS", "Frau Mueller",
])  # fmt: skip
@pytest.mark.parametrize(
    "keyword", ["StudyDescription", "ProtocolName", "ConvolutionKernel", "TextComments", "StationName"]
)
def test_names_and_dates_in_free_text_stop(text: str, keyword: str) -> None:
    file = ct_slice(**{**CLEAN, keyword: text, "SpecificCharacterSet": "ISO_IR 192"})
    assert Finding.TEXT in findings(file)
    file = ct_slice(**{**CLEAN, "SpecificCharacterSet": "ISO_IR 192"})
    file.private_block(0x0019, "SACRED HEART PACS", create=True).add_new(0x10, "LO", text)
    assert Finding.TEXT in findings(file)


@pytest.mark.parametrize("text", [
    "Thorax 5.0 B70f", "CT CHEST WITHOUT IV CONTRAST", "ThoraxRoutine  3.0  SPO  cor", "1.25mm LUNG",
    "5.14 LTRC STUDY", "PE-Fast + 40 and over Delay", "Lunge nativ 1.0 Br60", "CHEST/ABD/PELVIS W CON",
    "CTA 1.3:1 120kV", "LightSpeed VCT",
    "5.10 PE>200 LBS/ 91 KG 5CC/SEC INJECTION RATE (IF POSSIBLE)", "STD BRAIN 5MM", "2.16.840.1.113669.632.20.1211",
])  # fmt: skip
def test_descriptions_of_scans_are_no_names(text: str) -> None:
    assert not has_name(text)
    assert not has_date(text)


def test_names_in_codes_that_people_type_stop() -> None:
    assert Finding.TEXT in findings(ct_slice(**{**CLEAN, "BodyPartExamined": "HANS MUELLER"}))
    assert Finding.TEXT in findings(ct_slice(**{**CLEAN, "SpecificCharacterSet": "HANS MUELLER"}))
    assert findings(ct_slice(**{**CLEAN, "SpecificCharacterSet": ["", "ISO 2022 IR 87"]})) == set()
    assert findings(ct_slice(**{**CLEAN, "BodyPartExamined": "CHEST ABDOMEN"})) == set()


def test_a_name_of_the_header_is_found_in_every_other_value() -> None:
    def with_name(change: Any) -> set[Finding]:
        file = ct_slice(**{**CLEAN, "PatientName": "Doe^Jane"})
        change(file)
        return findings(file)

    assert Finding.NAME_REPEATED not in with_name(lambda file: None)
    assert Finding.NAME_REPEATED not in with_name(lambda file: setattr(file, "ProtocolName", "dose"))
    for keyword in (
        "SeriesDescription",
        "ConvolutionKernel",
        "Manufacturer",
        "BodyPartExamined",
        "StationName",
    ):
        assert Finding.NAME_REPEATED in with_name(lambda file, k=keyword: setattr(file, k, "CHEST DOE"))
    assert Finding.NAME_REPEATED in with_name(
        lambda file: setattr(file.file_meta, "SourceApplicationEntityTitle", "JANE_CT")
    )

    def private(file: Dataset) -> None:
        file.private_block(0x0019, "GEMS_PARM_01", create=True).add_new(0x10, "UN", b"of jane\0")

    assert Finding.NAME_REPEATED in with_name(private)
    assert Finding.NAME_REPEATED in with_name(lambda file: file.private_block(0x0019, "BY DOE", create=True))


def test_short_names_are_looked_for_and_are_not_the_words_of_the_standard() -> None:
    file = ct_slice(**{**CLEAN, "PatientName": "Hu^Li", "RescaleType": "HU", "PatientID": "4711"})
    assert findings(file) == {Finding.PATIENT_NAME}
    file.SeriesDescription = "Thorax LI 5.0"
    assert Finding.NAME_REPEATED in findings(file)


def test_keyed_names_are_never_taken_for_names_or_dates() -> None:
    for name in ("P19600131abcd", "Pabcdefab1960", "NOID-decade196001"[:17], "P000000abc1987"[:13]):
        assert not reads_like_a_name(name)
        assert not findings(ct_slice(**{**CLEAN, "PatientID": name, "PatientName": name}))


def test_what_is_in_no_attribute_is_found() -> None:
    clean = as_bytes(ct_slice(**CLEAN))
    assert findings_of_file(clean) == set()
    assert findings_of_file(b"Mueller".ljust(128, b"\0") + clean[128:]) == {Finding.PREAMBLE}
    assert findings_of_file(clean + b"Mueller^Hans") == {Finding.HIDDEN_BYTES}
    assert findings_of_file(clean + b"Doe") == {Finding.HIDDEN_BYTES}
    assert findings_of_file(clean + bytes(1000)) == set()
    padding = b"\xfc\xff\xfc\xffOB\0\0"
    assert findings_of_file(clean + padding + b"\x08\0\0\0Mueller ") == {Finding.HIDDEN_BYTES}
    assert findings_of_file(clean + padding + b"\x08\0\0\0" + bytes(8)) == set()
    longer = ct_slice(**CLEAN)
    longer.PixelData += b"Mueller^Hans"
    assert findings(longer) == {Finding.HIDDEN_BYTES}
    longer.PixelData = ct_slice().PixelData + bytes(12)
    assert findings(longer) == set()


def test_bytes_behind_a_file_without_pixels_are_found() -> None:
    report = ct_slice(**CLEAN)
    del report.PixelData
    data = as_bytes(report)
    assert findings_of_file(data) == set()
    for extra in (b"Doe", b"Doe^Jane", b"Mueller^Hans 19600131"):
        assert findings_of_file(data + extra) & {
            Finding.HIDDEN_BYTES,
            Finding.UNKNOWN,
            Finding.UNREADABLE,
            Finding.TEXT,
        }


def test_signatures_behind_the_pixels_are_attributes() -> None:
    signed = ct_slice(**CLEAN)
    item = Dataset()
    item.CertificateOfSigner = b"text"
    signed.DigitalSignaturesSequence = [item]
    assert findings(signed) == {Finding.STAFF_NAME, Finding.OTHER}


def test_file_meta_information_is_examined() -> None:
    def with_meta(**changes: Any) -> set[Finding]:
        file = ct_slice(**CLEAN)
        for keyword, value in changes.items():
            setattr(file.file_meta, keyword, value)
        return findings(file)

    assert with_meta(SourceApplicationEntityTitle="CT01") == {Finding.DEVICE}
    assert with_meta(SendingApplicationEntityTitle="MUELLER_HANS") == {Finding.DEVICE, Finding.TEXT}
    assert Finding.META_PRIVATE in with_meta(PrivateInformationCreatorUID="1.2", PrivateInformation=b"bed 12")


def test_overlays_documents_and_unknown_attributes_stop() -> None:
    for tag, vr, value, finding in (
        (0x60003000, "OW", b"\0\1" * 8, Finding.OVERLAY),
        (0x60023000, "OW", b"\1\0" * 8, Finding.OVERLAY),
        (0x50003000, "OW", b"\1\0" * 8, Finding.OVERLAY),
        (0x00420011, "OB", b"%PDF", Finding.DOCUMENT),
        (0x00280FFF, "LO", "bed 12", Finding.UNKNOWN),
    ):
        file = ct_slice(**CLEAN)
        file.add(DataElement(tag, vr, value))
        assert findings(file) == {finding}
    file = ct_slice(**CLEAN)
    file.add(DataElement(0x60003000, "OW", bytes(16)))
    assert findings(file) == set()


def test_files_without_preamble_are_examined(tmp_path: Path) -> None:
    named = as_bytes(ct_slice(**{**CLEAN, "PatientName": "Doe^Jane"}))
    end = 144 + int.from_bytes(named[140:144], "little")
    (tmp_path / "set.dcm").write_bytes(named[end:])
    (tmp_path / "meta.dcm").write_bytes(named[132:])
    assert audit_paths([tmp_path]).findings == {Finding.PATIENT_NAME: 2}


@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00180050, "DS"), (0x00200013, "IS"), (0x00080030, "TM"), (0x00191010, "DS")]
)
def test_words_in_place_of_numbers_are_text(tag: int, vr: str) -> None:
    def with_value(text: bytes) -> set[Finding]:
        file = ct_slice(**{**CLEAN, "SliceThickness": None})
        file.add(DataElement(0x00190010, "LO", "GEMS_ACQU_01"))
        file._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(text), text, 0, False, True)
        return findings(file)

    assert Finding.TEXT in with_value(b"Mueller ")
    assert Finding.TEXT not in with_value(b"3.0 mm")


@pytest.mark.parametrize(("start", "marker"), [
    (b"\xff\xd8", b"\xff\xfe"), (b"\xff\xd8\xff\xe0\x00\x04ab", b"\xff\xe1"),
    (b"\xff\x4f\xff\x51\x00\x04ab", b"\xff\x64"),
])  # fmt: skip
def test_comments_inside_compressed_pixels_are_read(start: bytes, marker: bytes) -> None:
    def with_comment(text: bytes) -> set[Finding]:
        file = ct_slice(**CLEAN)
        file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if start[1] == 0xD8 else JPEG2000Lossless
        segment = marker + (len(text) + 4).to_bytes(2, "big") + b"\0\1" + text
        file.PixelData = encapsulate([start + segment + b"\xff\xda" + bytes(100)])
        file["PixelData"].VR = "OB"
        return findings(file)

    assert with_comment(b"Created by OpenJPEG version 2.5") == set()
    assert with_comment(b"for Hans Mueller") == {Finding.TEXT}


def test_the_exit_status_says_whether_everything_was_examined(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "1.dcm").write_bytes(as_bytes(ct_slice(**CLEAN)))
    assert main(["audit", str(tmp_path)]) == 0
    assert "every file was examined" in capsys.readouterr().err
    (tmp_path / "LICENSE").write_text("CC BY 4.0")
    assert main(["audit", str(tmp_path)]) == 3
    assert "nothing is said of the other files" in capsys.readouterr().err
    (tmp_path / "2.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    report = audit_paths([tmp_path])
    assert report.unexamined == {Unexamined.OTHER_FILE: 1, Unexamined.ARCHIVE: 1}
    (tmp_path / "3.dcm").write_bytes(as_bytes(ct_slice(z=3, **{**CLEAN, "PatientName": "Doe^Jane"})))
    assert main(["audit", str(tmp_path)]) == 1
    printed = capsys.readouterr().err
    assert "chestgan deidentify" in printed
    assert "Doe" not in printed
    assert AuditReport(0).exit_status() == 3


def text_on(hu: np.ndarray, text: str, size: int, place: tuple[int, int]) -> np.ndarray:
    picture = Image.new("L", hu.shape[::-1])
    ImageDraw.Draw(picture).text(place, text, fill=255, font=ImageFont.load_default(size))
    return np.where(np.asarray(picture) > 127, hu.max(), hu)


@pytest.mark.parametrize("size", [10, 14, 22])
def test_text_beside_the_body_is_seen(size: int) -> None:
    noise = np.random.default_rng(0).normal(0, 20, (512, 512))
    hu = (np.kron(chest_hu(), np.ones((4, 4))) + noise).astype(np.int16)
    assert not has_text(hu)
    assert has_text(text_on(hu, "MUELLER HANS 31.01.1960", size, (8, 8)))
    assert has_text(text_on(hu, "Doe, Jane", size, (8, 420)))


def test_a_sample_of_each_series_is_searched(tmp_path: Path) -> None:
    hu = np.kron(chest_hu(), np.ones((4, 4))).astype(np.int16)
    for z in range(9):
        named = text_on(hu, "Doe, Jane", 14, (8, 8))
        (tmp_path / f"{z}.dcm").write_bytes(as_bytes(ct_slice(named, z=z, **CLEAN)))
    report = audit_paths([tmp_path])
    assert report.pictures == 4  # the 1st, 2nd, 4th and 8th
    assert report.findings == {Finding.TEXT_IN_PIXELS: 4}


def test_no_value_reaches_the_report_of_a_file_that_says_it_everywhere() -> None:
    file = ct_slice(**{**CLEAN, "PatientName": "Doe^Jane", "StudyDescription": "Jane Doe 31.01.1960"})
    out = io.StringIO()
    print(sorted(findings(file)), file=out)
    assert not any(word in out.getvalue() for word in ("Doe", "Jane", "1960"))
