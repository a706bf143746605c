"""The languages of the pages. Translations are .po files (gettext), read at the start: there is no build step.

In: the language of a request: the visitor's choice (a cookie), else the browser's. Out: `_`, which translates into it.
"""

import gettext
import io
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = Path(__file__).parent.parent / "locales"
LANGUAGES = {"en": "English", "es": "Español"}
DEFAULT = "en"
COOKIE = "chestgan-language"

language: ContextVar[str] = ContextVar("language", default=DEFAULT)


def _(text: str) -> str:
    """A text in the language of the request; itself where it is not translated."""
    return translations(language.get()).gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    """The form of a text for a number, in the language of the request."""
    return translations(language.get()).ngettext(one, many, count)


def later(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


@cache
def translations(name: str) -> gettext.NullTranslations:
    """Those of a language; of an unknown one, none."""
    path = LOCALES / name / "portal.po"
    if name not in LANGUAGES or not path.exists():
        return gettext.NullTranslations()
    with path.open("rb") as stream:
        catalog = read_po(stream, locale=name)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def preferred(chosen: str | None, accepted: str) -> str:
    """chosen: the cookie. accepted: the header Accept-Language, of which at most 20 entries are looked at."""
    if chosen in LANGUAGES:
        return chosen
    return next(iter(_known(accepted.split(",")[:20])), DEFAULT)


def _known(entries: Iterable[str]) -> Iterable[str]:
    for entry in entries:
        name = entry.split(";")[0].strip().split("-")[0].lower()
        if name in LANGUAGES:
            yield name
