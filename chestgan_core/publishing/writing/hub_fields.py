"""What Hugging Face reads at the top of README.md: licence, task, size, and which files are the data.

In: CardFacts. Out: fields. Identifiers are those of huggingface.co/docs/hub/datasets-cards; with `configs`,
`load_dataset` finds the images in a downloaded folder.
"""

from typing import Any

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
# The loader guesses from the first five images otherwise, and a set whose first box comes later cannot be loaded.
_FEATURES: list[dict[str, Any]] = [
    {"name": "png", "dtype": "image"},
    {
        "name": "json",
        "struct": [
            {"name": "index", "dtype": "int64"},
            {"name": "seed", "dtype": "int64"},
            {"name": "class", "dtype": "string"},
            {"name": "boxes", "list": {"list": "float64"}},
            {"name": "position", "dtype": "float64"},
            {"name": "sha256", "dtype": "string"},
        ],
    },
    {"name": "__key__", "dtype": "string"},
    {"name": "__url__", "dtype": "string"},
]


def hub_fields(card: CardFacts) -> dict[str, Any]:
    """The fields, in the order of the page."""
    words = card.provenance.source_licence
    licence = licence_id(words)
    tasks = ["unconditional-image-generation"]
    return {
        "pretty_name": f"{card.set.name}: {card.set.images:,} synthetic images",
        "license": licence,
        # In the words of the source; on one line, as readers of this block look for the line that ends it.
        **({"license_details": " ".join(words.split())} if licence == "other" else {}),
        "task_categories": [
            *tasks,
            *(["image-classification"] if card.set.classes else []),
            *(["object-detection"] if card.set.has_boxes else []),
        ],
        "tags": ["synthetic", "medical", *(("ct",) if card.set.window_unit == "HU" else ()), "webdataset"],
        "size_categories": [size_category(card.set.images)],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "images-*.tar"}]},
        ],
        "dataset_info": {"features": _FEATURES},
    }


def licence_id(licence: str) -> str:
    """`cc-by-4.0` of `CC BY 4.0`; `other` of what has no identifier."""
    return _LICENCES.get(" ".join(licence.lower().split()), "other")


def size_category(images: int) -> str:
    """`n<1K`."""
    return next((name for end, name in _SIZES if images < end), "1B<n<10B")
