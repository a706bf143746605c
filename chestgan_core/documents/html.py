"""A document as one HTML file that opens offline: no scripts, no links, images inside.

In: a Document. Out: HTML text; the same document gives the same text.
"""

import base64
from pathlib import Path

import jinja2

from chestgan_core.documents.blocks import Document


def as_html(document: Document) -> str:
    """The page. All text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template("document.html.j2").render(
        document=document, sections=[section for section in document.sections if section.blocks]
    )


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
