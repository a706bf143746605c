"""The card of a set as blocks that a template shows: a part of CommonMark, and no HTML at all.

In: Markdown, perhaps of somebody else. Out: headings, paragraphs, lists, tables and code, whose text is text: the
template escapes it. There are no links, pictures or raw HTML to obey: whatever is not understood is shown as it was
written. The cost is linear in the length of the text.
"""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from chestgan_core.documents.front_matter import without_front_matter

Kind = Literal["heading", "paragraph", "list", "table", "code"]


@dataclass(frozen=True)
class Span:
    """A piece of a line. style: "" or `strong` or `code`."""

    text: str
    style: Literal["", "strong", "code"] = ""


Line = tuple[Span, ...]


@dataclass(frozen=True)
class CardBlock:
    """level: of a heading, 1 to 6. lines: of a list its items, of a paragraph one. head, rows: of a table.

    text: of code.
    """

    kind: Kind
    level: int = 0
    lines: tuple[Line, ...] = ()
    head: tuple[Line, ...] = ()
    rows: tuple[tuple[Line, ...], ...] = ()
    text: str = ""


_HEADING = re.compile(r"(#{1,6}) +(.*?)[ #]*$")
_PICTURE = re.compile(
    r"!\[[^\]]*\]\([A-Za-z0-9._-]+\)"
)  # a file of the set: the page shows its images anyway
_RULE = re.compile(r"\|?[ :|-]*-[ :|-]*\|?$")
_SPAN = re.compile(r"\\([!-/:-@\[-`{-~])|`([^`\n]+)`|\*\*([^*\n]+)\*\*")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def blocks_of(text: str) -> list[CardBlock]:
    """The blocks of a card, in order, without the fields for programs above it."""
    page = without_front_matter(text.replace("\r\n", "\n"))
    lines = [line.rstrip() for line in page.expandtabs(4).splitlines()]
    found: list[CardBlock] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line or _PICTURE.fullmatch(line):
            at += 1
        elif line.startswith("```"):
            end = _until(lines, at + 1, lambda one: one.startswith("```"))
            found.append(CardBlock("code", text="\n".join(lines[at + 1 : end])))
            at = end + 1
        elif line.startswith("    "):
            end = _until(lines, at, lambda one: not one.startswith("    "))
            found.append(CardBlock("code", text="\n".join(one[4:] for one in lines[at:end])))
            at = end
        elif heading := _HEADING.match(line):
            found.append(CardBlock("heading", level=len(heading[1]), lines=(spans_of(heading[2]),)))
            at += 1
        elif line.startswith("|"):
            end = _until(lines, at, lambda one: not one.startswith("|"))
            found.append(_table(lines[at:end]))
            at = end
        elif line.startswith("- "):
            end = _until(lines, at, lambda one: not one.startswith(("- ", "  ")))
            items = " ".join(one.strip() if one.startswith(" ") else f"\0{one[2:]}" for one in lines[at:end])
            found.append(
                CardBlock("list", lines=tuple(spans_of(one.strip()) for one in items.split("\0")[1:]))
            )
            at = end
        else:
            end = _until(lines, at + 1, lambda one: not one or one.startswith(("#", "|", "- ", "```")))
            found.append(CardBlock("paragraph", lines=(spans_of(" ".join(lines[at:end])),)))
            at = end
    return found


def spans_of(text: str) -> Line:
    """Text, **strong**, `code`; a backslash before punctuation and `&lt;` are what they stand for, outside of code."""
    found: list[Span] = []
    place = 0
    plain = ""
    for match in _SPAN.finditer(text):
        plain += text[place : match.start()]
        place = match.end()
        if match[1]:
            # Not as an entity: \&lt; is shown as &lt;
            plain += "&amp;" if match[1] == "&" else match[1]
            continue
        if plain:
            found.append(Span(html.unescape(plain)))
            plain = ""
        if match[2]:
            found.append(Span(match[2], "code"))
        else:
            found.append(Span(html.unescape(_ESCAPED.sub(r"\1", match[3])), "strong"))
    plain += text[place:]
    if plain:
        found.append(Span(html.unescape(plain)))
    return tuple(found)


def _until(lines: Sequence[str], at: int, ends: Callable[[str], bool]) -> int:
    return next((number for number in range(at, len(lines)) if ends(lines[number])), len(lines))


def _table(lines: Sequence[str]) -> CardBlock:
    rows = [tuple(spans_of(cell) for cell in _cells(line)) for line in lines if not _RULE.fullmatch(line)]
    ruled = len(lines) > 1 and _RULE.fullmatch(lines[1]) is not None and not _RULE.fullmatch(lines[0])
    head, body = (rows[0], rows[1:]) if ruled and rows else ((), rows)
    width = max(map(len, rows), default=0)
    body = [row + ((),) * (width - len(row)) for row in body]
    return CardBlock("table", head=head if any(head) else (), rows=tuple(body))


def _cells(line: str) -> list[str]:
    """Of `| a | b |`, where `\\|` is no border."""
    parts = re.split(r"(?<!\\)\|", line.strip())
    return [part.strip() for part in parts[1 : -1 if not parts[-1] else None]]
