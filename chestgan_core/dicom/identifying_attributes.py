"""Attributes of a header that may identify the patient.

In: a DICOM header without pixels. Out: the findings in it, sequences included; no value leaves this module.

The attributes are a selection of DICOM PS3.15 table E.1-1 (Basic Application Level Confidentiality Profile): those that
say who and where, or are free text. Attributes that every image has are not in it (UIDs, descriptions of study, series
and protocol, age, sex, StudyID, which scanners count from 1): every file would have such a finding.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydicom.datadict import dictionary_VR, private_dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from chestgan_core.dicom.audit_report import Finding
from chestgan_core.dicom.headers import SECONDARY_CAPTURE

ATTRIBUTES: dict[Finding, tuple[str, ...]] = {
    Finding.BIRTH_DATE: ("PatientBirthDate", "PatientBirthTime", "PatientBirthDateInAlternativeCalendar"),
    Finding.PATIENT_DETAILS: (
        "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthName",
        "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers", "PatientTelecomInformation",
        "PatientInsurancePlanCodeSequence", "InsurancePlanIdentification", "MedicalRecordLocator", "MilitaryRank",
        "BranchOfService", "CountryOfResidence", "RegionOfResidence", "PatientReligiousPreference", "Occupation",
        "ResponsiblePerson", "ResponsibleOrganization", "PersonAddress", "PersonTelephoneNumbers",
        "PersonTelecomInformation", "PersonIdentificationCodeSequence", "PatientPrimaryLanguageCodeSequence",
        "CurrentPatientLocation", "PatientInstitutionResidence", "ReferencedPatientPhotoSequence",
    ),
    Finding.STAFF_NAME: (  # names of staff are found by their type; these identify staff in other ways
        "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers",
        "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianIdentificationSequence",
        "PerformingPhysicianIdentificationSequence", "PhysiciansOfRecordIdentificationSequence",
        "PhysiciansReadingStudyIdentificationSequence", "OperatorIdentificationSequence",
        "OrderCallbackPhoneNumber", "OrderEnteredBy",
    ),
    Finding.RECORD_NUMBER: (
        "AccessionNumber", "IssuerOfAccessionNumberSequence", "AdmissionID", "IssuerOfPatientID",
        "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest", "RequestedProcedureID",
        "ScheduledProcedureStepID", "PerformedProcedureStepID", "ServiceEpisodeID",
    ),
    Finding.INSTITUTION: (
        "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "InstitutionCodeSequence",
        "InstitutionalDepartmentTypeCodeSequence", "RequestingService", "ClinicalTrialSiteName",
    ),
    Finding.DEVICE: (
        "DeviceSerialNumber", "StationName", "GantryID", "DetectorID", "PlateID", "CassetteID", "GeneratorID",
        "ScheduledStationAETitle", "ScheduledStationName", "PerformedStationName", "PerformedStationAETitle",
        "DeviceUID", "SourceSerialNumber",
    ),
    Finding.COMMENTS: (
        "ImageComments", "PatientComments", "StudyComments", "FrameComments", "AdditionalPatientHistory",
        "AcquisitionComments", "RequestedProcedureComments", "CommentsOnThePerformedProcedureStep",
        "CommentsOnTheScheduledProcedureStep", "ImagingServiceRequestComments", "VisitComments",
        "ReasonForTheRequestedProcedure", "ReasonForStudy", "MedicalAlerts", "Allergies", "PatientState",
        "IdentifyingComments", "TextComments", "InterpretationText", "ResultsComments",
    ),
    Finding.GRAPHICS: ("IconImageSequence", "GraphicAnnotationSequence"),
}  # fmt: skip
DATES = (
    "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime", "InstanceCreationDate",
    "PerformedProcedureStepStartDate", "ScheduledProcedureStepStartDate", "AdmittingDate", "OverlayDate",
)  # fmt: skip

# Creators of private attributes that hold scan and reconstruction parameters: those named in PS3.15 table E.3.10-1
# (safe private attributes), and blocks of the same vendors that were checked in real files. CTP is the
# de-identification tool of TCIA: collection and site numbers. Not among them, because they hold texts or archive data:
# SIEMENS CSA and MEDCOM headers, GEMS_IDEN_01, GEMS_PATI_01, GEIIS.
SCAN_PARAMETERS = frozenset((
    "CTP", "ELSCINT1", "GEHC_CT_ADVAPP_001", "GEIIS PACS", "GEMS_ACQU_01", "GEMS_HELIOS_01", "GEMS_IMAG_01",
    "GEMS_IMPS_01", "GEMS_PARM_01", "GEMS_RELA_01", "GEMS_SERS_01", "PHILIPS IMAGING DD 001",
    "PHILIPS PET PRIVATE GROUP", "SIEMENS CT VA0  COAD", "SIEMENS MED", "SIEMENS MR HEADER", "TOSHIBA_MEC_CT3",
))  # fmt: skip
# Value representations of numbers and UIDs, which cannot hold a name (PS3.5 6.2).
NUMBERS = frozenset(
    ("AT", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UI", "UL", "US", "UV")
)

# Words that replace a name.
PLACEHOLDERS = frozenset((
    "anon", "3dslicer", "anonym", "anonymous", "anonymised", "anonymized", "by", "case", "ctp", "de", "deidentified",
    "doctor", "dummy", "hidden", "id", "identified", "masked", "name", "no", "noname", "none", "nobody", "observer",
    "operator", "patient", "phantom", "physician", "pseudonym", "pseudonymised", "pseudonymized", "reader",
    "redacted", "removed", "reserved", "subject", "test", "unknown", "x", "xx", "xxx", "xxxx",
))  # fmt: skip
_SEPARATORS = re.compile(r"[\s^=,;._-]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_HASH = re.compile(r"[0-9a-fA-F-]{16,}")


# Overlay Data and Overlay Comments, in repeating groups (PS3.5 7.6).
_OVERLAYS = frozenset(
    Tag(group, element) for group in range(0x6000, 0x6020, 2) for element in (0x3000, 0x4000)
)


def _rules() -> dict[BaseTag, Finding]:
    rules = {}
    for finding, keywords in ATTRIBUTES.items():
        for keyword in keywords:
            if (tag := tag_for_keyword(keyword)) is None:
                raise ValueError(f"{keyword} is not an attribute that pydicom knows")
            rules[Tag(tag)] = finding
    return rules | dict.fromkeys(_OVERLAYS, Finding.GRAPHICS)


_RULES = _rules()
_DATES = frozenset(Tag(keyword) for keyword in DATES)
_PATIENT_NAME = Tag("PatientName")


def findings_of(header: Dataset) -> set[Finding]:
    """The findings in one header (without pixels), including its sequences at any depth."""
    found = _statements(header)
    patient_id = _text(header, "PatientID")
    if reads_like_a_name(patient_id):
        found.add(Finding.PATIENT_ID)
    dated = False
    for dataset, tag, vr, value in _values(header):
        if tag.is_private:
            found.add(_private_finding(dataset, tag, vr))
        elif tag == _PATIENT_NAME:
            if not _names_nobody(value, patient_id):
                found.add(Finding.PATIENT_NAME)
        elif finding := _RULES.get(tag):
            if vr != "PN" or not _names_nobody(value):
                found.add(finding)
        elif vr == "PN":
            if not _names_nobody(value):
                found.add(Finding.STAFF_NAME)
        elif tag in _DATES:
            dated = True
    if dated:
        modified = _text(header, "LongitudinalTemporalInformationModified").upper()
        if modified not in ("MODIFIED", "REMOVED"):
            found.add(Finding.DATES_KEPT if modified == "UNMODIFIED" else Finding.DATES)
    return found


def is_placeholder(name: str) -> bool:
    """Whether the value of a name attribute is clearly not a name.

    That is so if each of its words is a placeholder (anonymous, patient, ...), a single letter, or a code: it has a
    digit and at most three letters in a row. A hash or UUID is not a name either. `smith1960` is not clearly a code.
    """
    text = name.strip(" ^=\0")
    if not text or _HASH.fullmatch(text):
        return True
    return all(
        len(word) == 1
        or word.lower() in PLACEHOLDERS
        or (any(map(str.isdigit, word)) and all(len(run) <= 3 for run in _LETTERS.findall(word)))
        for word in _SEPARATORS.split(text)
        if word
    )


def reads_like_a_name(patient_id: str) -> bool:
    """Whether a PatientID has two words or more and no digit: `MUELLER_HANS`, `Doe^Jane`."""
    words = [word for word in _SEPARATORS.split(patient_id.strip()) if word]
    return (
        len(words) > 1
        and not any(map(str.isdigit, patient_id))
        and not any(word.lower() in PLACEHOLDERS for word in words)
    )


def _statements(header: Dataset) -> set[Finding]:
    """Findings about the statements that the header makes, or fails to make, about its de-identification."""
    found = set()
    removed = _text(header, "PatientIdentityRemoved").upper()
    named = bool(_text(header, "DeidentificationMethod") or header.get("DeidentificationMethodCodeSequence"))
    if removed == "NO":
        found.add(Finding.NOT_REMOVED)
    elif removed != "YES":
        found.add(Finding.FLAG_MISSING if named else Finding.NOT_STATED)
    burned_in = _text(header, "BurnedInAnnotation").upper()
    if burned_in == "YES":
        found.add(Finding.BURNED_IN)
    elif burned_in != "NO" and _text(header, "SOPClassUID").startswith(SECONDARY_CAPTURE):
        found.add(Finding.CAPTURE_UNCLEAR)
    if _text(header, "RecognizableVisualFeatures").upper() == "YES":
        found.add(Finding.FACE)
    return found


def _private_finding(dataset: Dataset, tag: BaseTag, vr: str) -> Finding:
    if vr == "PN":
        return Finding.PRIVATE_NAME
    if vr in NUMBERS or _creator(dataset, tag).upper() in SCAN_PARAMETERS:
        return Finding.PRIVATE_TAGS
    return Finding.PRIVATE_TEXT


def _values(dataset: Dataset) -> Iterator[tuple[Dataset, BaseTag, str, Any]]:
    """Attributes that have a value, each with the item that it is in; the items of sequences follow their sequence.

    Raw elements are not converted: that would take four times as long.
    """
    for tag in dataset.keys():  # noqa: SIM118 (a Dataset iterates over its values)
        if (
            tag.element == 0 or tag.is_private_creator
        ):  # group lengths; creators name the writer, not the content
            continue
        raw = dataset.get_item(tag)
        vr = str(raw.VR or _implicit_vr(dataset, tag))
        if vr == "SQ":
            items = dataset[tag].value or ()
            if len(items):
                yield dataset, tag, vr, None
            for item in items:
                yield from _values(item)
        elif raw.value not in (None, "", b"") and not _is_blank(raw.value):
            yield dataset, tag, vr, raw.value


def _implicit_vr(dataset: Dataset, tag: BaseTag) -> str:
    try:
        if tag.is_private:
            return private_dictionary_VR(tag, _creator(dataset, tag))
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _creator(dataset: Dataset, tag: BaseTag) -> str:
    """The creator of a private attribute (PS3.5 7.8.1), or an empty text where it is not stated."""
    reserved = Tag(tag.group, tag.element >> 8)
    return str(dataset[reserved].value or "").strip() if reserved in dataset else ""


def _is_blank(value: Any) -> bool:
    return isinstance(value, bytes) and not value.strip(b" \0^=\\")


def _names_nobody(value: Any, patient_id: str = "") -> bool:
    # Latin-1 decodes any bytes; which letters they are does not matter, only that they are letters.
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    parts = [part.strip(" ^=\0") for part in text.split("\\")]
    return all(is_placeholder(part) or (patient_id != "" and part == patient_id) for part in parts)


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip()
