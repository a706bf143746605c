"""Read the images of a synthetic set from its folder, without torch.

In: the folder of a fetched set. Out: images as grey levels or in HU, with labels. Images are read from the tars one at
a time, and each is checked against its sha256 when it is read.
"""

import hashlib
import operator
from typing import SupportsIndex, TypedDict

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.imaging.pictures import from_grey
from chestgan_core.local.files import is_regular
from chestgan_core.publishing.reader.labels import REMEDY, LabelRow, read_labels
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.png import decode_grey, max_png_bytes
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder
from chestgan_core.publishing.reader.tars import Member, members, read_member

Label = TypedDict("Label", {"index": int, "seed": int, "class": str, "file": str})
"""What is known of one image. class: what it was to show, empty where the set has no classes. file: its name in the
tar."""


class SetReader:
    """The images of a set by number, without torch. facts: what the manifest says of them. version: 16 hex digits."""

    def __init__(self, folder: SetFolder) -> None:
        self.facts: SetFacts = folder.facts
        self.version = folder.version
        self._rows, self._members = _images_of(folder)

    def __len__(self) -> int:
        return len(self._members)

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
        row = self._rows[self._number(k)]
        return {"index": row["index"], "seed": row["seed"], "class": row["class"], "file": row["file"]}

    def grey(self, k: SupportsIndex) -> NDArray[np.uint8]:
        """Image k as published: (H, W) uint8.

        Raises:
            IndexError, TypeError: There is no image k, or k is not a whole number.
            DamagedObject: It is not the image that the labels describe, or not a PNG of 8-bit grey levels in the size
                that the manifest says.
        """
        number = self._number(k)
        member = self._members[number]
        png, what = read_member(member), f"{member.tar}: {member.name}"
        if hashlib.sha256(png).hexdigest() != self._rows[number]["sha256"]:
            raise DamagedObject(what, f"is not the image in {LABELS}", REMEDY)
        return decode_grey(png, self.facts.resolution, what)

    def hounsfield(self, k: SupportsIndex) -> NDArray[np.int16]:
        """Image k in HU: (H, W) int16, within half a grey level; nothing lies outside the window.

        Raises:
            BadInput: The training images have no Hounsfield units.
            DamagedObject: As in `grey`.
        """
        window = self.facts.window
        if window.unit != "HU":
            raise BadInput(self.facts.name, "was made from images without Hounsfield units", "use grey")
        hounsfield: NDArray[np.int16] = window.from_unit(from_grey(self.grey(k)))
        return hounsfield


def _images_of(folder: SetFolder) -> tuple[list[LabelRow], list[Member]]:
    """Labels of every image, and where it is. Sizes of files are checked here, images when they are read."""
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
    rows = read_labels(folder)
    tars = dict.fromkeys(row["tar"] for row in rows)
    places = {(tar, member.name): member for tar in tars for member in members(folder.path / tar)}
    for member in places.values():
        if member.bytes > max_png_bytes(folder.facts.resolution):
            cause = f"holds {member.name} of {member.bytes:,} bytes, too many for an image of this set"
            raise DamagedObject(member.tar, cause, REMEDY)
    try:
        return rows, [places[row["tar"], row["file"]] for row in rows]
    except KeyError as error:
        tar, file = error.args[0]
        raise DamagedObject(
            folder.path / tar, f"does not contain {file}, which has a label", REMEDY
        ) from error
