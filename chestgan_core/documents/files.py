"""The files of a document: one page each in HTML, PDF and Markdown.

In: a Document, and the pictures that lie beside its pages. Out: bytes by name; the same document gives the same bytes.
HTML and PDF hold their pictures. Markdown links to them, relative to the page: to those that lie beside it already, and
to one more file for each other picture.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from chestgan_core.documents.blocks import Block, Document, Figure, Pair
from chestgan_core.documents.html import as_html
from chestgan_core.documents.markdown_page import as_markdown
from chestgan_core.documents.pdf import as_pdf
from chestgan_core.local.files import replacing

FOLDER = "figures"


def document_files(document: Document, stem: str, beside: Mapping[str, bytes]) -> dict[str, bytes]:
    """STEM.html, STEM.pdf, STEM.md, and the pictures of STEM.md that do not lie beside it.

    Args:
        document: What the pages say.
        stem: Of their names.
        beside: File, relative to the pages -> PNG.

    Examples:
        >>> sorted(document_files(Document("Title", "Lead", (), ()), "report", {}))
        ['report.html', 'report.md', 'report.pdf']
    """
    names = {png: name for name, png in beside.items()}
    more: dict[str, bytes] = {}
    for figure in _figures(document):
        if figure.png not in names:
            names[figure.png] = name = _free_name(figure.title, {*beside, *more})
            more[name] = figure.png
    return {
        f"{stem}.html": as_html(document).encode(),
        f"{stem}.pdf": as_pdf(document),
        f"{stem}.md": as_markdown(document, names).encode(),
        **more,
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> dict[str, Path]:
    """Write each, in this order and whole or not at all; the path of each by its name."""
    written = {}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(data)
        written[name] = path
    return written


def _figures(document: Document) -> Iterator[Figure]:
    blocks: list[Block] = [*document.summary, *(block for one in document.sections for block in one.blocks)]
    for block in blocks:
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, Pair):
            yield from block.figures


def _free_name(title: str, taken: set[str]) -> str:
    """`figures/page-curves.png`, or with a number."""
    slug = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "picture"
    name, number = f"{FOLDER}/page-{slug}.png", 1
    while name in taken:
        number += 1
        name = f"{FOLDER}/page-{slug}-{number}.png"
    return name
