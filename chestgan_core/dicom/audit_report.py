"""What the de-identification audit can find, and the report that counts it: kinds and numbers, never values.

In: counts of files per finding. Out: `AuditReport`, which says what stops a private folder. Imports nothing heavy,
because assets and datasets name findings too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from chestgan_core.errors import BadInput


class Finding(StrEnum):
    """The value is what reports print and what a dataset accepts; `.meaning` is one line that explains it.

    `.identifies`: by itself it may name a person, or it means that nobody vouches for the file; it stops a private
    folder. The others say what an attacker could combine with other sources, or what only an owner can judge: they are
    reported. A hospital's own number of a patient looks like a pseudonym; therefore a file must say somewhere that it
    was de-identified.
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
        "a patient's name that is neither the PatientID nor plainly a pseudonym",
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
    UNREADABLE = "unreadable", True, "a file or an archive whose header cannot be read, and so not judged"
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
    DATES = "dates", False, "dates, and nothing says whether they were shifted"
    DATES_KEPT = (
        "dates-kept",
        False,
        "dates that LongitudinalTemporalInformationModified says are the true ones",
    )
    COMMENTS = "comments", False, "free text: comments, histories, reasons"
    GRAPHICS = "graphics", False, "overlays, icons or graphic annotations, which may show text"
    FACE = "recognizable-face", False, "RecognizableVisualFeatures says YES"


@dataclass(frozen=True)
class AuditReport:
    """files: DICOM files that were looked at, and those that could not be. findings: files with each finding."""

    files: int
    findings: Mapping[Finding, int] = field(default_factory=dict)

    def stopping(self, accepted: Collection[str] = ()) -> tuple[Finding, ...]:
        """What stops a private folder: findings that identify and are not among the accepted names.

        Raises BadInput for an accepted name that is no finding: a misspelled one must not seem to accept anything.
        """
        known = {str(finding) for finding in Finding}
        if unknown := sorted(set(accepted) - known):
            raise BadInput(
                "accepted_findings",
                f"no finding is called {unknown[0]}",
                f"choose of {', '.join(sorted(known))}",
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
        """For json.dumps: files, and finding -> files."""
        return {
            "files": self.files,
            "findings": {str(found): self.findings[found] for found in self._ordered()},
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "AuditReport":
        """The inverse of `as_json`; findings that this list does not know (any more) are left out."""
        counts = told["findings"]
        return cls(int(told["files"]), {found: int(counts[found]) for found in Finding if found in counts})

    def line(self) -> str:
        """`128 files: identity-not-removed 3!, dates 128`; ! marks what stops a private folder."""
        told = ", ".join(
            f"{found} {self.findings[found]}{'!' if found.identifies else ''}" for found in self._ordered()
        )
        return f"{self.files} files: {told or 'nothing found'}"

    def _ordered(self) -> list[Finding]:
        return [finding for finding in Finding if self.findings.get(finding)]


def no_audit() -> AuditReport:
    """The report of nothing, to add others to."""
    return AuditReport(0)
