"""One DICOM file without what identifies: the basic profile of PS3.15 annex E, with its options.

In: a `WholeFile`, options, and the pseudonyms of this installation. Out: the bytes of a file with the same pixels.

Each attribute, at any depth, is treated as its row of table E.1-1 says. Where the table leaves a choice (X/Z, X/Z/D)
the value becomes empty, or a dummy where D is among the codes, so that an object stays one of its kind. What the table
does not list stays if it is an attribute of the standard and its text passes the rules of the audit (`free_text.py`);
dates and names outside the table do not. Private attributes, overlays and curves, group lengths, the preamble, the file
meta information and bytes behind the pixels do not come over; the meta information is written anew.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import BaseTag, Tag

from chestgan_core import __version__
from chestgan_core.dicom.attribute_meanings import SCAN_PARAMETERS
from chestgan_core.dicom.cleaned_text import capped_age, cleaned_text, shifted_dates
from chestgan_core.dicom.confidentiality import BASIC_PROFILE, EDITION, Option, rule_of
from chestgan_core.dicom.header_values import (
    NUMBERS,
    TEXTS,
    Value,
    creator_of,
    implicit_vr,
    is_standard,
    is_text,
    values_in,
)
from chestgan_core.dicom.identifying_attributes import identifying_terms, names_somebody, repeats_a_name
from chestgan_core.dicom.identity import text_of
from chestgan_core.dicom.patient_ids import normal_patient_id, normal_uid
from chestgan_core.dicom.pixel_layout import UNDEFINED_LENGTH
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.synthetic import synthetic_cause
from chestgan_core.dicom.whole_file import WholeFile, encoding_of

IMPLEMENTATION_UID = "2.25.137385498472331462049087172253011385233"
STANDARD_UIDS = (
    "1.2.840.10008."  # SOP classes, transfer syntaxes, coding schemes: of the standard, not of a patient
)
DUMMY = "ANONYMIZED"
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000", "DS": "0", "IS": "0", "AS": "000Y"}
_DUMMIES |= dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), DUMMY)
_MOVED = {Option.DATES: "UNMODIFIED", Option.SHIFTED_DATES: "MODIFIED"}
_PATIENT_ID, _PATIENT_NAME = Tag("PatientID"), Tag("PatientName")
# Groups of overlays and curves (PS3.5 7.6).
_DRAWN = (0x50, 0x60)


@dataclass(frozen=True)
class Plan:
    """How files are cleaned. options: of annex E. names: keyed. stack: tells the scans of one series apart (series.py);
    each becomes a series of its own, because the times that told them apart are gone.
    """

    options: frozenset[Option]
    names: Pseudonyms
    stack: str = ""


@dataclass(frozen=True)
class CleanedFile:
    """patient, series, instance: its new names. data: the file."""

    patient: str
    series: str
    instance: str
    data: bytes


def cleaned_file(file: WholeFile, plan: Plan) -> CleanedFile:
    """The file without what identifies. Raises any exception: a value of the file cannot be read or written."""
    cleaning = _Cleaning(file, plan)
    header, after = file.parsed.header, file.after
    made = synthetic_cause(header)
    cleaning.clean(header)
    cleaning.clean(after)
    _state(header, plan.options)
    if made:  # whatever said so before: cleaning makes no generated image a real one
        header.SyntheticData = "YES"
    instance = str(header.get("SOPInstanceUID") or cleaning.new_uid(cleaning.stated_uid))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.UID(str(header.get("SOPClassUID") or cleaning.stated_class))
    meta.MediaStorageSOPInstanceUID = uid.UID(instance)
    meta.TransferSyntaxUID = uid.UID(file.parsed.syntax)
    meta.ImplementationClassUID = uid.UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "CHESTGAN"
    series = str(header.get("SeriesInstanceUID") or "")
    return CleanedFile(cleaning.patient, series, instance, _written(file, header, after, meta))


class _Cleaning:
    """What is known of one file while its attributes are cleaned."""

    def __init__(self, file: WholeFile, plan: Plan) -> None:
        header = file.parsed.header
        values = [*values_in(header), *values_in(file.after)]
        stated = next((one.text for one in values if one.tag == _PATIENT_ID and not one.depth), "")
        self.options, self.names = plan.options, plan.names
        self.stated_class = str(file.parsed.meta.get("MediaStorageSOPClassUID") or "")
        self.stated_uid = str(file.parsed.meta.get("MediaStorageSOPInstanceUID") or "")
        self.terms = identifying_terms(values, "") | _number_of(stated)
        # As the header states it in its own character set, like everybody who names patients.
        patient_id = text_of(header, "PatientID")
        study = text_of(header, "StudyInstanceUID") or text_of(header, "SeriesInstanceUID") or "unknown"
        self.patient = self.names.patient(patient_id, study)
        self.patient_id = self.patient if normal_patient_id(patient_id) else ""
        self.days = self.names.days(self.patient)
        self.series, self.stack = normal_uid(text_of(header, "SeriesInstanceUID")), plan.stack

    def clean(self, dataset: Dataset) -> None:
        """All attributes of a data set and of the items in it."""
        safe_blocks = set()
        for tag in list(dataset.keys()):
            if tag.element == 0 or tag.is_private_creator:
                continue
            element = dataset.get_item(tag)
            vr = str(element.VR or implicit_vr(dataset, tag))
            if tag.is_private:
                if self._is_safe(dataset, tag, vr):
                    safe_blocks.add((tag.group, tag.element >> 8))
                else:
                    del dataset[tag]
            elif tag.group >> 8 in _DRAWN or not is_standard(tag):
                del dataset[tag]
            else:
                self._attribute(dataset, tag, vr)
        for tag in list(dataset.keys()):
            unused = tag.is_private_creator and (tag.group, tag.element) not in safe_blocks
            if tag.element == 0 or unused:
                del dataset[tag]

    def new_uid(self, value: str) -> str:
        """The UID that stands for another one, wherever that is referred to."""
        value = normal_uid(value)
        if not value or value.startswith(STANDARD_UIDS) or Option.UIDS in self.options:
            return value
        stack = self.stack if value == self.series else ""
        return self.names.uid(value, stack)

    def _is_safe(self, dataset: Dataset, tag: BaseTag, vr: str) -> bool:
        numbers = vr in NUMBERS and vr != "UI"
        known = creator_of(dataset, tag).upper() in SCAN_PARAMETERS
        return Option.SAFE_PRIVATE in self.options and numbers and known

    def _attribute(self, dataset: Dataset, tag: BaseTag, vr: str) -> None:
        if tag in (_PATIENT_ID, _PATIENT_NAME):
            dataset[tag] = DataElement(tag, vr, self.patient_id)
            return
        rule = rule_of(tag)
        action = (
            self._without_rule(dataset, tag, vr) if rule is None else self._action(rule.basic, rule.options)
        )
        if vr == "SQ" and action in ("K", "C", "U"):
            for item in dataset[tag].value or ():
                self.clean(item)
        elif action == "X":
            del dataset[tag]
        elif action == "Z":
            self._set(dataset, tag, vr, [] if vr == "SQ" else None)
        elif action == "D":
            self._dummy(dataset, tag, vr)
        elif action == "U":
            self._set(dataset, tag, vr, [self.new_uid(one) for one in _texts(dataset[tag].value)])
        elif action == "C":
            self._cleaned(dataset, tag, vr)
        elif vr == "AS":
            self._set(dataset, tag, vr, [capped_age(one) for one in _texts(dataset[tag].value)])
        elif rule is not None and vr in TEXTS:  # kept by an option
            value = Value(dataset, tag, vr, dataset.get_item(tag).value, 0)
            if repeats_a_name(value, self.terms) or (
                "institution" not in rule.options and self._names(value)
            ):
                self._set(dataset, tag, vr, None)

    def _action(self, basic: str, options: dict[str, str]) -> str:
        """One of X, Z, D, K, C, U. Of options that differ, the one that keeps more."""
        chosen = {code for option in self.options if (code := options.get(option))}
        for code in ("K", "C"):
            if code in chosen:
                return code
        if "U" in basic:
            return "U"
        return "D" if "D" in basic else "Z" if "Z" in basic else "X"

    def _without_rule(self, dataset: Dataset, tag: BaseTag, vr: str) -> str:
        """What the table does not list: standard, and judged by its content."""
        if vr == "PN":
            return "Z"
        if vr in ("DA", "DT"):
            return (
                "K" if Option.DATES in self.options else "C" if Option.SHIFTED_DATES in self.options else "X"
            )
        if vr == "UI":
            return "U"
        if vr == "SQ":
            return "C"
        value = Value(dataset, tag, vr, dataset.get_item(tag).value, 0)
        return "Z" if is_text(value) and self._names(value) else "K"

    def _names(self, value: Value) -> bool:
        return repeats_a_name(value, self.terms) or names_somebody(value)

    def _cleaned(self, dataset: Dataset, tag: BaseTag, vr: str) -> None:
        values = _texts(dataset[tag].value)
        if vr in ("DA", "DT"):
            self._set(dataset, tag, vr, shifted_dates(values, self.days))
        elif vr == "AS":
            self._set(dataset, tag, vr, [capped_age(one) for one in values])
        elif vr in TEXTS and vr != "PN":
            self._set(dataset, tag, vr, [cleaned_text(one, self.terms) for one in values])
        elif vr != "TM" and vr not in NUMBERS:
            del dataset[tag]

    def _dummy(self, dataset: Dataset, tag: BaseTag, vr: str) -> None:
        value = dataset.get_item(tag).value
        if value in (None, "", b"") or vr == "SQ":
            self._set(dataset, tag, vr, [] if vr == "SQ" else None)
        elif vr in _DUMMIES:
            self._set(dataset, tag, vr, _DUMMIES[vr])
        elif vr == "UI":
            self._set(dataset, tag, vr, [self.new_uid(one) for one in _texts(dataset[tag].value)])
        else:
            del dataset[tag]

    @staticmethod
    def _set(dataset: Dataset, tag: BaseTag, vr: str, value: Any) -> None:
        if isinstance(value, list) and vr != "SQ":
            value = None if not any(value) else value[0] if len(value) == 1 else value
        dataset[tag] = DataElement(tag, vr, value)


def _number_of(patient_id: str) -> frozenset[str]:
    number = patient_id.strip(" \0").lower()
    return frozenset((number,)) if len(number) >= 3 else frozenset()


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return [str(value)]
    return [str(one) for one in value]


def _state(header: Dataset, options: Collection[Option]) -> None:
    """The attributes that say what was done (PS3.15 E.1.1 steps 6 to 8)."""
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = [f"DICOM PS3.15 {EDITION} annex E", f"chestgan {__version__} deidentify"]
    codes = [BASIC_PROFILE, *((option.code, option.meaning) for option in Option if option in options)]
    header.DeidentificationMethodCodeSequence = [_code(*code) for code in codes]
    kept = next((stated for option, stated in _MOVED.items() if option in options), "REMOVED")
    header.LongitudinalTemporalInformationModified = kept


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _written(file: WholeFile, header: Dataset, after: Dataset, meta: FileMetaDataset) -> bytes:
    implicit, little = encoding_of(file.parsed)
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = implicit, little
    head = DicomBytesIO()
    write_file_meta_info(head, meta, enforce_standard=True)
    out.write(bytes(128) + b"DICM" + head.getvalue())
    write_dataset(out, header)
    if file.parsed.pixels is not None:
        out.write(_pixel_element(file, little))
    write_dataset(out, after)
    return out.getvalue()


def _pixel_element(file: WholeFile, little: bool) -> bytes:
    order = "<" if little else ">"
    if file.parsed.pixels is not None and file.parsed.pixels.length == UNDEFINED_LENGTH:
        return file.pixel_head + file.pixels + struct.pack(f"{order}HHI", 0xFFFE, 0xE0DD, 0)
    size, form = (2, "H") if len(file.pixel_head) == 8 and file.pixel_head[4:6].isalpha() else (4, "I")
    return file.pixel_head[:-size] + struct.pack(f"{order}{form}", len(file.pixels)) + file.pixels
