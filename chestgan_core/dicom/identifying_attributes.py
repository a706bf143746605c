"""What in the attributes of one file may identify the patient.

In: a `WholeFile`. Out: the findings in it, sequences included; no value leaves this module.

Examined are all attributes of DICOM PS3.15 table E.1-1 (`confidentiality.py`) except UIDs, which every image has and
which name nobody, and besides them: every person's name, date and free text of other attributes, private attributes,
the file meta information, the preamble, and bytes behind the pixels.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, get_entry, private_dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from chestgan_core.dicom.audit_report import Finding
from chestgan_core.dicom.confidentiality import rule_of
from chestgan_core.dicom.free_text import (
    is_nothing,
    is_placeholder,
    mentions,
    parts_of,
    reads_like_a_name,
    reads_like_text_about_a_person,
)
from chestgan_core.dicom.headers import SECONDARY_CAPTURE
from chestgan_core.dicom.whole_file import WholeFile

# The table says what to do with an attribute, not what it tells. These say it; the others follow by the options of
# their row (`_finding_of`).
ATTRIBUTES: dict[Finding, tuple[str, ...]] = {
    Finding.BIRTH_DATE: (
        "PatientBirthDate", "PatientBirthTime", "PatientBirthDateInAlternativeCalendar",
        "PatientDeathDateInAlternativeCalendar",
    ),
    Finding.PATIENT_DETAILS: (
        "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthName",
        "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers", "PatientTelecomInformation",
        "PatientInsurancePlanCodeSequence", "InsurancePlanIdentification", "MedicalRecordLocator", "MilitaryRank",
        "BranchOfService", "CountryOfResidence", "RegionOfResidence", "PatientReligiousPreference", "Occupation",
        "ResponsiblePerson", "ResponsibleOrganization", "PersonAddress", "PersonTelephoneNumbers",
        "PersonTelecomInformation", "PersonIdentificationCodeSequence", "PatientPrimaryLanguageCodeSequence",
        "CurrentPatientLocation", "PatientInstitutionResidence", "ReferencedPatientPhotoSequence",
        "TelephoneNumberTrial", "VerbalSourceTrial", "AddressTrial", "VisitorPassNumber",
        "GPSLatitude", "GPSLongitude", "GPSAltitude", "GPSMapDatum", "GPSDestLatitude", "GPSDestLongitude",
        "GPSAreaInformation", "GPSProcessingMethod",
    ),
    Finding.STAFF_NAME: (  # names of staff are found by their type; these identify staff in other ways
        "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers",
        "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianIdentificationSequence",
        "PerformingPhysicianIdentificationSequence", "PhysiciansOfRecordIdentificationSequence",
        "PhysiciansReadingStudyIdentificationSequence", "OperatorIdentificationSequence",
        "OrderCallbackPhoneNumber", "OrderCallbackTelecomInformation", "OrderEnteredBy", "OrderEntererLocation",
        "CertificateOfSigner", "CameraOwnerName", "DistributionName", "DistributionAddress",
    ),
    Finding.DOCUMENT: ("EncapsulatedDocument",),
    Finding.RECORD_NUMBER: (
        "AccessionNumber", "IssuerOfAccessionNumberSequence", "AdmissionID", "IssuerOfAdmissionID",
        "IssuerOfAdmissionIDSequence", "IssuerOfPatientID", "IssuerOfServiceEpisodeID",
        "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest", "RequestedProcedureID",
        "ScheduledProcedureStepID", "PerformedProcedureStepID", "ServiceEpisodeID",
    ),
    Finding.INSTITUTION: (
        "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "InstitutionCodeSequence",
        "InstitutionalDepartmentTypeCodeSequence", "RequestingService",
    ),
    Finding.DEVICE: ("SourceSerialNumber",),
    Finding.COMMENTS: (
        "ImageComments", "PatientComments", "StudyComments", "FrameComments", "AdditionalPatientHistory",
        "AcquisitionComments", "RequestedProcedureComments", "CommentsOnThePerformedProcedureStep",
        "CommentsOnTheScheduledProcedureStep", "ImagingServiceRequestComments", "VisitComments",
        "ReasonForTheRequestedProcedure", "ReasonForStudy", "MedicalAlerts", "Allergies", "PatientState",
        "IdentifyingComments", "TextComments", "InterpretationText", "ResultsComments",
    ),
    Finding.GRAPHICS: ("IconImageSequence", "GraphicAnnotationSequence"),
}  # fmt: skip

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
TEXTS = frozenset(("AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_TIMES = frozenset(("DA", "DT", "TM"))
# Free text whose words are no prose: codes, companies and products, statements about de-identification.
NO_PROSE = frozenset(map(Tag, (
    "CodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeVersion", "LongCodeValue", "CodingSchemeName",
    "DeidentificationMethod", "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "RescaleType",
    "ImplementationVersionName",
)))  # fmt: skip
# Findings of their own, which need no second one for what the text says.
_SAID_ALREADY = frozenset((
    Finding.PATIENT_NAME, Finding.PATIENT_DETAILS, Finding.STAFF_NAME, Finding.RECORD_NUMBER, Finding.INSTITUTION,
    Finding.DATES, Finding.BIRTH_DATE,
))  # fmt: skip
# A private value is text if nearly all of its bytes can be shown.
_MIN_PRINTABLE, _MIN_TEXT_BYTES = 0.9, 4

_PATIENT_NAME, _PATIENT_ID = Tag("PatientName"), Tag("PatientID")
_META_PRIVATE = Tag(0x0002, 0x0102)


def _curated() -> dict[BaseTag, Finding]:
    return {
        Tag(tag): finding
        for finding, keywords in ATTRIBUTES.items()
        for keyword in keywords
        if (tag := tag_for_keyword(keyword)) is not None
    }


_CURATED = _curated()


class Value(NamedTuple):
    """An attribute that has a value. dataset: the item that it is in. raw: as pydicom holds it, None for a sequence.
    depth: of sequences around it.
    """

    dataset: Dataset
    tag: BaseTag
    vr: str
    raw: Any
    depth: int

    @property
    def text(self) -> str:
        """As UTF-8, else Latin-1: which letters they are does not matter, only that they are the same in all values."""
        return _text_of(self.raw)


def findings_in(file: WholeFile) -> set[Finding]:
    """The findings in one file, pixels apart. Raises any exception: a value cannot be read."""
    header, meta = file.parsed.header, list(values_in(file.parsed.meta))
    values = [*values_in(header), *values_in(file.after)]
    found = _statements(header)
    patient_id = next(
        (one.text.strip(" \0") for one in values if one.tag == _PATIENT_ID and not one.depth), ""
    )
    if reads_like_a_name(patient_id):
        found.add(Finding.PATIENT_ID)
    terms = identifying_terms(values, patient_id)
    times = False
    for value in values:
        own = _finding_in(value, patient_id)
        if own in (Finding.DATES, Finding.DATES_KEPT):
            times = True
        elif own:
            found.add(own)
        if is_text(value) and value.vr not in _TIMES and value.tag not in (_PATIENT_NAME, _PATIENT_ID):
            found |= _text_findings(value, own, terms)
    if times:
        modified = _text(header, "LongitudinalTemporalInformationModified").upper()
        if modified not in ("MODIFIED", "REMOVED"):
            found.add(Finding.DATES_KEPT if modified == "UNMODIFIED" else Finding.DATES)
    for value in meta:
        found |= _meta_findings(value, terms)
    if file.preamble.strip(b"\0"):
        found.add(Finding.PREAMBLE)
    if file.hidden:
        found.add(Finding.HIDDEN_BYTES)
    return found


def identifying_terms(values: list[Value], patient_id: str) -> frozenset[str]:
    """Parts of names and numbers in name attributes, at any depth, that no other value may hold (in lower case)."""
    terms: set[str] = set()
    for value in values:
        if value.vr == "PN" and not _names_nobody(value, patient_id):
            terms.update(parts_of(value.text))
        elif value.tag == _PATIENT_ID and (value.depth or reads_like_a_name(value.text)):
            terms.update(parts_of(value.text))
            if (number := value.text.strip(" \0").lower()) != patient_id.lower():
                terms.add(number)
        elif value.tag == Tag("OtherPatientIDs"):
            terms.update(part.strip().lower() for part in value.text.split("\\"))
    return frozenset(term for term in terms if len(term) >= 3)


def is_text(value: Value) -> bool:
    """Whether a value is text: by its type, or because nearly all of its bytes can be shown."""
    if value.vr in TEXTS:
        return True
    if value.vr not in ("UN", "OB") or not isinstance(value.raw, bytes):
        return False
    data = value.raw.strip(b"\0 ")
    shown = sum(byte >= 32 or byte in b"\t\r\n" for byte in data)
    return len(data) >= _MIN_TEXT_BYTES and shown >= _MIN_PRINTABLE * len(data)


def values_in(dataset: Dataset, depth: int = 0) -> Iterator[Value]:
    """Attributes that have a value, each with the item that it is in; the items of sequences follow their sequence.

    Raw elements are not converted: that would take four times as long.
    """
    for tag in dataset.keys():  # noqa: SIM118 (a Dataset iterates over its values)
        if (
            tag.element == 0 or tag.is_private_creator
        ):  # group lengths; creators name the writer, not the content
            continue
        raw = dataset.get_item(tag)
        vr = str(raw.VR or implicit_vr(dataset, tag))
        if vr == "UN" and not tag.is_private and is_standard(tag):
            vr = dictionary_VR(tag)
        if vr == "SQ":
            items = dataset[tag].value or ()
            if len(items):
                yield Value(dataset, tag, vr, None, depth)
            for item in items:
                yield from values_in(item, depth + 1)
        elif raw.value not in (None, "", b"") and not _is_blank(raw.value):
            yield Value(dataset, tag, vr, raw.value, depth)


def implicit_vr(dataset: Dataset, tag: BaseTag) -> str:
    """The value representation of an attribute that does not state it; UN: nobody knows."""
    try:
        if tag.is_private:
            return private_dictionary_VR(tag, creator_of(dataset, tag))
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def is_standard(tag: BaseTag) -> bool:
    """Whether the standard has this attribute, those of repeating groups (overlays, curves) too."""
    try:
        return bool(get_entry(tag))
    except KeyError:
        return rule_of(tag) is not None


def creator_of(dataset: Dataset, tag: BaseTag) -> str:
    """The creator of a private attribute (PS3.5 7.8.1), or an empty text where it is not stated."""
    reserved = Tag(tag.group, tag.element >> 8)
    return str(dataset[reserved].value or "").strip(" \0") if reserved in dataset else ""


def _finding_in(value: Value, patient_id: str) -> Finding | None:
    tag, vr = value.tag, value.vr
    if tag.is_private:
        return _private_finding(value)
    if tag == _PATIENT_NAME:
        return None if _names_nobody(value, patient_id) else Finding.PATIENT_NAME
    if tag == _PATIENT_ID:
        other = value.depth and value.text.strip(" \0") != patient_id and not is_nothing(value.text, vr)
        return Finding.OTHER_ID if other else None
    finding = _finding_of(tag, vr)
    if vr == "PN":
        return None if _names_nobody(value) else _CURATED.get(tag, Finding.STAFF_NAME)
    if finding is Finding.OVERLAY:
        return finding if _is_drawn(value) else None
    if finding and vr != "SQ" and is_nothing(value.text, vr):
        return None
    if finding is None and vr not in NUMBERS and not is_standard(tag):
        return Finding.UNKNOWN
    return finding


def _finding_of(tag: BaseTag, vr: str) -> Finding | None:
    """What an attribute tells by the table; None: it may stay."""
    if tag in _CURATED:
        return _CURATED[tag]
    if tag.group & 0xFF00 in (0x5000, 0x6000) and tag.group <= 0x60FF:
        return Finding.OVERLAY if rule_of(tag) else None
    rule = rule_of(tag)
    if rule is None:
        return Finding.DATES if vr in ("DA", "DT") else None
    if "U" in rule.basic or vr == "UI":
        return None
    if vr == "SQ":  # what its items tell is judged by itself
        return Finding.OTHER
    if rule.keyword.startswith("ClinicalTrial"):
        return Finding.TRIAL
    for option, finding in (
        ("dates", Finding.DATES),
        ("patient", Finding.PATIENT_TRAITS),
        ("device", Finding.DEVICE),
        ("institution", Finding.INSTITUTION),
        ("graphics", Finding.GRAPHICS),
        ("descriptors", Finding.DESCRIPTIONS),
    ):
        if option in rule.options:
            return finding
    return Finding.DATES if vr in _TIMES else Finding.OTHER


def _private_finding(value: Value) -> Finding:
    if value.vr == "PN":
        return Finding.PRIVATE_NAME
    if value.vr in NUMBERS or creator_of(value.dataset, value.tag).upper() in SCAN_PARAMETERS:
        return Finding.PRIVATE_TAGS
    return Finding.PRIVATE_TEXT


def _text_findings(value: Value, own: Finding | None, terms: frozenset[str]) -> set[Finding]:
    found = set()
    if value.vr != "PN" and own not in _SAID_ALREADY and mentions(value.text, terms):
        found.add(Finding.NAME_REPEATED)
    prose = value.vr not in ("PN", "CS", "AS") and value.tag not in NO_PROSE and own not in _SAID_ALREADY
    if prose and any(map(reads_like_text_about_a_person, value.text.split("\\"))):
        found.add(Finding.TEXT)
    return found


def _meta_findings(value: Value, terms: frozenset[str]) -> set[Finding]:
    found = set()
    if value.tag == _META_PRIVATE or not is_standard(value.tag):
        found.add(Finding.META_PRIVATE)
    elif value.vr in ("AE", "UR"):
        found.add(Finding.DEVICE)
    if is_text(value):
        found |= _text_findings(value, None, terms)
    return found


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


def _is_drawn(value: Value) -> bool:
    return bool(value.raw.strip(b"\0")) if isinstance(value.raw, bytes) else not _is_blank(value.raw)


def _is_blank(value: Any) -> bool:
    return isinstance(value, bytes) and not value.strip(b" \0^=\\")


def _names_nobody(value: Value, patient_id: str = "") -> bool:
    parts = [part.strip(" ^=\0") for part in value.text.split("\\")]
    pseudonym = patient_id if not reads_like_a_name(patient_id) else ""
    return all(is_placeholder(part) or (pseudonym != "" and part == pseudonym) for part in parts)


def _text_of(raw: Any) -> str:
    if isinstance(raw, bytes):
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    if isinstance(raw, str) or not hasattr(raw, "__iter__"):
        return str(raw)
    return "\\".join(map(str, raw))


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip(" \0")
