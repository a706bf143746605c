"""The findings of the de-identification audit, and the report that counts them: kinds and numbers, never values.

In: counts of files per finding. Out: `AuditReport`, which says what blocks a private folder. Imports nothing heavy,
because assets and datasets name findings too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from chestgan_core.errors import UnknownName, nearest


class Finding(StrEnum):
    """The value is what reports print and what a dataset accepts; `.meaning` is one line that explains it.

    `.identifies`: by itself it may name a person, or it means that nobody vouches for the file; it blocks a private
    folder. The others are reported: an attacker could combine them with other sources, or only the owner can judge
    them. A hospital's own number of a patient looks like a pseudonym, so a file must state that it was de-identified.
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
    FLAG_MISSING = (
        "identity-removed-flag-missing", False,
        "a de-identification method is named, but PatientIdentityRemoved does not say YES",
    )  # fmt: skip
    PATIENT_NAME = (
        "patient-name",
        True,
        "a patient's name that is neither the PatientID nor clearly a pseudonym",
    )
    PATIENT_ID = "patient-id-is-a-name", True, "a PatientID that reads like a person's name"
    BIRTH_DATE = "birth-date", True, "the patient's date of birth"
    PATIENT_DETAILS = (
        "patient-details",
        True,
        "addresses, telephone, relatives, other names or numbers of the patient",
    )
    STAFF_NAME = "staff-name", True, "the name of a physician, operator or observer"
    BURNED_IN = "burned-in-annotation", True, "BurnedInAnnotation says YES: the pixels may show a name"
    CAPTURE_UNCLEAR = (
        "capture-without-burned-in-statement", True,
        "a secondary capture that does not say that no text is burned in: screens show names",
    )  # fmt: skip
    PRIVATE_NAME = "private-name", True, "a private attribute whose type is a person's name"
    UNREADABLE = "unreadable", True, "a file or an archive whose header cannot be read, and so not audited"
    PRIVATE_TEXT = (
        "private-text", False,
        "private attributes with text or bytes, of a creator that is not known to write scan parameters only",
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
    DEVICE = "device", False, "serial number or name of the scanner"
    DATES = "dates", False, "dates, without a statement whether they were shifted"
    DATES_KEPT = (
        "dates-kept",
        False,
        "the true dates, according to LongitudinalTemporalInformationModified",
    )
    COMMENTS = "comments", False, "free text: comments, histories, reasons"
    GRAPHICS = "graphics", False, "overlays, icons or graphic annotations, which may show text"
    FACE = "recognizable-face", False, "RecognizableVisualFeatures says YES"


@dataclass(frozen=True)
class AuditReport:
    """files: all DICOM files, unreadable ones too. findings: files with each finding."""

    files: int
    findings: Mapping[Finding, int] = field(default_factory=dict)

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

    def __add__(self, other: "AuditReport") -> "AuditReport":
        together = {
            finding: count
            for finding in Finding
            if (count := self.findings.get(finding, 0) + other.findings.get(finding, 0))
        }
        return AuditReport(self.files + other.files, together)

    def as_json(self) -> dict[str, Any]:
        """As JSON: files, and finding -> number of files."""
        return {
            "files": self.files,
            "findings": {str(found): self.findings[found] for found in self._ordered()},
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "AuditReport":
        """The inverse of `as_json`; findings that this version does not have are left out."""
        counts = fields["findings"]
        return cls(int(fields["files"]), {found: int(counts[found]) for found in Finding if found in counts})

    def line(self) -> str:
        """`128 files: identity-not-removed 3!, dates 128`; ! marks what blocks a private folder."""
        counts = ", ".join(
            f"{found} {self.findings[found]}{'!' if found.identifies else ''}" for found in self._ordered()
        )
        return f"{self.files} files: {counts or 'nothing found'}"

    def _ordered(self) -> list[Finding]:
        return [finding for finding in Finding if self.findings.get(finding)]


def empty_report() -> AuditReport:
    """A report of no files, to add others to."""
    return AuditReport(0)
