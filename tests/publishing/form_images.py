"""Sets of any images, as a form of a set: levels and labels that no generator has to make."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.convert import write_form
from chestgan_core.publishing.forms.items import Item, label_of, levels_dtype
from chestgan_core.publishing.forms.registry import find_form
from chestgan_core.publishing.reader.levels import max_level, sha256_of_levels
from chestgan_core.publishing.reader.manifest import SetFacts


def facts(
    images: int = 7, bits: int = 8, classes: Sequence[str] = ("A", "B", "C"), **others: object
) -> SetFacts:
    """Of a set of 8 x 8 pixels in the lung window."""
    fields = {
        "name": "made",
        "experiment": "made",
        "images": images,
        "first_seed": 100,
        "resolution": 8,
        "window_centre": -600.0,
        "window_width": 1500.0,
        "model_sha256": "ab" * 32,
        "source_title": "numbers of a test",
        "source_licence": "none needed",
        "classes": tuple(classes),
        "bits": bits,
        "conditions": (*(("class",) if classes else ()), "position", "tumour"),
    }
    return SetFacts(**{**fields, **others})  # type: ignore[arg-type]


def items(of: SetFacts, boxes: Sequence[int | None] = (1, 0, 3, None)) -> Iterator[Item]:
    """Every image of a set: noise that touches both ends of the levels. boxes: how many, in turn; None: not known. Of
    every third image the position is not known.
    """
    noise = np.random.default_rng(of.first_seed)
    size = of.resolution
    for index in range(of.images):
        levels = noise.integers(0, max_level(of.bits) + 1, (size, size)).astype(levels_dtype(of.bits))
        levels[0, 0], levels[-1, -1] = 0, max_level(of.bits)
        count = boxes[index % len(boxes)] if of.has_boxes else None
        found = (
            None
            if count is None
            else [[0.25, size / 4, size / 2 + 0.125 * n, size * 1.0] for n in range(count)]
        )
        position = round(index / of.images, 4) if of.has_position and index % 3 else None
        yield levels, label_of(of, index, found, position, sha256_of_levels(levels, of.bits))


def made(
    folder: Path, of: SetFacts, form: str = "tar", boxes: Sequence[int | None] = (1, 0, 3, None)
) -> Path:
    """A folder with all images of such a set, in a form."""
    folder.mkdir(parents=True)
    content = Content(of, "0123456789abcdef", of.images)
    write_form(folder, find_form(form), content, items(of, boxes))
    return folder
