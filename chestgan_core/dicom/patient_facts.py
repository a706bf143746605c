"""Sex and age of a patient as coarse as evaluations need them: three letters, and bands of at least ten years.

In: PatientSex (CS, PS3.3 C.7.1.1) and PatientAge (AS, PS3.5 6.2) as text. Out: members of closed lists, or an empty
text where a header says nothing, or nothing that the standard allows. Both are quasi-identifiers: what is returned here
is kept with the slices in the store and never published; the age itself is kept nowhere. A birth date is not read for
it.
"""

import re

SEXES = {"F": "female", "M": "male", "O": "other"}
# Years from which a band begins, and what it is called. Ages above 89 are in a band with those from 75 on (HIPAA
# safe harbor allows no finer one).
_BANDS = ((0, "under 50"), (50, "50 to 64"), (65, "65 to 74"), (75, "75 and over"))
AGE_BANDS = tuple(name for _, name in _BANDS)
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
MAX_YEARS = 120


def sex_of(text: str) -> str:
    """A key of SEXES, or empty: absent, or another value.

    Examples:
        >>> sex_of("f "), sex_of("UNKNOWN")
        ('F', '')
    """
    letter = text.strip(" \0").upper()
    return letter if letter in SEXES else ""


def age_band_of(text: str) -> str:
    """The band of an age string such as `065Y`; empty: absent, not an age string, or `000Y`, which stands for unknown.

    Examples:
        >>> age_band_of("065Y"), age_band_of("018M"), age_band_of("65")
        ('65 to 74', 'under 50', '')
    """
    written = _AGE.fullmatch(text.strip(" \0").upper())
    if written is None:
        return ""
    number, unit = int(written[1]), written[2]
    years = number / _PER_YEAR[unit]
    if (unit == "Y" and not number) or years > MAX_YEARS:
        return ""
    return next(name for start, name in reversed(_BANDS) if years >= start)
