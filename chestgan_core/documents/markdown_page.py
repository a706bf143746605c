"""A document as a page of Markdown (CommonMark with tables), beside which its pictures lie as files.

In: a Document, and the file of each picture. Out: Markdown; the same document gives the same text. All text is escaped.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

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
    Table,
    Tiles,
)
from chestgan_core.documents.markdown import markdown


def as_markdown(document: Document, files: Mapping[bytes, str] | None = None) -> str:
    """The page. files: PNG -> name of the file that lies beside the page; figures without one are left out."""
    parts = [f"# {markdown(document.title)}", markdown(document.lead)]
    parts += blocks_as_markdown(document.summary, files)
    for section in document.sections:
        if section.blocks:
            parts += [f"## {markdown(section.title)}", *blocks_as_markdown(section.blocks, files)]
    return "\n\n".join(filter(None, parts)) + "\n"


def blocks_as_markdown(blocks: Sequence[Block], files: Mapping[bytes, str] | None = None) -> list[str]:
    """Each block, without a line before or after it."""
    return [part for block in blocks for part in _parts(block, files or {})]


def _parts(block: Block, files: Mapping[bytes, str]) -> Iterator[str]:
    match block:
        case Paragraph():
            yield markdown(block.text)
        case Bullets():
            yield _bullets(block.items)
        case Notice():
            # No quotation or alert box: not every page that shows Markdown knows them, and the title says it.
            if len(block.lines) == 1:
                yield f"**{markdown(block.title)}.** {markdown(block.lines[0])}"
            else:
                yield f"**{markdown(block.title)}.**"
                yield _bullets(block.lines)
        case Tiles():
            rows = [(tile.label, tile.value, tile.remark) for tile in block.items]
            yield _table(("measure", "value", "compare with"), rows)
        case Facts():
            yield _table(("", ""), block.pairs)
        case Table():
            yield _table(block.head, block.rows)
        case Figure():
            if name := files.get(block.png):
                yield f"![{markdown(block.title)}]({name})"
                yield markdown(f"{block.title}. {block.caption}")
        case Pair():
            for figure in block.figures:
                yield from _parts(figure, files)
        case Code():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
            yield f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"- {markdown(item)}" for item in items)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, *rows]
    cells = ["| " + " | ".join(markdown(cell) for cell in line) + " |" for line in lines]
    return "\n".join([cells[0], "|" + "---|" * len(head), *cells[1:]])
