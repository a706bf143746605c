"""What free text of a header may say about a person: a name, a date, a PatientID that is made of either.

In: the text of one value. Out: yes or no; no value leaves this module. Two rules, and what they miss:

- A *word that may be a name* has three letters or more, a vowel, no digit, and is not in `known_words.txt` (anatomy,
  technique, companies). Two of them side by side, or one behind `for`, `Dr`, `Mrs`, `name`, ... read like a name. One
  alone does not: it is as often the name of a protocol. So `Mueller` alone in a description is found only where the
  header has the name elsewhere.
- A *date* has day, month and year. Shifted dates in text look the same, and are found too.
"""

import re
from datetime import date
from functools import cache
from importlib.resources import files

# Words that replace a name.
PLACEHOLDERS = frozenset((
    "anon", "3dslicer", "anonym", "anonymous", "anonymised", "anonymized", "by", "case", "ctp", "de", "deidentified",
    "doctor", "dummy", "hidden", "id", "identified", "masked", "name", "no", "noname", "none", "nobody", "observer",
    "operator", "patient", "phantom", "physician", "pseudonym", "pseudonymised", "pseudonymized", "reader",
    "redacted", "removed", "reserved", "subject", "test", "unknown", "x", "xx", "xxx", "xxxx",
))  # fmt: skip
# Behind these one unknown word is enough.
_TITLES = frozenset((
    "dr", "drs", "prof", "professor", "doctor", "mr", "mrs", "ms", "miss", "mister", "sir", "herr", "frau", "monsieur",
    "madame", "mme", "mlle", "senor", "senora", "dott", "dottore", "name", "surname", "firstname", "lastname", "called",
    "for", "von", "van", "by", "pt", "pat", "patient", "patientin", "born", "geb", "dob", "physician", "operator",
    "radiologist", "technologist", "referring", "referrer", "mother", "father", "son", "daughter", "relative",
))  # fmt: skip
_SEPARATORS = re.compile(r"[\s^=,;._-]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_TOKENS = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)*")
# Hashes, UUIDs, UIDs, and the names that pseudonyms.py makes.
_HASH = re.compile(r"[0-9a-fA-F-]{16,}|[0-9.]{16,}|(?:P|NOID-)[0-9a-f]{12}")
_VOWEL = re.compile(r"[aeiouyAEIOUY]|[^\x00-\x7f]")
_SPLIT_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mai", "mrz", "okt", "dez",
    "fev", "avr", "juin", "juil", "aout", "ene", "abr", "ago", "dic", "gen", "mag", "giu", "lug", "set", "ott",
)  # fmt: skip
_DATES = (
    re.compile(r"(?<!\d)(?P<y>(?:18|19|20)\d\d)[-./ _](?P<a>\d{1,2})[-./ _](?P<b>\d{1,2})(?!\d)"),
    re.compile(
        r"(?<!\d)(?<!\d\.)(?P<a>\d{1,2})[-./ _]{1,2}(?P<b>\d{1,2})[-./ _]{1,2}(?P<y>(?:18|19|20)\d\d)(?!\d)"
    ),
    re.compile(r"(?<!\d)(?<!\d[-./])(?P<a>\d\d)(?P<s>[-./])(?P<b>\d\d)(?P=s)(?P<y>\d\d)(?![-./]?\d)"),
    re.compile(r"(?<!\d)(?P<y>(?:18|19|20)\d\d)(?P<a>\d\d)(?P<b>\d\d)(?!\d)"),
    re.compile(r"(?<!\d)(?P<a>\d\d)(?P<b>\d\d)(?P<y>(?:19|20)\d\d)(?!\d)"),
)
_WRITTEN_DATE = re.compile(
    r"(?i)(?<!\d)\d{1,2}\W{0,2}(?:st|nd|rd|th|de)?\W{0,2}"
    rf"(?:{'|'.join(_MONTHS)})[^\W\d_]*\W{{0,2}}(?:de\W)?(?:(?:18|19|20)\d\d|\d\d)(?!\d)"
    rf"|(?<![^\W_])(?:{'|'.join(_MONTHS)})[^\W\d_]*\W{{0,2}}\d{{1,2}}\W{{1,2}}(?:18|19|20)\d\d(?!\d)"
)


