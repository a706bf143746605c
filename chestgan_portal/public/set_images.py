"""Single images of published sets, read from the tars in the store.

In: a set and the number of an image. Out: its PNG as published, verified: the tar by the manifest, the image by the
labels, which the manifest lists too. Only the tar that an image lies in is downloaded, once; the tars of all sets share
a bounded room on the disk, which those that were not looked at longest leave first.
"""

import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.publishing.reader.labels import LabelRow, Labels, read_labels
from chestgan_core.publishing.reader.levels import grey_of
from chestgan_core.publishing.reader.manifest import SetFile
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder
from chestgan_core.publishing.reader.set_reader import decode_checked
from chestgan_core.publishing.reader.tars import Member, members, read_member
from chestgan_core.store.store import Store
from chestgan_portal.public.kept import Kept

ROOM = 2 * 2**30  # bytes on the disk
MAX_IMAGES = 100_000  # of a set whose images are shown one by one
_LABELS_KEPT = 6  # sets


@dataclass(frozen=True)
class SetImage:
    """png: as published. grey: its pixels, (H, W) uint8."""

    row: LabelRow
    png: bytes
    grey: NDArray[np.uint8]


@dataclass(frozen=True)
class _Tar:
    path: Path
    bytes: int
    members: dict[str, Member]


class SetImages:
    """room: bytes of tars on the disk. The folder goes when the process ends."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._labels: Kept[Labels] = Kept(_LABELS_KEPT)
        self._lock = threading.Lock()
        self._reading: dict[str, threading.Lock] = {}
        self._tars: OrderedDict[str, _Tar] = OrderedDict()

    def rows(self, store: Store, found: SetFolder) -> Labels:
        """The labels of a set, in order. Raises BadInput (too many images), DamagedObject, StoreError."""
        if found.images > MAX_IMAGES:
            raise BadInput(
                f"set {found.facts.name}",
                f"has {found.images:,} images, too many to show one by one",
                "fetch it",
            )
        return self._labels.get(found.manifest_key, lambda: self._read_labels(store, found))

    def image(self, store: Store, found: SetFolder, index: int) -> SetImage:
        """Raises IndexError, BadInput, DamagedObject, StoreError."""
        rows = self.rows(store, found)
        if not 0 <= index < len(rows):
            raise IndexError(index)
        row = rows[index]
        png = self._png(store, found, rows, index)
        what = f"{found.facts.name} {found.version}: {row['file']}"
        return SetImage(
            row, png, grey_of(decode_checked(png, row["sha256"], found.facts, what), found.facts.bits)
        )

    def tar(self, store: Store, found: SetFolder, item: SetFile) -> Path:
        """A tar of a set on the disk, as long as there is room for it. Raises BadInput (it is larger), StoreError."""
        return self._tar(store, found, item).path

    def _read_labels(self, store: Store, found: SetFolder) -> Labels:
        item = next(one for one in found.objects if found.name(one) == LABELS)
        with tempfile.TemporaryDirectory(dir=self._place()) as folder:
            store.get_file(item.key, Path(folder) / LABELS, item.sha256)
            return read_labels(replace(found, path=Path(folder)))

    def _png(self, store: Store, found: SetFolder, rows: Labels, index: int) -> bytes:
        item = next(one for one in found.objects if found.name(one) == rows[index]["tar"])
        for attempt in (1, 2):
            tar = self._tar(store, found, item)
            try:
                return read_member(rows.member(index, tar.path.parent))
            except DamagedObject:
                if attempt == 2 or tar.path.exists():
                    raise  # else it has just made room for another one
        raise AssertionError

    def _tar(self, store: Store, found: SetFolder, item: SetFile) -> _Tar:
        if item.bytes > self._room:
            raise BadInput(item.key, f"has {item.bytes:,} bytes, too many to be shown here", "fetch the set")
        with self._lock:
            reading = self._reading.setdefault(item.key, threading.Lock())
        with reading:
            with self._lock:
                if tar := self._tars.get(item.key):
                    self._tars.move_to_end(item.key)
                    return tar
            path = self._place() / found.facts.name / found.version / found.name(item)
            self._make_room(item.bytes)
            store.get_file(item.key, path, item.sha256)
            try:
                tar = _Tar(path, item.bytes, {member.name: member for member in members(path)})
            except DamagedObject:
                path.unlink(missing_ok=True)
                raise
            with self._lock:
                self._tars[item.key] = tar
            self._make_room(0)
            return tar

    def _make_room(self, needed: int) -> None:
        with self._lock:
            while self._tars and sum(tar.bytes for tar in self._tars.values()) + needed > self._room:
                key, tar = self._tars.popitem(last=False)
                tar.path.unlink(missing_ok=True)
                # Who waits for this lock still has it; who comes later makes a new one and downloads again.
                self._reading.pop(key, None)

    def _place(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="chestgan-portal-")
            return Path(self._folder.name)
