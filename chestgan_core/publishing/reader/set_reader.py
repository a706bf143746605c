"""Read the images of a synthetic set from its folder, without torch.

In: the folder of a fetched set. Out: images as levels, as grey or in HU, with labels. Images are read from the tars one
at a time, and each is checked against its sha256 when it is read.
"""

import operator
from typing import SupportsIndex, TypedDict

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.local.files import is_regular
from chestgan_core.publishing.reader.labels import REMEDY, Boxes, png_name, read_labels
from chestgan_core.publishing.reader.levels import Levels, grey_of, hounsfield_of, sha256_of_levels
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.png import decode_levels
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.tars import read_member

Label = TypedDict(
    "Label",
    {
        "index": int,
        "seed": int,
        "class": str,
        "boxes": Boxes,
        "position": float | None,
        "sha256": str,
        "file": str,
    },
)
"""What is known of one image. class: what it was to show, empty where the set has no classes. boxes: of the tumours
that it was to show, [x0, y0, x1, y1] in pixels, x to the right, y down; [] for none, None where nothing was said, so
that nothing is known. position: in the lungs, from 0 (base) to 1 (apex), None where nothing was said. sha256: over its
levels. file: its name in the tar."""


class SetReader:
    """The images of a set by number, without torch. facts: what the manifest says of them. version: 16 hex digits."""

    def __init__(self, folder: SetFolder) -> None:
        self.facts: SetFacts = folder.facts
        self.version = folder.version
        self.path = folder.path
        _require_sizes(folder)
        self._labels = read_labels(folder)

    def __len__(self) -> int:
        return len(self._labels)

    def _number(self, k: SupportsIndex) -> int:
        """A whole number from -N to N - 1 (of Python or numpy) as one from 0 to N - 1. Raises TypeError, IndexError."""
        if isinstance(k, bool | np.bool_):
            raise TypeError("the number of an image is a whole number, not a bool")
        try:
            number = operator.index(k)
        except TypeError:
            raise TypeError(f"the number of an image is a whole number, not {type(k).__name__}") from None
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no image {number}: the set has {len(self)}")
        return number % len(self)

    def label(self, k: SupportsIndex) -> Label:
        """What is known of image k."""
        number = self._number(k)
        row = self._labels[number]
        return label_of(self.facts, number, row["sha256"], row["boxes"], row["position"])

    def levels(self, k: SupportsIndex) -> Levels:
        """Image k as published: (H, W) uint8, or uint16 where `facts.bits` is 16.

        Raises:
            IndexError, TypeError: There is no image k, or k is not a whole number.
            DamagedObject: It is not the image that the labels describe, or not a grey PNG of the size and bits that the
                manifest says.
        """
        number = self._number(k)
        member = self._labels.member(number, self.path)
        return decode_checked(read_member(member), self._labels.sha256[number], self.facts, member.what)

    def grey(self, k: SupportsIndex) -> NDArray[np.uint8]:
        """Image k as a screen shows it: (H, W) uint8. Raises as `levels` does."""
        return grey_of(self.levels(k), self.facts.bits)

    def hounsfield(self, k: SupportsIndex) -> NDArray[np.int16]:
        """Image k in HU: (H, W) int16, within half a level; nothing lies outside the window.

        Raises:
            BadInput: The training images have no Hounsfield units, or the window is beyond int16.
            DamagedObject: As in `levels`.
        """
        if self.facts.window_unit != "HU":
            raise BadInput(self.facts.name, "was made from images without Hounsfield units", "use grey")
        low, high = self.facts.window.ends
        if not (np.iinfo(np.int16).min <= low and high <= np.iinfo(np.int16).max):
            cause = f"has a window of {self.facts.window}, beyond int16"
            raise BadInput(self.facts.name, cause, "use levels, and values_of")
        return hounsfield_of(self.levels(k), self.facts.window, self.facts.bits)


def label_of(facts: SetFacts, k: int, sha256: str, boxes: Boxes, position: float | None) -> Label:
    """The label of image k: what follows from its number, and what does not."""
    return {
        "index": k,
        "seed": facts.first_seed + k,
        "class": facts.class_of(k),
        "boxes": boxes,
        "position": position,
        "sha256": sha256,
        "file": png_name(k),
    }


def decode_checked(png: bytes, sha256: str, facts: SetFacts, what: str) -> Levels:
    """The levels of one image of a set. Raises DamagedObject: not such an image, or not the one of this sha256."""
    levels = decode_levels(png, facts.resolution, facts.bits, what)
    if sha256_of_levels(levels, facts.bits) != sha256:
        raise DamagedObject(what, "is not the image that its label describes", REMEDY)
    return levels


def _require_sizes(folder: SetFolder) -> None:
    """Sizes of files are checked when a set is opened, images when they are read. Raises DamagedObject."""
    for item in folder.objects:
        path = folder.file(item)
        size = path.stat().st_size if is_regular(path) else None
        if size != item.bytes:
            cause = (
                "is missing, or not a file"
                if size is None
                else f"has {size} bytes, the manifest says {item.bytes}"
            )
            raise DamagedObject(path, cause, REMEDY)
