"""What in the attributes of one file may identify the patient.

In: a `WholeFile`. Out: the findings in it, sequences included; no value leaves this module.

Examined are all attributes of DICOM PS3.15 table E.1-1 (`confidentiality.py`) except UIDs, which every image has and
which name nobody, and besides them: every person's name, date and free text of other attributes, private attributes,
the file meta information, the preamble, comments inside compressed pixels, and bytes behind the pixels.
"""

import re

from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from chestgan_core.dicom.attribute_meanings import CURATED, SCAN_PARAMETERS, finding_of
from chestgan_core.dicom.audit_report import Finding
from chestgan_core.dicom.codestream_text import texts_in
from chestgan_core.dicom.free_text import (
    has_date,
    is_nothing,
    is_placeholder,
    may_be_a_name,
    mentions,
    parts_of,
    reads_like_a_name,
    reads_like_text_about_a_person,
)
from chestgan_core.dicom.header_values import (
    MAX_TEXT,
    NUMBERS,
    WRITTEN_NUMBERS,
    Value,
    creator_of,
    is_blank,
    is_standard,
    is_text,
    values_in,
)
from chestgan_core.dicom.headers import SECONDARY_CAPTURE
from chestgan_core.dicom.whole_file import WholeFile

# Free text whose words are no prose: codes, companies and products, statements about de-identification.
NO_PROSE = frozenset(map(Tag, (
    "CodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeVersion", "LongCodeValue", "CodingSchemeName",
    "DeidentificationMethod", "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "RescaleType",
    "ImplementationVersionName",
)))  # fmt: skip
# Attributes that decide what the pixels mean, and the words that the standard has for them.
_CODED = frozenset(map(Tag, (
    "Modality", "ImageType", "PhotometricInterpretation", "PatientPosition", "RescaleType", "RotationDirection",
    "SpecificCharacterSet", "BurnedInAnnotation", "PatientIdentityRemoved", "LossyImageCompression",
)))  # fmt: skip
_CODES = frozenset((
    "", "CT", "MR", "PT", "CR", "DX", "SC", "OT", "SEG", "SR", "ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL",
    "LOCALIZER", "OTHER", "MPR", "REFORMATTED", "AVERAGE", "MONOCHROME1", "MONOCHROME2", "RGB", "HFS", "HFP", "HFDR",
    "HFDL", "FFS", "FFP", "FFDR", "FFDL", "HU", "US", "CW", "CC", "ISO_IR", "ISO", "IR", "2022", "6", "13", "87",
    "100", "101", "109", "110", "126", "127", "138", "144", "148", "149", "159", "166", "192", "GB18030", "GBK", "NO",
    "YES", "00", "01",
))  # fmt: skip
# Findings of their own, which need no second one for what the text says.
_SAID_ALREADY = frozenset((
    Finding.PATIENT_NAME, Finding.PATIENT_DETAILS, Finding.STAFF_NAME, Finding.RECORD_NUMBER, Finding.INSTITUTION,
    Finding.DATES, Finding.BIRTH_DATE,
))  # fmt: skip
_PATIENT_NAME, _PATIENT_ID, _OTHER_IDS = Tag("PatientName"), Tag("PatientID"), Tag("OtherPatientIDs")
_CHARACTER_SET, _BODY_PART = Tag("SpecificCharacterSet"), Tag("BodyPartExamined")
_META_PRIVATE = Tag(0x0002, 0x0102)


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
        if is_text(value) and value.tag not in (_PATIENT_NAME, _PATIENT_ID):
            found |= _text_findings(value, own, terms)
    if times:
        modified = _text(header, "LongitudinalTemporalInformationModified").upper()
        if modified not in ("MODIFIED", "REMOVED"):
            found.add(Finding.DATES_KEPT if modified == "UNMODIFIED" else Finding.DATES)
    for value in meta:
        found |= _meta_findings(value, terms)
    for text in texts_in(file.pixels):
        if mentions(text, terms):
            found.add(Finding.NAME_REPEATED)
        if reads_like_text_about_a_person(text):
            found.add(Finding.TEXT)
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
        elif value.tag == _PATIENT_ID:
            number = value.text.strip(" \0")
            if number != patient_id or reads_like_a_name(number):
                terms.update(parts_of(number))
            if number != patient_id:
                terms.add(number.lower())
        elif value.tag == _OTHER_IDS:
            terms.update(part.strip().lower() for part in value.text.split("\\"))
    return frozenset(term for term in terms if len(term) >= 2)


