"""What a person types about an account, checked: each function returns the value that is kept, or raises Unfit.

Out of `checked`: the values that fit, and for each other field a sentence in the language of the request.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from chestgan_portal.pages.languages import LANGUAGES, _, later

# ASCII alone, after NFKC: no two usernames look the same. No @: a name with it at the login is an e-mail.
USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{2,31}")
# As browsers check it (WHATWG HTML, "valid e-mail address"). RFC 5321 bounds it to 254 characters.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")
LONGEST_EMAIL, LONGEST_NAME, LONGEST_NUMBER, MOST_YEARS = 254, 120, 64, 80
# Kept and exported in English. Groups rather than free text: an analysis can compare them, and they name nobody.
PROFESSIONS = {
    "radiologist": later("Radiologist"),
    "resident": later("Resident in radiology"),
    "physician": later("Physician of another field"),
    "radiographer": later("Radiographer or technologist"),
    "physicist": later("Medical physicist"),
    "student": later("Student"),
    "researcher": later("Researcher or engineer"),
    "other": later("Other"),
}
SPECIALTIES = {
    "thoracic radiology": later("Thoracic radiology"),
    "general radiology": later("General radiology"),
    "other radiology": later("Another field of radiology"),
    "pulmonology": later("Pulmonology"),
    "oncology": later("Oncology"),
    "radiation oncology": later("Radiation oncology"),
    "nuclear medicine": later("Nuclear medicine"),
    "thoracic surgery": later("Thoracic surgery"),
    "pathology": later("Pathology"),
    "other": later("Other"),
}


class Unfit(Exception):
    """A value that cannot be kept. Its text is a sentence for the person, translated."""


def checked(checks: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Run a check per field: the values of those that pass, the sentences of those that do not."""
    values, errors = {}, {}
    for name, check in checks.items():
        try:
            values[name] = check()
        except Unfit as error:
            errors[name] = str(error)
    return values, errors


def plain_username(text: str) -> str:
    """One form of a username, whether it exists or not."""
    return unicodedata.normalize("NFKC", text.strip()).casefold()


def plain_email(text: str) -> str:
    """One form of an e-mail. Upper and lower case count as equal on both sides of the @, as mail servers do it."""
    return text.strip().lower()


def username(text: str) -> str:
    """3 to 32 letters, digits, points, hyphens and underscores, in lower case."""
    name = plain_username(text)
    if not USERNAME.fullmatch(name):
        raise Unfit(_("3 to 32 letters (a to z), digits, points or hyphens; the first a letter or digit."))
    return name


def email(text: str) -> str:
    """An address of which the form is right; nobody writes to it to find out more."""
    address = plain_email(text)
    if len(address) > LONGEST_EMAIL or not EMAIL.fullmatch(address):
        raise Unfit(_("This is not an e-mail address."))
    return address


def person(text: str) -> str:
    """The name of a person: one line of any script."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Unfit(_("A name of 1 to %(most)s characters, please.") % {"most": LONGEST_NAME})
    return name


def number(text: str, pattern: str) -> str:
    """A professional number that fits the setting as a whole; "" where the setting is empty: none is kept then."""
    text = text.strip()
    if not pattern:
        return ""
    if len(text) > LONGEST_NUMBER or not text.isprintable() or not re.fullmatch(pattern, text):
        raise Unfit(_("This does not have the form of a professional number."))
    return text


def profession(text: str) -> str:
    """One of PROFESSIONS, or ""."""
    return _one_of(text, PROFESSIONS)


def specialty(text: str) -> str:
    """One of SPECIALTIES, or ""."""
    return _one_of(text, SPECIALTIES)


def language(text: str) -> str:
    """One of LANGUAGES, or "", which follows the browser."""
    return _one_of(text, LANGUAGES)


def years(text: str) -> int | None:
    """Of experience; None where nothing was typed."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= MOST_YEARS):
        raise Unfit(_("A whole number from 0 to %(most)s, please, or nothing.") % {"most": MOST_YEARS})
    return int(text)


def choices() -> dict[str, dict[str, str]]:
    """What the lists of a form offer, in the language of the request: value -> text."""
    unsaid = {"": _("I would rather not say")}
    return {
        "professions": unsaid | {key: _(text) for key, text in PROFESSIONS.items()},
        "specialties": unsaid | {key: _(text) for key, text in SPECIALTIES.items()},
        "own_languages": {"": _("As the browser asks for it")} | LANGUAGES,
    }


def _one_of(text: str, known: Mapping[str, str]) -> str:
    if text and text not in known:
        raise Unfit(_("Choose one of the list."))
    return text
