"""What templates and code of the portal say: texts that are marked for translation, and words that are not."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from jinja2 import nodes

import chestgan_portal
from chestgan_portal.pages.render import TEMPLATES, environment

CODE = Path(chestgan_portal.__file__).parent
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "later": None}
METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_WORD = re.compile(r"[^\W\d_]{2,}")
_SHOWN_ATTRIBUTES = {"alt", "title", "aria-label", "aria-description", "placeholder", "content"}
_NO_LANGUAGE = {
    "code",
    "kbd",
    "pre",
    "samp",
    "script",
    "style",
    "svg",
}  # svg: drawn, its title is an attribute here
_EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# Names, units and what is written alike in all languages.
SAME_EVERYWHERE = {
    "chestgan",
    "HU",
    "mm",
    "px",
    "PDF",
    "CSV",
    "JSON",
    "HTML",
    "PNG",
    "DICOM",
    "UTC",
    "RSS",
    "KID",
    "sha",
    "kB",
    "MB",
    "GB",
    "FID",
    "AUC",
    "ROC",
}


def marked() -> Catalog:
    """All texts that `make messages` finds."""
    catalog = Catalog()
    options = {"templates/**.html": {"extensions": "jinja2.ext.i18n", "trimmed": "false"}}
    for _file, _line, message, _comments, context in extract_from_dir(
        CODE, METHODS, options, keywords=KEYWORDS, comment_tags=()
    ):
        catalog.add(message, context=context)
    return catalog


def templates() -> list[str]:
    """Their names, as the code calls them."""
    return sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))


def unmarked_words(template: str) -> list[str]:
    """Words of a template that no translation can reach: in its HTML, and in the texts that it gives to macros."""
    parsed = environment.parse((TEMPLATES / template).read_text())
    html = "".join(
        piece.data if isinstance(piece, nodes.TemplateData) else " "
        for output in parsed.find_all(nodes.Output)
        for piece in output.nodes
    )
    page = _Words()
    page.feed(html)
    page.close()
    return page.words + list(_arguments(parsed))


def _arguments(parsed: nodes.Template) -> Iterator[str]:
    """Of macros; names of fields, classes and states have neither a blank nor a capital letter."""
    marked_already = {
        id(constant)
        for call in parsed.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in KEYWORDS
        for constant in call.find_all(nodes.Const)
    }
    for call in parsed.find_all(nodes.Call):
        for argument in [*call.args, *(pair.value for pair in call.kwargs)]:
            for constant in (
                [argument] if isinstance(argument, nodes.Const) else argument.find_all(nodes.Const)
            ):
                text = constant.value
                if isinstance(text, str) and id(constant) not in marked_already and _is_a_sentence(text):
                    yield text


def _is_a_sentence(text: str) -> bool:
    text = text.strip()
    said = bool(_WORD.search(text)) and (" " in text or text[:1].isupper())
    return said and text not in SAME_EVERYWHERE and not text.startswith(("/", "#", "%"))


class _Words(HTMLParser):
    """Collects words between tags, and in attributes that are read aloud or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _NO_LANGUAGE:
            self._silent += 1
        if tag == "meta":
            return
        for name, value in attributes:
            if name in _SHOWN_ATTRIBUTES:
                self._note(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _NO_LANGUAGE:
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._note(data)

    def _note(self, text: str) -> None:
        self.words += [word for word in _WORD.findall(text) if word not in SAME_EVERYWHERE]


def errors_without_translation() -> list[str]:
    """Places where code raises HTTPException with a text that is shown as it is."""
    found = []
    for path in sorted(CODE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "HTTPException":
                details = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "detail")]
                found += [
                    f"{path.relative_to(CODE)}:{node.lineno}"
                    for detail in details
                    if isinstance(detail, ast.Constant | ast.JoinedStr)
                ]
    return found


def shown(html: str) -> list[str]:
    """Texts of a page as they stand between tags and in attributes that are shown; other languages left out."""
    page = _Texts()
    page.feed(html)
    page.close()
    return page.texts


class _Texts(_Words):
    """Whole texts instead of words, outside of elements that are in a language of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[bool] = []  # for every open element, whether it is silent

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        own_language = tag != "html" and "lang" in dict(attributes)
        if not self._silent and not own_language:
            super().handle_starttag(tag, [*attributes])
            self._silent = 0
        if tag not in _EMPTY:
            self._open.append(tag in _NO_LANGUAGE or own_language)
            self._silent = sum(self._open)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY and self._open:
            self._open.pop()
            self._silent = sum(self._open)

    def _note(self, text: str) -> None:
        if text.strip():
            self.texts.append(" ".join(text.split()))
