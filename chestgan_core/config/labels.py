"""Names of folders, classes and patients in the form in which they are compared.

The same name reaches us in different bytes: a Mac writes `ö` as `o` and an accent (Unicode NFD), Linux and Windows as
one character (NFC); blanks at the end of a folder's name are invisible; and what one file system takes for one folder
(`NORMAL`, `Normal`) is two on another. Taken as different, they make two classes of one, or put a patient on both sides
of a split.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable


def normal_form(name: str) -> str:
    """The name in NFC, without blanks at its ends, and each run of blanks as one."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def comparable(name: str) -> str:
    """Equal for names that differ in Unicode form, blanks, or upper and lower case only."""
    return unicodedata.normalize("NFC", normal_form(name).casefold())


def class_key(name: str) -> str:
    """A class as a part of keys in the store: letters, digits, `.`, `_` and `-`.

    If the name has other characters, a hash of it is added, or two classes that differ in nothing else would become
    one.

    Examples:
        >>> class_key("large cell.carcinoma"), class_key("größe"), class_key("gro\u0308ße")
        ('large-cell.carcinoma', 'gr-e-d179961a', 'gr-e-d179961a')
    """
    normal = normal_form(name)
    spaced = normal.replace(" ", "-")
    key = re.sub(r"[^A-Za-z0-9._-]+|\.{2,}", "-", spaced).strip("._-")
    if key == spaced.strip("._-"):
        return key
    digest = hashlib.sha256(comparable(normal).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{key or 'class'}-{digest[:8]}"


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Each name -> the one that stands for all names comparable to it: the first of them in alphabetical order."""
    spelled: dict[str, str] = {}
    return {name: spelled.setdefault(comparable(name), name) for name in sorted(set(names))}
