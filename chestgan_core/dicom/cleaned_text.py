"""Free text and dates, cleaned: what is left of them names nobody and tells no true day.

In: text of one value, the terms of the header that it must not hold, a number of days. Out: the words of `known_words`,
codes and numbers of the text; the date, moved.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta

from chestgan_core.dicom.free_text import has_date, may_be_a_name, mentions, reads_like_text_about_a_person

_LETTERS = re.compile(r"[^\W\d_]+")
_SPLIT_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MAX_DIGITS = 4  # of a number that is kept: longer ones are numbers of records
_MAX_AGE = 89  # years; older people are few (US 45 CFR 164.514(b)(2)(i)(C))


def cleaned_text(text: str, terms: frozenset[str] = frozenset()) -> str:
    """The pieces between blanks that hold only known words, codes and short numbers; empty where it still names."""
    kept = " ".join(piece for piece in text.split() if _is_harmless(piece, terms))
    return "" if reads_like_text_about_a_person(kept) or mentions(kept, terms) else kept


def shifted_dates(values: Iterable[str], days: int) -> list[str]:
    """Values of DA or DT (PS3.5 6.2), each moved to an earlier day; what is no date becomes empty."""
    return [_shifted(value.strip(" \0"), days) for value in values]


def capped_age(text: str) -> str:
    """An age (`095Y`); above 89 years, 090Y."""
    found = re.fullmatch(r"(\d{3})Y", text.strip(" \0"))
    return "090Y" if found and int(found[1]) > _MAX_AGE else text


def _is_harmless(piece: str, terms: frozenset[str]) -> bool:
    words = [word for run in _LETTERS.findall(piece) for word in _SPLIT_CASE.split(run)]
    digits = max(map(len, re.findall(r"\d+", piece)), default=0)
    return not (
        digits > _MAX_DIGITS
        or any((len(word) > 3 and _is_unknown(word)) or may_be_a_name(word) for word in words)
        or has_date(piece)
        or mentions(piece, terms)
    )


def _is_unknown(word: str) -> bool:
    from chestgan_core.dicom.free_text import known_words

    return word.lower() not in known_words()


def _shifted(value: str, days: int) -> str:
    found = re.fullmatch(r"(\d{4})[.]?(\d\d)[.]?(\d\d)(\d*(?:\.\d+)?(?:[+-]\d{4})?)", value)
    if not found:
        return ""
    try:
        day = date(int(found[1]), int(found[2]), int(found[3])) - timedelta(days)
    except (ValueError, OverflowError):
        return ""
    return f"{day:%Y%m%d}{found[4]}" if day.year >= 1000 else ""
