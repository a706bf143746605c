"""Ids of patients, studies, series and images, in the form in which they are compared.

In: values from DICOM or from tables of a provider. Out: the same values without what is not significant. Every path
compares ids in this form: otherwise one person could be two patients, one trained on and the other held out. Imports
nothing heavy.

Rules: leading and trailing blanks of an LO and the padding of a UI are not significant (DICOM PS3.5 6.2). Beyond the
standard, ids that differ in their Unicode form only (composed or decomposed accents, full-width digits: NFKC) are
equal: they come from one id through two programs. Case is significant.
"""

import re
import unicodedata

NO_ID = "NOID-"
_NO_ID_NAME = re.compile(rf"{NO_ID}[0-9a-f]{{12}}")
# Ids that software or people write where they have none. Files of several people may share one.
_PLACEHOLDER = re.compile(
    r"0+|x+|-+|\?+|\.+|_+|n/?a|nan|null|nil|none|no[ _-]?id|empty|blank|id|patient([ _-]?id)?|test|dummy|default|"
    r"anon(ym(ous|ized|ised|us|isiert)?)?|de-?identified|removed|redacted|unknown|undefined|unbekannt|inconnu",
    re.IGNORECASE,
)


def normal_patient_id(value: str) -> str:
    """A PatientID as ids are compared; empty where it has no character that is shown."""
    return _without_ends(unicodedata.normalize("NFKC", value))


def normal_uid(value: str) -> str:
    """A UID without padding: the standard pads with one NUL, others with blanks."""
    return _without_ends(value)


def is_placeholder(patient_id: str) -> bool:
    """Whether a PatientID is one of the words that stand for a missing id: `ANONYMOUS`, `0`, `n/a`."""
    return bool(_PLACEHOLDER.fullmatch(patient_id))


def has_no_id(patient: str) -> bool:
    """Whether the name of a patient (`Pseudonyms.patient`) stands for a study whose files have no PatientID."""
    return bool(_NO_ID_NAME.fullmatch(patient))


def _without_ends(value: str) -> str:
    """Without blanks, controls and marks that are not shown at both ends (Unicode categories Z and C)."""
    start, end = 0, len(value)
    while start < end and _is_blank(value[start]):
        start += 1
    while end > start and _is_blank(value[end - 1]):
        end -= 1
    return value[start:end]


def _is_blank(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Zs")
