"""The attributes that the confidentiality profile of DICOM PS3.15 annex E is about, and what it does to each.

In: `confidentiality_profile.tsv`, the content of table E.1-1 in the edition of the standard that the file names. Out:
`Rule` by tag. The table is data, so that a newer edition is a new file and no new code.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from pydicom.tag import BaseTag

EDITION = "2026d"


class Option(StrEnum):
    """An option of the basic profile (PS3.15 E.3): what is kept or cleaned instead of removed.

    The value is what the command line accepts; `.code` and `.meaning` are those of CID 7050 (PS3.16).
    """

    code: str
    meaning: str

    def __new__(cls, value: str, code: str, meaning: str) -> "Option":
        """A member that is the string `value` and carries the rest."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.code, member.meaning = code, meaning
        return member

    DESCRIPTORS = "descriptors", "113105", "Clean Descriptors Option"
    DATES = "dates", "113106", "Retain Longitudinal Temporal Information Full Dates Option"
    SHIFTED_DATES = (
        "shifted-dates",
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    )
    PATIENT = "patient", "113108", "Retain Patient Characteristics Option"
    DEVICE = "device", "113109", "Retain Device Identity Option"
    UIDS = "uids", "113110", "Retain UIDs Option"
    SAFE_PRIVATE = "safe-private", "113111", "Retain Safe Private Option"
    INSTITUTION = "institution", "113112", "Retain Institution Identity Option"


BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. basic: the action code of the basic profile (D, Z, X, K, C, U, X/Z, ...). options: name of the option
    (an `Option`, or `structured`, `graphics`, which are not offered here) -> action code.
    """

    keyword: str
    basic: str
    options: dict[str, str]


def rule_of(tag: BaseTag | int) -> Rule | None:
    """The row of a public attribute, those of overlays and curves (60xx, 50xx) too; None: the table has none."""
    exact, groups = _table()
    number = int(tag)
    if number in exact:
        return exact[number]
    return groups.get((number >> 24, number & 0xFFFF)) or groups.get((number >> 24, None))


def rules() -> dict[int, Rule]:
    """Every row with one tag, by it: all but overlays and curves."""
    return dict(_table()[0])


@cache
def _table() -> tuple[dict[int, Rule], dict[tuple[int, int | None], Rule]]:
    text = files("chestgan_core.dicom").joinpath("confidentiality_profile.tsv").read_text("utf-8")
    exact: dict[int, Rule] = {}
    groups: dict[tuple[int, int | None], Rule] = {}
    for line in text.splitlines():
        if line.startswith(("#", "tag\t")):
            continue
        tag, keyword, basic, options = line.split("\t")
        pairs = (pair.partition("=") for pair in options.split())
        rule = Rule(keyword, basic, {name: code for name, _, code in pairs})
        if "x" not in tag:
            exact[int(tag, 16)] = rule
        else:  # 60xx4000, 50xxxxxx: every even group, one element or all
            element = tag[4:]
            groups[int(tag[:2], 16), None if "x" in element else int(element, 16)] = rule
    return exact, groups
