"""The findings of the de-identification audit, and the report that counts them: kinds and numbers, never values.

In: counts of files per finding. Out: `AuditReport`, which says what blocks a private folder. Imports nothing heavy,
because assets and datasets name findings too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from chestgan_core.errors import UnknownName, nearest
from chestgan_core.reasons import Reason, in_words

NOT_EXAMINED = 3  # exit status: nothing that blocks was found, but not everything was examined


class Finding(StrEnum):
    """The value is what reports print and what a dataset accepts; `.meaning` is one line that explains it.

    `.identifies`: by itself it may name a person, or it means that nobody vouches for the file or can see what it
    holds; it blocks a private folder. The others are reported: an attacker could combine them with other sources, or
    only the owner can judge them. A hospital's own number of a patient looks like a pseudonym, so a file must state
    that it was de-identified.
    """

    meaning: str
    identifies: bool

    def __new__(cls, value: str, identifies: bool, meaning: str) -> "Finding":
        """A member that is the string `value` and carries the rest."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.identifies = identifies
        member.meaning = meaning
        return member

    NOT_REMOVED = "identity-not-removed", True, "PatientIdentityRemoved says NO"
    NOT_STATED = (
        "de-identification-not-stated", True,
        "neither PatientIdentityRemoved YES nor a de-identification method: PatientID may be a hospital's number",
    )  # fmt: skip
    PATIENT_NAME = "patient-name", True, "a patient's name that is not clearly a pseudonym"
    PATIENT_ID = "patient-id-is-a-name", True, "a PatientID that reads like a person's name, or holds a date"
    OTHER_ID = "other-patient-id", True, "another PatientID in a sequence than that of the file"
    BIRTH_DATE = "birth-date", True, "the patient's date of birth"
    PATIENT_DETAILS = (
        "patient-details",
        True,
        "addresses, telephone, relatives, other names or numbers of the patient, a place on the map",
    )
    STAFF_NAME = "staff-name", True, "the name of a physician, operator, observer, sponsor or author"
    NAME_REPEATED = (
        "name-repeated", True,
        "a name or number of a name attribute, also in another value: a description, private or file meta information",
    )  # fmt: skip
    TEXT = (
        "text-about-a-person",
        True,
        "free text with a date, or with words side by side that may be a name",
    )
    DOCUMENT = "document", True, "an encapsulated document (PDF, CDA, model): what it says is not examined"
    OVERLAY = "overlay", True, "an overlay or curve in which something is drawn, as PACS draw text"
    BURNED_IN = "burned-in-annotation", True, "BurnedInAnnotation says YES: the pixels may show a name"
    CAPTURE_UNCLEAR = (
        "capture-without-burned-in-statement", True,
        "a secondary capture that does not say that no text is burned in: screens show names",
    )  # fmt: skip
    TEXT_IN_PIXELS = "text-in-pixels", True, "rows of marks beside the body that look like burned-in text"
    PRIVATE_NAME = "private-name", True, "a private attribute whose type is a person's name"
    META_PRIVATE = "file-meta", True, "private or unknown information in the file meta information"
    PREAMBLE = "preamble", True, "bytes in the preamble, which no DICOM viewer shows"
    HIDDEN_BYTES = "hidden-bytes", True, "bytes behind the pixels or the data set, which no viewer shows"
    UNKNOWN = "unknown-attribute", True, "text or bytes in an attribute that is neither standard nor private"
    UNREADABLE = "unreadable", True, "a file or an archive that cannot be read, and so not audited"
    FLAG_MISSING = (
        "identity-removed-flag-missing", False,
        "a de-identification method is named, but PatientIdentityRemoved does not say YES",
    )  # fmt: skip
    PRIVATE_TEXT = (
        "private-text", False,
        "private attributes with text or bytes whose meaning is not known",
    )  # fmt: skip
    PRIVATE_TAGS = (
        "private-tags",
        False,
        "private attributes: numbers, or of a creator known to write scan parameters",
    )
    RECORD_NUMBER = (
        "record-number",
        False,
        "accession, admission or order numbers, which a hospital can look up",
    )
    INSTITUTION = "institution", False, "name, address or department of the institution"
    TRIAL = "clinical-trial", False, "sponsor, protocol, site or subject of a clinical trial"
    DEVICE = "device", False, "serial number, name or network title of the scanner or another system"
    DATES = "dates", False, "dates or times, without a statement whether they were shifted"
    DATES_KEPT = (
        "dates-kept",
        False,
        "the true dates, according to LongitudinalTemporalInformationModified",
    )
    PATIENT_TRAITS = "patient-characteristics", False, "age, sex, size, weight, ethnic group and the like"
    COMMENTS = "comments", False, "free text: comments, histories, reasons"
    DESCRIPTIONS = "descriptions", False, "descriptions and labels that somebody typed"
    GRAPHICS = "graphics", False, "icons or graphic annotations, which may show text"
    FACE = "recognizable-face", False, "RecognizableVisualFeatures says YES"
    OTHER = (
        "other-attributes",
        False,
        "further attributes that the basic profile of DICOM PS3.15 removes or replaces",
    )


