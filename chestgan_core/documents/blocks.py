"""What a document is made of, whoever writes it and in whatever format.

In: plain text, tables of text, PNG pictures. Out: a Document, which html.py and pdf.py render: what the one shows, the
other shows too. Text is text: no markup in it is interpreted.
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
    """A box that is seen first. tone: passed, refused, read with care, or none of these."""

    kind: ClassVar = "notice"
    tone: Tone
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tile:
    """One headline number: what it is, the number, what to hold it against."""

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
    """Names and values, one a line."""

    kind: ClassVar = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """widths: of the columns, relative to each other; one for each of head. Every row has as many cells."""

    kind: ClassVar = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]

    def __post_init__(self) -> None:
        if any(len(cells) != len(self.head) for cells in (*self.rows, self.widths)):
            raise ValueError(f"a table of {len(self.head)} columns has a row or widths of another length")


@dataclass(frozen=True)
class Figure:
    """png: the picture. width: share of the page's width, 0 to 1."""

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


Block: TypeAlias = Paragraph | Bullets | Notice | Tiles | Facts | Table | Figure | Pair


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """summary: what somebody who reads one page must see. Sections without blocks are left out by the renderers."""

    title: str
    lead: str
    summary: tuple[Block, ...]
    sections: tuple[Section, ...]
