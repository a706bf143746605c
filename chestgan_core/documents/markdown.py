"""Markdown with text of others in it: names, descriptions, reasons, kernels of a scanner, titles of a dataset.

In: text, or a template and its values. Out: Markdown (CommonMark with tables) that shows such text and obeys none of
it: no HTML, no pictures, no links under another text than their address, no further rows of a table, no headings.
"""

import re
from pathlib import Path
from typing import Any

from chestgan_core.escaping import escaped

# What begins a structure inside of a line. Not - . + # alone, nor _ inside of a word: they are in names, also inside of
# `code`, where nothing can be escaped, and begin nothing there.
_ACTS = re.compile(r"([\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_]))")
# What begins one at the start of a line: headings, items of lists.
_BEGINS = re.compile(r"^( *\d*)([#=]|[-+.)](?=\s))")


def markdown(text: object) -> str:
    """`text` as Markdown that shows it, on one line."""
    line = escaped(re.sub(r"\s+", " ", str(text)))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("~~", "~&#126;")
    return _BEGINS.sub(r"\1\\\2", _ACTS.sub(r"\\\1", line))


def render_markdown(template: Path, **values: Any) -> str:
    """A template with its values; every `{{ expression }}` passes `markdown`, unless it says `| safe`."""
    import jinja2

    def shown(value: object) -> object:
        if isinstance(value, jinja2.Undefined) or hasattr(value, "__html__"):
            return value
        return value if isinstance(value, int | float) else markdown(value)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=False,  # noqa: S701 (Markdown: `shown`)
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(values)
