"""The values of a data set as they are in the file: at any depth, with their type, unconverted.

In: a data set. Out: `Value`s. pydicom converts a value when it is read, which takes four times as long and raises any
exception on a damaged one; who looks for names needs bytes only.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, get_entry, private_dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from chestgan_core.dicom.confidentiality import rule_of

# Value representations of numbers and UIDs, which cannot hold a name (PS3.5 6.2).
NUMBERS = frozenset(
    ("AT", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UI", "UL", "US", "UV")
)
TEXTS = frozenset(("AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
# Numbers, dates and UIDs that are written with characters.
WRITTEN_NUMBERS = frozenset(("DA", "DS", "DT", "IS", "TM", "UI"))
_WORD = re.compile(r"[^\W\d_]{3}")
# A private value is text if nearly all of its bytes can be shown.
_MIN_PRINTABLE, _MIN_TEXT_BYTES = 0.9, 4
_SHOWN = bytes((*b"\t\r\n", *range(32, 256)))
MAX_TEXT = 2**20  # bytes of a text that is examined; who hides something may write any amount


class Value(NamedTuple):
    """An attribute that has a value. dataset: the item that it is in. raw: as pydicom holds it, None for a sequence.
    depth: of sequences around it.
    """

    dataset: Dataset
    tag: BaseTag
    vr: str
    raw: Any
    depth: int

    @property
    def text(self) -> str:
        """As UTF-8, else Latin-1: which letters they are does not matter, only that they are the same in all values."""
        return _text_of(self.raw)


def values_in(dataset: Dataset, depth: int = 0) -> Iterator[Value]:
    """Attributes that have a value, each with the item that it is in; the items of sequences follow their sequence.

    Raw elements are not converted: that would take four times as long.
    """
    for tag in dataset.keys():  # noqa: SIM118 (a Dataset iterates over its values)
        raw = dataset.get_item(tag)
        vr = str(raw.VR or implicit_vr(dataset, tag))
        if tag.element == 0 and vr in ("UL", "UN"):  # the length of a group, which the standard has retired
            continue
        if vr == "UN" and not tag.is_private and is_standard(tag):
            vr = dictionary_VR(tag)
        if vr == "SQ":
            items = dataset[tag].value or ()
            if len(items):
                yield Value(dataset, tag, vr, None, depth)
            for item in items:
                yield from values_in(item, depth + 1)
        elif raw.value not in (None, "", b"") and not is_blank(raw.value):
            yield Value(dataset, tag, vr, raw.value, depth)


def is_text(value: Value) -> bool:
    """Whether a value is text: by its type, or because nearly all of its bytes can be shown."""
    if value.vr in TEXTS:
        return True
    if value.vr in WRITTEN_NUMBERS:  # some write words where the standard wants a number or a date
        return bool(_WORD.search(value.text))
    if value.vr not in ("UN", "OB") or not isinstance(value.raw, bytes):
        return False
    data = value.raw.strip(b"\0 ")
    shown = len(data) - len(data.translate(None, _SHOWN))  # of bytes that are not controls
    return len(data) >= _MIN_TEXT_BYTES and shown >= _MIN_PRINTABLE * len(data)


def implicit_vr(dataset: Dataset, tag: BaseTag) -> str:
    """The value representation of an attribute that does not state it; UN: nobody knows."""
    try:
        if tag.is_private_creator:
            return "LO"
        if tag.is_private:
            return private_dictionary_VR(tag, creator_of(dataset, tag))
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def is_standard(tag: BaseTag) -> bool:
    """Whether the standard has this attribute, those of repeating groups (overlays, curves) too."""
    try:
        return bool(get_entry(tag))
    except KeyError:
        return rule_of(tag) is not None


def creator_of(dataset: Dataset, tag: BaseTag) -> str:
    """The creator of a private attribute (PS3.5 7.8.1), or an empty text where it is not stated."""
    reserved = Tag(tag.group, tag.element >> 8)
    return str(dataset[reserved].value or "").strip(" \0") if reserved in dataset else ""


def is_blank(value: Any) -> bool:
    """Whether a value has no other bytes than padding and separators."""
    return isinstance(value, bytes) and not value.strip(b" \0^=\\")


def _text_of(raw: Any) -> str:
    if isinstance(raw, bytes):
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    if isinstance(raw, str) or not hasattr(raw, "__iter__"):
        return str(raw)
    return "\\".join(map(str, raw))