def _finding_in(value: Value, patient_id: str) -> Finding | None:
    tag, vr = value.tag, value.vr
    if tag.is_private_creator:  # names the program that wrote the block
        return None
    if tag.is_private:
        return _private_finding(value)
    if tag == _PATIENT_NAME:
        return None if _names_nobody(value, patient_id) else Finding.PATIENT_NAME
    if tag == _PATIENT_ID:
        other = value.depth and value.text.strip(" \0") != patient_id and not is_nothing(value.text, vr)
        return Finding.OTHER_ID if other else None
    finding = finding_of(tag, vr)
    if vr == "PN":
        return None if _names_nobody(value) else CURATED.get(tag, Finding.STAFF_NAME)
    if finding is Finding.OVERLAY:
        return finding if _is_drawn(value) else None
    if finding and vr != "SQ" and is_nothing(value.text, vr):
        return None
    if finding is None and vr not in NUMBERS and not is_standard(tag):
        return Finding.UNKNOWN
    return finding


def _private_finding(value: Value) -> Finding:
    if value.vr == "PN":
        return Finding.PRIVATE_NAME
    if value.vr in NUMBERS or creator_of(value.dataset, value.tag).upper() in SCAN_PARAMETERS:
        return Finding.PRIVATE_TAGS
    return Finding.PRIVATE_TEXT


def repeats_a_name(value: Value, terms: frozenset[str]) -> bool:
    """Whether one of the terms is in a text, other than as a word of the standard: somebody may be called Hu."""
    if value.tag in _CODED and set(re.split(r"[\\\s\0]+", value.text)) <= _CODES:
        return False
    return mentions(value.text, terms)


def names_somebody(value: Value) -> bool:
    """Whether a text reads like a name or has a date, where its attribute is for prose or for numbers."""
    if value.tag.is_private_creator:
        return has_date(value.text)
    if value.vr in WRITTEN_NUMBERS:
        return any(map(may_be_a_name, re.findall(r"[^\W\d_]+", value.text)))
    if value.tag == _CHARACTER_SET:
        return any(part.strip(" \0") not in python_encoding for part in value.text.split("\\"))
    typed = value.vr != "CS" or value.tag == _BODY_PART  # other codes are from lists that scanners have
    if not typed or value.vr in ("PN", "AS") or value.tag in NO_PROSE:
        return False
    return any(map(reads_like_text_about_a_person, value.text.split("\\")))


def _text_findings(value: Value, own: Finding | None, terms: frozenset[str]) -> set[Finding]:
    found = set()
    if isinstance(value.raw, bytes) and len(value.raw) > MAX_TEXT:
        return {Finding.TEXT}
    if value.vr != "PN" and own not in _SAID_ALREADY and repeats_a_name(value, terms):
        found.add(Finding.NAME_REPEATED)
    if (own not in _SAID_ALREADY or own is Finding.DATES) and names_somebody(value):
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
    return bool(value.raw.strip(b"\0")) if isinstance(value.raw, bytes) else not is_blank(value.raw)


def _names_nobody(value: Value, patient_id: str = "") -> bool:
    parts = [part.strip(" ^=\0") for part in value.text.split("\\")]
    pseudonym = patient_id if not reads_like_a_name(patient_id) else ""
    return all(is_placeholder(part) or (pseudonym != "" and part == pseudonym) for part in parts)


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip(" \0")
