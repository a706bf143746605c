"""Closed lists of reasons, and counts of them as text.

In: values with their meanings, counts by reason. Out: `Reason`, and counts as one line. Imports nothing heavy.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias, TypeVar

Key = TypeVar("Key", bound=str)

Synthetic: TypeAlias = Literal["refuse", "accept"]
"""What is done with objects that say of themselves that a generator made them (dicom/synthetic.py)."""


class Reason(StrEnum):
    """A member is written `NAME = "value", "meaning"`: the string that reports print, and a line that explains it."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "Reason":
        """A member that is the string `value` and carries its explanation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class Explained(Protocol):
    """A value with a line that explains it: a Reason, and others that carry more."""

    meaning: str


def meanings(*kinds: Iterable[Explained]) -> dict[str, str]:
    """Value -> what it means, of some closed lists."""
    return {str(value): value.meaning for kind in kinds for value in kind}


def in_words(counts: Mapping[Key, int]) -> str:
    """`no-lung 58, localizer 3`: most frequent first; `nothing` when nothing was left out."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason} {count}" for reason, count in ordered if count) or "nothing"