@cache
def known_words() -> frozenset[str]:
    """The words of `known_words.txt`, in lower case."""
    text = files("chestgan_core.dicom").joinpath("known_words.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def reads_like_text_about_a_person(text: str) -> bool:
    """Whether free text has a date, or words side by side that may be a name."""
    return has_date(text) or has_name(text)


def has_date(text: str) -> bool:
    """Whether `text` has a day of 1850 to 2099: 31.01.1960, 1960-01-31, 19600131, 31 Jan 1960, 31.01.60."""
    if not any(map(str.isdigit, text)) or _HASH.fullmatch(text.strip()):
        return False
    for pattern in _DATES:
        for found in pattern.finditer(text):
            if _is_day(*(int(found[part]) for part in ("y", "a", "b"))):
                return True
    return bool(_WRITTEN_DATE.search(text))


def has_name(text: str) -> bool:
    """Whether two unknown words stand side by side, or one stands behind a title."""
    before_known, before = True, ""
    for token in _TOKENS.findall(text):
        for word in _SPLIT_CASE.split(token):
            unknown = may_be_a_name(word)
            if unknown and (not before_known or before.lower() in _TITLES):
                return True
            if len(word) > 1 or not word.isalpha():  # an initial parts no name
                before_known, before = not unknown, word
    return False


def may_be_a_name(word: str) -> bool:
    """Whether a word has three letters or more and a vowel, no digit, and is not known; of CJK, two characters."""
    if any("\u2e80" <= character <= "\ud7ff" for character in word):
        return len(word) >= 2
    return (
        len(word) >= 3
        and not any(map(str.isdigit, word))
        and bool(_VOWEL.search(word))
        and word.lower() not in known_words()
        and word.lower() not in PLACEHOLDERS
        and word.lower() not in _TITLES
    )


def is_placeholder(name: str) -> bool:
    """Whether the value of a name attribute is clearly not a name.

    That is so if each of its words is a placeholder (anonymous, patient, ...), a single letter, or a code: it has a
    digit and at most three letters in a row. A hash or UUID is not a name either. `smith1960` is not clearly a code.
    """
    text = name.strip(" ^=\0")
    if not text or _HASH.fullmatch(text):
        return True
    return not has_date(text) and all(
        len(word) == 1
        or word.lower() in PLACEHOLDERS
        or (any(map(str.isdigit, word)) and all(len(run) <= 3 for run in _LETTERS.findall(word)))
        for word in _SEPARATORS.split(text)
        if word
    )


def reads_like_a_name(patient_id: str) -> bool:
    """Whether a PatientID may be a person's name, or holds a date, as of birth.

    Without a digit one word that may be a name is enough: `MUELLER_HANS`, `Doe^Jane`, `Mueller`. With digits, two side
    by side (`MUELLER_HANS_17`), or one with a year behind it (`smith1960`). A collection's prefix with a number
    (`LUNG-0042`, `Klinik17`) is not a name.
    """
    text = patient_id.strip(" ^=\0")
    if not text or _HASH.fullmatch(text):
        return False
    if has_date(text):
        return True
    runs = _LETTERS.findall(text)
    if not any(map(str.isdigit, text)):
        return any(may_be_a_name(run) for run in runs)
    if re.search(r"(?i)[^\W\d_]{3,}[\W_]?(?:19\d\d|200\d)$", text) and may_be_a_name(runs[-1]):
        return True
    return has_name(re.sub(r"\d+", " 0 ", text))


def is_nothing(text: str, vr: str) -> bool:
    """Whether a value is one that de-identification puts in place of another: only placeholders, or zeros."""
    values = [part.strip(" \0") for part in text.split("\\")]
    if vr == "AS":
        return not text.strip("0DWMY \0")
    if vr in ("DS", "IS"):
        return all(not value.strip("0.-+eE ") for value in values)
    return all(
        word.lower() in PLACEHOLDERS or not word.strip("x-?")
        for value in values
        for word in _SEPARATORS.split(value)
        if word
    )


def parts_of(name: str) -> list[str]:
    """The parts of a person's name, in lower case, that are looked for in other values; two letters suffice (Li)."""
    return [
        run.lower()
        for run in _LETTERS.findall(name)
        if len(run) >= 2 and run.lower() not in PLACEHOLDERS | _TITLES
        if may_be_a_name(run) or len(run) == 2
    ]


def mentions(text: str, terms: frozenset[str]) -> bool:
    """Whether one of the terms (lower case) is in the text: as a word; from five letters on, also within one."""
    if not terms:
        return False
    lower = text.lower()
    words = set(re.split(r"[\W_]+", lower))
    return any(term in words or (len(term) >= 5 and term in lower) for term in terms)


def _is_day(year: int, first: int, second: int) -> bool:
    if year < 100:
        year += 1900 if year > 30 else 2000
    if not 1850 <= year < 2100:
        return False
    for month, day in ((first, second), (second, first)):
        try:
            date(year, month, day)
        except ValueError:
            continue
        return True
    return False
