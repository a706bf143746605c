"""Values of header attributes, whatever a file holds in them.

In: a dataset and keywords. Out: text, numbers, or None where a value is absent or not what its attribute should hold.
pydicom converts a value when it is read and raises any exception on a damaged one; here an attribute that cannot be
converted never costs the file: whoever needs it says so by its name.
"""

import math
import unicodedata
from functools import cache, lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

MAX_TEXT = 1024  # characters; the longest text that becomes a row (LO, SH, CS) may have 64 (DICOM PS3.5 6.2)
# Control characters, marks without a shape (direction of writing, joiners), line and paragraph separators.
_UNPRINTABLE = ("Cc", "Cf", "Zl", "Zp")
MAX_WHOLE = 2**63
# Types of text and numbers: what such a value means depends on its bytes, byte order and character set only.
_CONVERTED_BY_ITSELF = frozenset(
    ("AS", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "SH", "SL", "SS", "TM", "UI", "UL", "US")
)


def value_of(header: Dataset, keyword: str) -> Any:
    """The value as pydicom converts it, not to be changed; None: absent, empty, or damaged."""
    tag = tag_of(keyword)
    try:
        raw = header.get_item(tag)
        if (
            isinstance(raw, RawDataElement)
            and (raw.VR or _kind(keyword)) in _CONVERTED_BY_ITSELF
            and len(raw.value or b"") <= MAX_TEXT
        ):
            encodings = header.original_character_set or header._character_set
            named = encodings if isinstance(encodings, str) else tuple(encodings)
            return _converted(keyword, raw.VR, raw.value, raw.is_little_endian, named)
        element = header.get(tag)
        return None if element is None else element.value
    except Exception:  # pydicom raises any exception on damaged values
        return None


@cache
def tag_of(keyword: str) -> BaseTag:
    """The tag, one object for each keyword: by it a value is found much faster than by keyword or by an equal tag."""
    return Tag(keyword)


def tags_of(*keywords: str) -> dict[int, BaseTag]:
    """The tags by their numbers, for `dicom_file.parse`, which needs the character set in any case."""
    return {int(tag_of(keyword)): tag_of(keyword) for keyword in ("SpecificCharacterSet", *keywords)}


@cache
def _kind(keyword: str) -> str:
    """The type of an attribute that is written without it."""
    return dictionary_VR(tag_of(keyword))


@lru_cache(4096)
def _converted(
    keyword: str, kind: str | None, value: bytes | None, little: bool, encodings: str | tuple[str, ...]
) -> Any:
    """Most values are those of the slice before, and pydicom takes longer to convert them than to read them."""
    raw = RawDataElement(tag_of(keyword), kind, len(value or b""), value, 0, False, little)
    return convert_raw_data_element(
        raw, encoding=encodings if isinstance(encodings, str) else list(encodings)
    ).value


def printable_of(header: Dataset, keyword: str) -> str:
    """The text of an attribute, printable; several values, which some vendors write, are joined as in DICOM."""
    value = value_of(header, keyword)
    if value is None:
        return ""
    try:
        return clean_text("\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value))
    except Exception:  # a value of another type than its attribute has
        return ""


def clean_text(text: str) -> str:
    """Text that Parquet, JSON, logs and terminals can write, at most MAX_TEXT characters.

    Control characters and marks without a shape are removed. Half a surrogate pair, which some character sets
    (utf-7) decode to and no encoding can write, becomes U+FFFD.
    """
    text = text[: 4 * MAX_TEXT]
    if not text.isascii() or not text.isprintable():
        text = "".join(
            "\N{REPLACEMENT CHARACTER}" if kind == "Cs" else character
            for character in text
            if (kind := unicodedata.category(character)) not in _UNPRINTABLE
        )
    return text.strip()[:MAX_TEXT]


def number_of(header: Dataset, keyword: str) -> float | None:
    """The first value as a finite number; None: absent, or not a number."""
    numbers = numbers_of(header, keyword)
    return numbers[0] if numbers else None


def numbers_of(header: Dataset, keyword: str) -> tuple[float, ...] | None:
    """All values as finite numbers; None: absent, or one of them is not a number."""
    value = value_of(header, keyword)
    if value is None:
        return None
    if type(value) is int:  # not a number that was text, which may have any length
        return (float(value),)
    parts = value if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def whole_of(header: Dataset, keyword: str) -> int | None:
    """The first value as a whole number, whichever type it was written with; None: absent, or none below 2^63."""
    number = number_of(header, keyword)
    if number is None or not number.is_integer() or abs(number) >= MAX_WHOLE:
        return None
    return int(number)


def problem_of(header: Dataset, keyword: str, numbers: int = 1) -> str:
    """`Rows is 70000`, `RescaleSlope is missing`: what is wrong with an attribute. Shows numbers, never text, which
    could name a person. numbers: how many values it should have.
    """
    found = numbers_of(header, keyword)
    if found is not None:
        shown = " x ".join(f"{number:.10g}" for number in found[: max(numbers, 1)])
        few = "" if len(found) == numbers or numbers == 1 else f" ({len(found)} values instead of {numbers})"
        return f"{keyword} is {shown}{few}"
    if keyword not in header:
        return f"{keyword} is missing"
    return f"{keyword} is empty" if _empty(header, keyword) else f"{keyword} is not a number"


def _empty(header: Dataset, keyword: str) -> bool:
    try:
        return header[keyword].value in (None, "", b"")
    except Exception:
        return False


def encodable(text: str) -> str:
    r"""The same text with each half of a surrogate pair written out (`\udc80`): for ids, which must stay different."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