class Unexamined(Reason):
    """What the audit did not look at. `.meaning` explains it in one line."""

    OTHER_FILE = "not-dicom", "a file that is not DICOM (table, document, picture): whatever it says"
    ARCHIVE = "archive", "an archive that is not opened (.7z, .rar, encrypted, ...)"
    SPECIAL_FILE = "special-file", "a link out of the folder, a pipe or a device"
    UNSAFE_NAME = "unsafe-name", "an entry of an archive whose name leads out of it"
    TOO_LARGE = "too-large", "larger than a file of images can be: bytes beyond the limit"


@dataclass(frozen=True)
class AuditReport:
    """files: all DICOM files, unreadable ones too. findings: files with each finding. unexamined: files that were not
    looked at, by reason. pictures: images whose pixels were searched for burned-in text.
    """

    files: int
    findings: Mapping[Finding, int] = field(default_factory=dict)
    unexamined: Mapping[Unexamined, int] = field(default_factory=dict)
    pictures: int = 0

    def blocking(self, accepted: Collection[str] = ()) -> tuple[Finding, ...]:
        """What blocks a private folder: findings that identify and are not among the accepted names.

        Raises UnknownName: an accepted name is not a finding; a misspelled one must not seem to accept anything.
        """
        known = {str(finding) for finding in Finding}
        if unknown := sorted(set(accepted) - known):
            raise UnknownName(
                "accepted_findings", f"{unknown[0]} is not a finding", nearest(unknown[0], known)
            )
        return tuple(found for found in self._ordered() if found.identifies and found not in accepted)

    def exit_status(self) -> int:
        """1: a finding blocks a private folder; 3: none does, but not all files were examined, or none; else 0."""
        if self.blocking():
            return 1
        return NOT_EXAMINED if self.unexamined or not self.files else 0

    def __add__(self, other: "AuditReport") -> "AuditReport":
        return AuditReport(
            self.files + other.files,
            _sum(Finding, self.findings, other.findings),
            _sum(Unexamined, self.unexamined, other.unexamined),
            self.pictures + other.pictures,
        )

    def as_json(self) -> dict[str, Any]:
        """As JSON: files, pictures, finding -> number of files, reason -> number of files that were not examined."""
        return {
            "files": self.files,
            "findings": {str(found): self.findings[found] for found in self._ordered()},
            "unexamined": {str(reason): count for reason, count in self.unexamined.items()},
            "pictures": self.pictures,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "AuditReport":
        """The inverse of `as_json`; findings that this version does not have are left out."""
        counts, unexamined = fields["findings"], fields.get("unexamined", {})
        return cls(
            int(fields["files"]),
            {found: int(counts[found]) for found in Finding if found in counts},
            {reason: int(unexamined[reason]) for reason in Unexamined if reason in unexamined},
            int(fields.get("pictures", 0)),
        )

    def line(self) -> str:
        """`128 files: identity-not-removed 3!, dates 128`; ! marks what blocks a private folder."""
        counts = ", ".join(
            f"{found} {self.findings[found]}{'!' if found.identifies else ''}" for found in self._ordered()
        )
        more = f"; not examined: {in_words(self.unexamined)}" if self.unexamined else ""
        return f"{self.files} files: {counts or 'nothing found'}{more}"

    def _ordered(self) -> list[Finding]:
        return [finding for finding in Finding if self.findings.get(finding)]


Kind = TypeVar("Kind", Finding, Unexamined)


def _sum(kinds: type[Kind], one: Mapping[Kind, int], other: Mapping[Kind, int]) -> dict[Kind, int]:
    return {kind: count for kind in kinds if (count := one.get(kind, 0) + other.get(kind, 0))}


def empty_report() -> AuditReport:
    """A report of no files, to add others to."""
    return AuditReport(0)
