"""What an archive answers to STOW-RS (DICOM PS3.18 10.5.3): which instances it stored, and why not the others.

In: the body of an answer, DICOM JSON (PS3.18 F). Out: `Settled`. Whatever else the bytes are, an instance counts as
stored only where the answer names it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

REFERENCED, FAILED = "00081199", "00081198"  # sequences of the stored, and of those that were not
_UID, _FAILURE, _WARNING = "00081155", "00081197", "00081196"

# PS3.18 table 10.5.3-3 and PS3.4 C.4.2.1.5. Masks, as some stand for a range; the first that fits.
_REASONS = (
    (0xFFFF, 0x0110, "processing failure"),
    (0xFFFF, 0x0111, "it has another instance of this UID"),
    (0xFFFF, 0x0117, "the instance UID is not a UID"),
    (0xFFFF, 0x0122, "it does not store objects of this kind (SOP class)"),
    (0xFFFF, 0x0124, "this account may not store"),
    (0xFFFF, 0xC122, "it does not store this transfer syntax"),
    (0xFF00, 0xA700, "out of resources, such as disk space"),
    (0xFF00, 0xA900, "the file is not what its kind (SOP class) demands"),
    (0xF000, 0xC000, "it cannot understand the file"),
    (0xFFFF, 0xB000, "it changed attributes of the file"),
    (0xFFFF, 0xB006, "it left out attributes of the file"),
    (0xFFFF, 0xB007, "the file is not what its kind (SOP class) demands"),
)


@dataclass(frozen=True)
class Settled:
    """By SOP instance UID. stored: with a warning in words, or none. failed: with the reason in words."""

    stored: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def settled_by(body: bytes) -> Settled | None:
    """What an answer says about instances; None: it is no DICOM JSON. An instance in both lists has failed."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(answer, list) and len(answer) == 1:  # some servers wrap it
        (answer,) = answer
    if not isinstance(answer, dict):
        return None
    failed = {
        uid: in_words(_first(item, _FAILURE)) for item in _items(answer, FAILED) if (uid := _uid_of(item))
    }
    stored = {
        uid: in_words(warning) if (warning := _first(item, _WARNING)) is not None else ""
        for item in _items(answer, REFERENCED)
        if (uid := _uid_of(item)) and uid not in failed
    }
    return Settled(stored, failed)


def in_words(reason: Any) -> str:
    """`0xA700, out of resources, such as disk space`: a status of the standard, or that there is none."""
    if isinstance(reason, bool) or not isinstance(reason, int) or not 0 <= reason <= 0xFFFF:
        return "without a reason"
    meaning = next(
        (text for mask, code, text in _REASONS if reason & mask == code), "of a meaning of its own"
    )
    return f"0x{reason:04X}, {meaning}"


def _items(answer: dict[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    for item in _values(answer, tag):
        if isinstance(item, dict):
            yield item


def _values(item: dict[str, Any], tag: str) -> list[Any]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _first(item: dict[str, Any], tag: str) -> Any:
    return next(iter(_values(item, tag)), None)


def _uid_of(item: dict[str, Any]) -> str:
    uid = _first(item, _UID)
    return uid.strip(" \0") if isinstance(uid, str) else ""
