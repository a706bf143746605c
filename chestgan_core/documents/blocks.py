"""The blocks of a document, independent of its format.

In: plain text, tables of text, PNG images. Out: a Document, which html.py and pdf.py render with the same content. Text
is text: markup in it is not interpreted.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Tone: TypeAlias = Literal["good", "bad", "care", "plain"]


@dataclass(frozen=True)
class Paragraph:
    """small: remarks and sources."""

    kind: ClassVar = "paragraph"
    text: str
    small: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """A highlighted box. tone: passed (good), refused (bad), a caution (care), or none of these (plain)."""

    kind: ClassVar = "notice"
    tone: Tone
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tile:
    """One headline number. label: what it is. remark: what to compare it with."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Tiles:
    """Headline numbers side by side."""

    kind: ClassVar = "tiles"
    items: tuple[Tile, ...]


@dataclass(frozen=True)
class Facts:
    """Names and values, one pair per line."""

    kind: ClassVar = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """widths: of the columns, relative to each other, as many as head has. Every row has as many cells."""

    kind: ClassVar = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]

    def __post_init__(self) -> None:
        if any(len(cells) != len(self.head) for cells in (*self.rows, self.widths)):
            raise ValueError(f"a table of {len(self.head)} columns has a row or widths of another length")


@dataclass(frozen=True)
class Figure:
    """png: the image. width: fraction of the page's width, 0 to 1."""

    kind: ClassVar = "figure"
    png: bytes
    title: str
    caption: str
    width: float = 1.0


@dataclass(frozen=True)
class Pair:
    """Two figures side by side, where the page is wide enough."""

    kind: ClassVar = "pair"
    figures: tuple[Figure, Figure]


@dataclass(frozen=True)
class Code:
    """Commands or a program, shown as they are. language: of a highlighter, "" for none."""

    kind: ClassVar = "code"
    text: str
    language: str = ""


Block: TypeAlias = Paragraph | Bullets | Notice | Tiles | Facts | Table | Figure | Pair | Code


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """summary: what someone who reads one page must see. Renderers leave out sections without blocks."""

    title: str
    lead: str
    summary: tuple[Block, ...]
    sections: tuple[Section, ...]
