"""Read the images of a synthetic set.

In: the folder of a fetched set, or its s3:// address. Out: images as grey levels or in HU, with labels, and by open_set
as a torch Dataset; only that imports torch. Images are read from the tars one at a time, and each is checked against
its sha256 when it is read.
"""

import hashlib
import operator
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, TypedDict

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.imaging.pictures import from_grey
from chestgan_core.local.files import is_regular
from chestgan_core.local.home import home
from chestgan_core.publishing.fetching import fetch_set, newest_version
from chestgan_core.publishing.labels import REMEDY, LabelRow, read_labels
from chestgan_core.publishing.manifest import SetFacts
from chestgan_core.publishing.png import decode_grey, max_png_bytes
from chestgan_core.publishing.set_folder import LABELS, SetFolder, read_set_folder
from chestgan_core.publishing.tars import Member, members, read_member
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.embedded import open_store_at

if TYPE_CHECKING:
    from chestgan_core.publishing.torch_dataset import SyntheticSet

_VERSION = re.compile("[0-9a-f]{16}")
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


def open_set(where: str | Path, cache: str | Path | None = None) -> "SyntheticSet":
    """Open a set as a torch Dataset.

    Args:
        where: The folder of a fetched set, or `s3://bucket/prefix/synthetic/NAME[/VERSION]` (without a version, the one
            that was published last), as publishing printed it. A set in the store is downloaded and verified first; a
            second call downloads nothing. The store is that of the environment; where CHESTGAN_STORE is not set, an
            address in the bucket of the embedded store is found there, as `chestgan sets` finds it.
        cache: Where to put what is downloaded; by default `chestgan/sets` in the user's cache folder.

    Returns:
        The set. Item k is an image, (1, H, W) float32 in [-1, 1], and its label; `hounsfield(k)` is in HU.

    Raises:
        BadInput: Neither a folder with a complete set nor the address of one.
        NotInStore: There is no such set or version; the message names the nearest.
        SetWithdrawn: The version in the store was withdrawn; says why, and what to use instead.
        DamagedObject: A file is not what the manifest says.
        StoreError: The store refused, or did not answer.

    Examples:
        >>> from chestgan_core.publishing import open_set
        >>> images = open_set("demo-set")
        >>> len(images), images.facts.resolution  # images, pixels
        (20, 64)
        >>> image, label = images[0]
        >>> image.shape, bool((-1 <= image).all() and (image <= 1).all())
        (torch.Size([1, 64, 64]), True)
        >>> low, high = images.facts.window.ends  # HU
        >>> hounsfield = images.hounsfield(0)  # (64, 64) int16, HU
        >>> bool((low <= hounsfield).all() and (hounsfield <= high).all())
        True
    """
    # Here, so that everything else in this file can be used where there is no torch.
    from chestgan_core.publishing.torch_dataset import SyntheticSet

    return SyntheticSet(_local_folder(where, cache))


def _local_folder(where: str | Path, cache: str | Path | None) -> SetFolder:
    if str(where).startswith("s3://"):
        root, name, version = parse_address(str(where))
        with open_store_at(root, home()) as store:
            version = version or newest_version(store, name)
            # 8 digits: a folder name that people see, and it only tells the few stores of one user apart.
            place = Path(cache or _cache()) / content_version(root, length=8) / name / version
            return fetch_set(store, name, version, place)
    folder = Path(where)
    if not folder.is_dir():
        cause = "is neither a folder nor an s3:// address"
        raise BadInput(where, cause, "fetch the set: chestgan sets fetch NAME")
    return read_set_folder(folder)


def parse_address(uri: str) -> tuple[str, str, str | None]:
    """Root of the store, name and version in the address of a set."""
    # A prefix may have a part `synthetic`, and a set that name: what fits $CHESTGAN_STORE, then what ends in a version.
    parts = uri.removeprefix("s3://").rstrip("/").split("/")
    found = [
        ("s3://" + "/".join(parts[:at]), parts[at + 1 :])
        for at in (len(parts) - 2, len(parts) - 3)
        if at >= 1 and parts[at] == "synthetic"
    ]
    ours = os.environ.get("CHESTGAN_STORE", "").rstrip("/")
    found.sort(key=lambda one: (one[0] != ours, not (len(one[1]) == 2 and _VERSION.fullmatch(one[1][1]))))
    if found:
        root, names = found[0]
        name, *version = map(keys.checked_name, names)
        return root, name, version[0] if version else None
    raise BadInput(
        uri, "is not the address of a set", "use s3://bucket/prefix/synthetic/NAME or .../NAME/VERSION"
    )


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chestgan" / "sets"


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
