"""The YAML block at the top of README.md, as Hugging Face reads it: licence, task, size, and which files are the data.

In: facts of a set. Out: the block, and a page without it. Titles of others pass through a YAML writer: no text in them
can end the block or begin another field.
"""

import re

import yaml

from chestgan_core.publishing.writing.provenance import CardFacts

# Identifiers that Hugging Face knows; all else is `other` with its text. Upper case and blanks do not matter.
_LICENCES = {
    "cc by 4.0": "cc-by-4.0",
    "cc by 3.0": "cc-by-3.0",
    "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0",
    "cc by-nc 3.0": "cc-by-nc-3.0",
    "cc0": "cc0-1.0",
    "cc0 1.0": "cc0-1.0",
}
LICENCE_PAGES = {
    "cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "cc-by-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "cc-by-sa-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "cc-by-nc-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "cc-by-nc-3.0": "https://creativecommons.org/licenses/by-nc/3.0/",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
_BLOCK = re.compile(r"---\n.*?\n---\n\n?", re.DOTALL)


def front_matter(card: CardFacts) -> str:
    """The block with its two lines of dashes."""
    licence = licence_id(card.provenance.source_licence)
    tasks = ["unconditional-image-generation"]
    fields = {
        "pretty_name": f"{card.set.name}: {card.set.images:,} synthetic images",
        "license": licence,
        # The same licence in the words of the source.
        **({"license_details": card.provenance.source_licence} if licence == "other" else {}),
        "task_categories": [*tasks, "image-classification"] if card.set.classes else tasks,
        "tags": ["synthetic", "medical", *(("ct",) if card.set.window_unit == "HU" else ()), "webdataset"],
        "size_categories": [size_category(card.set.images)],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "images-*.tar"}]},
        ],
    }
    text = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"---\n{text}---\n\n"


def without_front_matter(page: str) -> str:
    """The page for people: without the block, if it begins with one."""
    return page[found.end() :] if (found := _BLOCK.match(page)) else page


def licence_id(licence: str) -> str:
    """`cc-by-4.0` of `CC BY 4.0`; `other` of what has no identifier."""
    return _LICENCES.get(" ".join(licence.lower().split()), "other")


def size_category(images: int) -> str:
    """`n<1K`."""
    return next((name for end, name in _SIZES if images < end), "1B<n<10B")
