"""The YAML block that some pages of Markdown begin with: fields for programs, above the page for people.

In: fields, or a page. Out: the block, or the page without it. Values of others pass through a YAML writer: no text in
them can end the block or begin another field.
"""

import re
from collections.abc import Mapping
from typing import Any

_BLOCK = re.compile(r"---\n(?:.*\n)*?---\n\n?")


def front_matter(fields: Mapping[str, Any]) -> str:
    """The block with its two lines of dashes, in the order of the fields."""
    import yaml

    text = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"---\n{text}---\n\n"


def without_front_matter(page: str) -> str:
    """The page for people: without the block, if it begins with one."""
    found = _BLOCK.match(page)
    return page[found.end() :] if found else page
