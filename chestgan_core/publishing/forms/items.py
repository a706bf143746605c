"""An image and its label, as every form of a set gives and takes them.

In: what a form holds, perhaps of a stranger. Out: levels and labels that are those of the set: number, seed and class
follow from the facts of the set, the sha256 from the levels.
"""

import hashlib
from typing import Any, TypeAlias, TypedDict

import numpy as np

from chestgan_core.errors import DamagedObject
from chestgan_core.publishing.reader.labels import Boxes, label_json, read_label
from chestgan_core.publishing.reader.levels import Levels, sha256_of_levels
from chestgan_core.publishing.reader.manifest import SetFacts

REMEDY = "convert it again from the set"

# Functional, because `class` is a word of Python.
FormLabel = TypedDict(
    "FormLabel",
    {"index": int, "seed": int, "class": str, "boxes": Boxes, "position": float | None, "sha256": str},
)
"""What is known of one image. index: its number in the set. boxes: [x0, y0, x1, y1] of each tumour that it was asked to
show, in pixels, x to the right, y down, x1 and y1 exclusive; None where nothing was said, so that nothing is known.
position: in the lungs, from 0 (base) to 1 (apex), or None. sha256: over the levels, the same in every form."""
Item: TypeAlias = tuple[Levels, FormLabel]
"""Levels, (H, W) uint8 or little-endian uint16, and their label."""


def label_of(facts: SetFacts, index: int, boxes: Boxes, position: float | None, sha256: str) -> FormLabel:
    """The label of an image of a set: seed and class follow from its number."""
    return {
        "index": index,
        "seed": facts.first_seed + index,
        "class": facts.class_of(index),
        "boxes": boxes,
        "position": position,
        "sha256": sha256,
    }


def checked_label(data: bytes, index: int, facts: SetFacts, where: str) -> FormLabel:
    """A label as JSON, which must be that of image `index` of the set. where: named by an error.

    Raises DamagedObject: there is no such image, a field is missing or out of bounds, or seed or class are not its own.
    """
    if not 0 <= index < facts.images:
        raise DamagedObject(where, f"is of image {index}, and the set has {facts.images:,}", REMEDY)
    found = read_label(data, index, facts, where)
    return label_of(facts, index, found["boxes"], found["position"], found["sha256"])


def checked_item(levels: Levels, label: FormLabel, facts: SetFacts, where: str) -> Item:
    """The item, if the levels are those that the label describes. Raises DamagedObject."""
    if levels.shape != (facts.resolution, facts.resolution):
        raise DamagedObject(where, f"has {levels.shape} pixels, not those of its set", REMEDY)
    if sha256_of_levels(levels, facts.bits) != label["sha256"]:
        raise DamagedObject(where, "is not the image that its label describes", REMEDY)
    return levels, label


def levels_dtype(bits: int) -> "np.dtype[Any]":
    """uint8, or uint16 with the bytes of a little-endian machine."""
    return np.dtype("u1") if bits == 8 else np.dtype("<u2")


class LabelsDigest:
    """One sha256 over all labels in order, and so over all images: the same in every form of the same images."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.images = 0

    def add(self, label: FormLabel) -> None:
        """The next label."""
        self._sha256.update(label_json(label) + b"\n")
        self.images += 1

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._sha256.hexdigest()
