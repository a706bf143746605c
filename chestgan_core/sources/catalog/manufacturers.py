"""The family of a manufacturer: what remains of the text that a private header has in Manufacturer.

In: a Manufacturer (DICOM PS3.3 C.7.5.1). Out: one of a closed list, unknown where it is empty, other where it is none
of them. Whoever typed a name into the header of a private folder finds it nowhere but there.
"""

import re

# Regular expression, searched in lower case; family: the present name of the company. The first that matches decides.
_FAMILIES: tuple[tuple[str, str], ...] = (
    (r"chestgan phantom", "phantom"),
    (r"\bge\b|general electric|gems", "GE"),
    (r"siemens", "Siemens"),
    (r"philips|elscint|picker", "Philips"),
    (r"canon|toshiba", "Canon"),
    (r"fuji|hitachi", "Fujifilm"),
    (r"united imaging|\buih\b", "United Imaging"),
    (r"neusoft", "Neusoft"),
    (r"samsung|neurologica", "Samsung"),
    (r"shimadzu", "Shimadzu"),
    (r"carestream|kodak", "Carestream"),
    (r"varian", "Varian"),
    (r"elekta", "Elekta"),
)
UNKNOWN = "unknown"
FAMILIES = (*(family for _, family in _FAMILIES), "other", UNKNOWN)


def manufacturer_family(manufacturer: str) -> str:
    """One of FAMILIES. A family is its own family."""
    text = manufacturer.strip().lower()
    if text in ("", UNKNOWN):
        return UNKNOWN
    for pattern, family in _FAMILIES:
        if text == family.lower() or re.search(pattern, text):
            return family
    return "other"
