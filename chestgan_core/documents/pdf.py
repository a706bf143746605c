"""A document as a PDF of A4 pages: the summary on the first page, a bookmark per section, "page 1 of 4" on each.

In: a Document. Out: PDF bytes. The same document gives the same bytes: dates and identifiers are fixed. The fonts are
those of the figures (DejaVu, from matplotlib) and are embedded, so that every name can be printed.
"""

import io
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    PageBreak,
    PageTemplate,
    Preformatted,
    Spacer,
)
from reportlab.platypus import Paragraph as Words
from reportlab.platypus import Table as Grid

from chestgan_core.documents.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Notice,
    Pair,
    Paragraph,
    Section,
    Table,
    Tile,
    Tiles,
)

# Images as bytes: as ASCII85 they are larger, and reportlab encodes that in pure Python.
rl_config.useA85 = 0

MARGIN, FOOT = 18 * mm, 20 * mm
WIDTH, HEIGHT = A4[0] - 2 * MARGIN, A4[1] - MARGIN - FOOT
INK, GREY, RULE = HexColor("#1b1f24"), HexColor("#555555"), HexColor("#d5d9de")
TONES = {
    "good": (HexColor("#1a7f4b"), HexColor("#ecf7f1")),
    "bad": (HexColor("#b42318"), HexColor("#fdeeec")),
    "care": (HexColor("#b35900"), HexColor("#fff6ea")),
    "plain": (HexColor("#6b7280"), HexColor("#f4f5f7")),
}
TILES_PER_ROW = 4
CELL_GAP = 6  # points between columns
FACT_NAMES = 0.24  # fraction of the width
MIN_TABLE_HEIGHT = 50 * mm  # space that must be left on the page where a table starts
MAX_FIGURE_HEIGHT = 0.84  # fraction of the page, with its caption, so that a heading fits above it


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    fields: dict[str, Any] = {"fontName": "DejaVu", "leading": size * 1.38, "textColor": INK, **more}
    return ParagraphStyle(name, fontSize=size, splitLongWords=1, allowWidows=0, allowOrphans=0, **fields)


TITLE = _style("title", 17, fontName="DejaVu-Bold", spaceAfter=4)
LEAD = _style("lead", 9, textColor=GREY, spaceAfter=8)
HEADING = _style("heading", 12, fontName="DejaVu-Bold", spaceBefore=14, spaceAfter=6)
TEXT = _style("text", 9, spaceAfter=6)
SMALL = _style("small", 7.5, textColor=GREY, spaceAfter=6)
BULLET = _style("bullet", 9, leftIndent=11, bulletIndent=1, spaceAfter=3)
BOX_TITLE = _style("box-title", 10, fontName="DejaVu-Bold")
BOX = _style("box", 8.5)
BOX_BULLET = _style("box-bullet", 8.5, leftIndent=10, bulletIndent=1)
CODE = _style("code", 7, fontName="DejaVu-Mono")
CELL = _style("cell", 7.5)
HEAD = _style("head", 7.5, fontName="DejaVu-Bold", textColor=GREY)
TILE = _style("tile", 13, fontName="DejaVu-Bold")
CAPTION = _style("caption", 7.5, textColor=GREY, spaceBefore=3, spaceAfter=8)


