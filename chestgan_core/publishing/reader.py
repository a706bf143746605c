"""Read a synthetic set as a torch Dataset.

In: the folder of a fetched set, or its s3:// address. Out: images (1, H, W) float32 in [-1, 1] with labels,
or HU where the training data had them. Images are read from the tars one at a time, and each is checked
against its sha256 when it is read.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.imaging.pictures import from_grey
from chestgan_core.publishing.card import SetFacts
from chestgan_core.publishing.fetching import fetch_set, newest_version
from chestgan_core.publishing.sets import LABELS, SetFolder, read_set_folder
from chestgan_core.publishing.tars import Member, members, read_member
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.store import Store

REMEDY = "fetch the set again: right files are kept"


Label = TypedDict("Label", {"index": int, "seed": int, "class": str, "file": str})
"""What is known of one image. class: what it was asked to show, empty where there are no classes. file: its name in the
set."""


class SyntheticSet(Dataset[tuple[Tensor, Label]]):
    """Item k: image (1, H, W) float32 in [-1, 1] and its label. facts: what the manifest says of the set."""

    def __init__(self, folder: SetFolder) -> None:
        self.facts: SetFacts = folder.facts
        self.version = folder.version
        self._labels, self._sha256, self._members = _index(folder)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, k: int) -> tuple[Tensor, Label]:
        return torch.from_numpy(from_grey(self.grey(k)))[None], self._labels[k]

    def grey(self, k: int) -> NDArray[np.uint8]:
        """Image k as published: (H, W) uint8. Raises DamagedObject when it is not what the labels say."""
        member = self._members[k]
        data = read_member(member)
        if hashlib.sha256(data).hexdigest() != self._sha256[k]:
            raise DamagedObject(f"{member.tar}: {member.name}", f"is not the image in {LABELS}", REMEDY)
        return np.array(Image.open(io.BytesIO(data)))

    def hounsfield(self, k: int) -> NDArray[np.int16]:
        """Image k in HU: (H, W) int16, within half a grey level; nothing lies outside the window.

        Raises BadInput where the training data were pictures, which have no HU.
        """
        window = self.facts.window
        if window.unit != "HU":
            raise BadInput(self.facts.name, "comes from pictures without Hounsfield units", "use grey")
        hounsfield: NDArray[np.int16] = window.from_unit(from_grey(self.grey(k)))
        return hounsfield


def open_set(where: str | Path, cache: Path | None = None) -> SyntheticSet:
    """Open a set: a folder, or s3://bucket/prefix/synthetic/NAME[/VERSION] (the newest version by default).

    A set in the store is first fetched into cache (default: chestgan/sets in the user's cache folder) and
    verified; what is there already is not fetched again. Raises BadInput: neither; NotInStore; DamagedObject.
    """
    if str(where).startswith("s3://"):
        root, name, version = _parse(str(where))
        store = Store.open(root)
        version = version or newest_version(store, name)
        place = (cache or _cache()) / content_version(root, length=8) / name / version
        return SyntheticSet(fetch_set(store, name, version, place))
    folder = Path(where)
    if not folder.is_dir():
        raise BadInput(
            where, "is neither a folder nor an s3:// address", "fetch the set: chestgan sets fetch NAME"
        )
    return SyntheticSet(read_set_folder(folder))


def _parse(uri: str) -> tuple[str, str, str | None]:
    """Root of the store, name and version of a set's address."""
    root, found, rest = uri.rstrip("/").partition("/synthetic/")
    names = rest.split("/")
    if not found or len(names) > 2:
        raise BadInput(
            uri, "is no address of a set", "use s3://bucket/prefix/synthetic/NAME or .../NAME/VERSION"
        )
    name, version = keys.checked_name(names[0]), names[1] if len(names) > 1 else None
    return root, name, keys.checked_name(version) if version else None


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chestgan" / "sets"


def _index(folder: SetFolder) -> tuple[list[Label], list[str], list[Member]]:
    """Labels, sha256 and place of every image. Sizes are checked here, contents when they are read."""
    for item in folder.objects:
        path = folder.file(item)
        size = path.stat().st_size if path.is_file() else None
        if size != item.bytes:
            cause = "is missing" if size is None else f"has {size} bytes, the manifest says {item.bytes}"
            raise DamagedObject(path, cause, REMEDY)
    try:
        rows = pq.read_table(folder.path / LABELS).to_pylist()
        tars = dict.fromkeys(row["tar"] for row in rows)
        places = {(tar, member.name): member for tar in tars for member in members(folder.path / tar)}
        found = [places[row["tar"], row["file"]] for row in rows]
        labels = [cast(Label, {name: row[name] for name in Label.__annotations__}) for row in rows]
        return labels, [row["sha256"] for row in rows], found
    except (pa.ArrowException, KeyError) as error:
        raise DamagedObject(folder.path / LABELS, f"does not describe the tars ({error})", REMEDY) from error