def as_pdf(document: Document) -> bytes:
    """The PDF. Long tables continue on the next page under their head; rows are not split."""
    _register_fonts()
    story: list[Flowable] = [Words(_text(document.title), TITLE), Words(_text(document.lead), LEAD)]
    for block in document.summary:
        story += _flowables(block)
    sections = [section for section in document.sections if section.blocks]
    if sections:
        story.append(PageBreak())
    for section in sections:
        story += _section(section)
    buffer = io.BytesIO()
    template = BaseDocTemplate(
        buffer, pagesize=A4, invariant=1, title=document.title, author="chestgan", lang="en"
    )
    frame = Frame(MARGIN, FOOT, WIDTH, HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    template.addPageTemplates(PageTemplate("page", [frame]))
    template.build(story, canvasmaker=_footed(document.title))
    return buffer.getvalue()


@cache
def _register_fonts() -> None:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    fonts = (
        ("DejaVu", "DejaVuSans.ttf"),
        ("DejaVu-Bold", "DejaVuSans-Bold.ttf"),
        ("DejaVu-Mono", "DejaVuSansMono.ttf"),
    )
    for name, file in fonts:
        pdfmetrics.registerFont(TTFont(name, folder / file))


class _Heading(Words):  # type: ignore[misc]  # reportlab has no types
    """A heading with a bookmark."""

    def draw(self) -> None:
        key = f"section-{self.text}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(self.getPlainText(), key, level=0)
        super().draw()


def _footed(title: str) -> type[Canvas]:
    """A canvas that knows the number of pages when it draws the footers."""

    class Footed(Canvas):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self.pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 (reportlab's name)
            self.pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self.pages, 1):
                self.__dict__.update(page)
                self.setFont("DejaVu", 7)
                self.setFillColor(GREY)
                self.drawString(MARGIN, 11 * mm, _shortened(title, 100))
                self.drawRightString(A4[0] - MARGIN, 11 * mm, f"page {number} of {len(self.pages)}")
                super().showPage()
            super().save()

    return Footed


def _section(section: Section) -> list[Flowable]:
    """The flowables of a section; its heading stays with the first block."""
    flowables = [flowable for block in section.blocks for flowable in _flowables(block)]
    heading = _Heading(_text(section.title), HEADING)
    if isinstance(section.blocks[0], (Table, Facts)):
        # A long table cannot be kept on one page, but its first rows must fit below the heading.
        return [CondPageBreak(MIN_TABLE_HEIGHT), heading, *flowables]
    heading.keepWithNext = 1
    return [heading, *flowables]


def _flowables(block: Block) -> list[Flowable]:
    match block:
        case Paragraph():
            return [Words(_text(block.text), SMALL if block.small else TEXT)]
        case Bullets():
            return [*(Words(_text(item), BULLET, bulletText="•") for item in block.items), Spacer(1, 4)]
        case Notice():
            return [_notice(block), Spacer(1, 8)]
        case Tiles():
            return [_tiles(block), Spacer(1, 8)]
        case Code():
            return [Preformatted(block.text, CODE, maxLineLength=110), Spacer(1, 8)]
        case Facts():
            rows = [[Words(_text(name), HEAD), Words(_text(value), CELL)] for name, value in block.pairs]
            grid = Grid(rows, [WIDTH * FACT_NAMES, WIDTH * (1 - FACT_NAMES)], style=_lines(head=False))
            return [grid, Spacer(1, 8)]
        case Table():
            return [_table(block), Spacer(1, 8)]
        case Figure():
            return _figure(block, WIDTH * block.width)
        case Pair():
            gap = 5 * mm
            each = (WIDTH - gap) / 2
            cells = [_figure(figure, each) for figure in block.figures]
            style = [("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(0)]
            return [Grid([[cells[0], "", cells[1]]], [each, gap, each], style=style)]


def _notice(notice: Notice) -> Flowable:
    line, paper = TONES[notice.tone]
    inside: list[Flowable] = [Words(_text(notice.title), BOX_TITLE)]
    if len(notice.lines) == 1:
        inside.append(Words(_text(notice.lines[0]), BOX))
    else:
        inside += [Words(_text(text), BOX_BULLET, bulletText="•") for text in notice.lines]
    style = [
        ("BACKGROUND", (0, 0), (-1, -1), paper),
        ("LINEBEFORE", (0, 0), (0, -1), 3, line),
        ("LEFTPADDING", (0, 0), (-1, -1), 9),
        ("TOPPADDING", (0, 0), (-1, 0), 6),
        ("TOPPADDING", (0, 1), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -2), 2),
        ("BOTTOMPADDING", (0, -1), (-1, -1), 7),
    ]
    return Grid([[flowable] for flowable in inside], [WIDTH], style=style)


def _tiles(tiles: Tiles) -> Flowable:
    columns = min(TILES_PER_ROW, len(tiles.items))
    cells: list[Any] = [_tile(tile) for tile in tiles.items]
    cells += [""] * (-len(cells) % columns)
    rows = [cells[at : at + columns] for at in range(0, len(cells), columns)]
    boxes = [
        ("BOX", (at % columns, at // columns), (at % columns, at // columns), 0.6, RULE)
        for at in range(len(tiles.items))
    ]
    style = [("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(6), *boxes]
    return Grid(rows, [WIDTH / columns] * columns, style=style)


def _tile(tile: Tile) -> list[Flowable]:
    lines = [Words(_text(tile.label), CELL), Words(_text(tile.value), TILE)]
    return [*lines, Words(_text(tile.remark), SMALL)] if tile.remark else lines


def _table(table: Table) -> Flowable:
    widths = [WIDTH * width / sum(table.widths) for width in table.widths]
    rows = [
        [_cell(text, HEAD if at == 0 else CELL, width) for text, width in zip(row, widths, strict=True)]
        for at, row in enumerate((table.head, *table.rows))
    ]
    return Grid(rows, widths, style=_lines(head=True), repeatRows=1)


def _cell(text: str, style: ParagraphStyle, width: float) -> Flowable:
    """Text whose words are broken at dashes, dots and underscores where they are too long for the column."""
    return Words(" ".join(_broken(word, style, width - CELL_GAP) for word in text.split(" ")), style)


def _broken(word: str, style: ParagraphStyle, width: float) -> str:
    """The word on lines that fit the column, each but the last ending with a dash, a dot or an underscore."""
    lines = [""]
    for part in re.findall(r"[^-._]+[-._]*|[-._]+", word):
        if lines[-1] and pdfmetrics.stringWidth(lines[-1] + part, style.fontName, style.fontSize) > width:
            lines.append("")
        lines[-1] += part
    return "<br/>".join(map(_text, lines))


def _figure(figure: Figure, width: float) -> list[Flowable]:
    """The image with its caption below, scaled down where the page is not high enough."""
    words = Words(f"<b>{_text(figure.title)}.</b> {_text(figure.caption)}", CAPTION)
    across, down = ImageReader(io.BytesIO(figure.png)).getSize()
    max_height = HEIGHT * MAX_FIGURE_HEIGHT - words.wrap(width, HEIGHT)[1]
    width = min(width, max_height * across / down)
    image = Image(io.BytesIO(figure.png), width, width * down / across, hAlign="LEFT")
    image.keepWithNext = 1
    return [image, words]


def _lines(*, head: bool) -> Sequence[tuple[Any, ...]]:
    return [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), CELL_GAP),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        *([("LINEBELOW", (0, 0), (-1, 0), 0.9, GREY)] if head else []),
    ]


def _padding(points: float) -> Sequence[tuple[Any, ...]]:
    sides = ("LEFT", "RIGHT", "TOP", "BOTTOM")
    return [(f"{side}PADDING", (0, 0), (-1, -1), points) for side in sides]


def _text(text: str) -> str:
    return escape(text)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
