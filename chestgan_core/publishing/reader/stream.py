"""The images of a set one after the other, from wherever parts of its files can be read: nothing is kept on the disk.

In: the manifest of a set, and a function that reads a range of bytes of one of its files. Out: levels and labels, in
the order of the set or shuffled, all of them or the share of one of several readers. Each image is checked against its
sha256, and each tar, when it has been read to its end, against that of the manifest.
"""

import hashlib
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

from chestgan_core.errors import DamagedObject
from chestgan_core.publishing.reader.labels import MAX_LABEL_BYTES, REMEDY, json_name, png_name, read_label
from chestgan_core.publishing.reader.levels import Levels
from chestgan_core.publishing.reader.manifest import SetFile
from chestgan_core.publishing.reader.png import max_png_bytes
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.set_reader import Label, decode_checked, label_of
from chestgan_core.publishing.reader.tars import Member, members_in

ReadRange: TypeAlias = Callable[[str, int, int], bytes]
"""The name of a file of the set, the first byte, how many -> exactly so many bytes."""
CHUNK_BYTES = 4 * 2**20
"""Of one request. While one is decoded the next one is read."""
T = TypeVar("T")


def stream_images(
    manifest: SetFolder,
    read: ReadRange,
    shuffle_buffer: int = 0,
    seed: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Levels, Label]]:
    """The images of a set with their labels.

    Args:
        manifest: From `parse_set`; its folder is not read.
        read: Reads a range of bytes; an error of it ends the stream.
        shuffle_buffer: How many images are held from which the next one is drawn; 0 keeps the order of the set. The
            order of the tars is drawn too.
        seed: Of the order. The same seed gives the same order.
        share: Number and count of readers that divide the images among them: 0 of 1 gets all. Readers get whole tars
            where there are enough, so that none reads what another one needs.

    Yields:
        (H, W) uint8 or uint16, and the label.

    Raises:
        DamagedObject: A tar or an image is not as the manifest and the label say; an image is in two tars; or,
            where all tars are read, one is in none.
    """
    number, count = share
    tars = list(manifest.tars)
    order = random.Random(seed)  # noqa: S311 (no secret)
    if shuffle_buffer:
        order.shuffle(tars)
    if whole := len(tars) >= count:
        tars = tars[number::count]
    images = _images(manifest, read, tars, None if whole else share, complete=not whole or count == 1)
    return _shuffled(images, shuffle_buffer, random.Random(f"{seed} {number}")) if shuffle_buffer else images  # noqa: S311


def _images(
    manifest: SetFolder,
    read: ReadRange,
    tars: Sequence[str],
    share: tuple[int, int] | None,
    *,
    complete: bool,
) -> Iterator[tuple[Levels, Label]]:
    """Those of some tars. complete: these are all tars, so all images must be there."""
    files = {manifest.name(item): item for item in manifest.objects}
    taken = _Taken(manifest.images)
    for tar in tars:
        yield from _images_of_tar(manifest, read, tar, files[tar], share, taken)
    if complete and taken.count != manifest.images:
        cause = f"holds {taken.count:,} of {manifest.images:,} images"
        raise DamagedObject(f"set {manifest.facts.name} {manifest.version}", cause, REMEDY)


def _images_of_tar(
    manifest: SetFolder,
    read: ReadRange,
    name: str,
    item: SetFile,
    share: tuple[int, int] | None,
    taken: "_Taken",
) -> Iterator[tuple[Levels, Label]]:
    facts, place = manifest.facts, Path(name)
    with ThreadPoolExecutor(1) as ahead:
        file = _ReadAhead(read, name, item.bytes, ahead)
        files = members_in(file, item.bytes, place)
        first = following = None
        stop = facts.images
        for png in files:
            k = _number(png, following, facts.images)
            if first is None:
                first, stop = k, taken.end_of_gap(k)
            if k >= stop:
                raise DamagedObject(png.what, "is in two tars of the set", REMEDY)
            following = k + 1
            if png.bytes > max_png_bytes(facts.resolution, facts.bits):
                raise DamagedObject(png.what, f"has {png.bytes:,} bytes, too many for an image", REMEDY)
            pixels = file.of(png)
            label = next(files, None)
            if label is None or label.name != json_name(k) or label.bytes > MAX_LABEL_BYTES:
                raise DamagedObject(name, f"has no label behind {png.name}", REMEDY)
            row = read_label(file.of(label), k, facts, label.what)
            if share and k % share[1] != share[0]:
                continue
            levels = decode_checked(pixels, row["sha256"], facts, png.what)
            yield levels, label_of(facts, k, row["sha256"], row["boxes"], row["position"])
        if file.sha256() != item.sha256:
            raise DamagedObject(name, "is not the file that the manifest lists (another sha256)", REMEDY)
    if first is not None and following is not None:
        taken.add(first, following)


def _number(png: Member, following: int | None, images: int) -> int:
    """The number of an image, by its name: they count up inside a tar."""
    stem = png.name.removesuffix(".png")
    k = int(stem) if stem.isascii() and stem.isdigit() else -1
    if not 0 <= k < images or png.name != png_name(k) or following not in (None, k):
        raise DamagedObject(png.what, "is not the next image of the set", REMEDY)
    return k


class _Taken:
    """Which images were in the tars that have been read: a range of numbers each. count: of all."""

    def __init__(self, images: int) -> None:
        self.count, self._images = 0, images
        self._first: list[int] = []
        self._stop: list[int] = []

    def end_of_gap(self, k: int) -> int:
        """The first number from k on that is taken, or the number of images: image k itself may be taken."""
        at = bisect(self._first, k)
        if at and k < self._stop[at - 1]:
            return k
        return self._first[at] if at < len(self._first) else self._images

    def add(self, first: int, stop: int) -> None:
        """A tar held the images from `first` to `stop` - 1."""
        at = bisect(self._first, first)
        self._first.insert(at, first)
        self._stop.insert(at, stop)
        self.count += stop - first


class _ReadAhead:
    """A file that is read from its start to its end, one chunk ahead, with its sha256."""

    def __init__(self, read: ReadRange, name: str, size: int, ahead: ThreadPoolExecutor) -> None:
        self._read_range, self._name, self._size, self._ahead = read, name, size, ahead
        self._held, self._start, self._place, self._requested = b"", 0, 0, 0
        self._digest = hashlib.sha256()
        self._next: Future[bytes] | None = None
        self._request()

    def _request(self) -> None:
        count = min(CHUNK_BYTES, self._size - self._requested)
        self._next = (
            self._ahead.submit(self._read_range, self._name, self._requested, count) if count > 0 else None
        )
        self._requested += max(count, 0)

    def seek(self, place: int) -> None:
        """Go forward to a byte; what lies before it may be forgotten."""
        self._place = place

    def read(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        while self._place + count > self._start + len(self._held) and self._next is not None:
            chunk = self._next.result()
            self._request()
            self._digest.update(chunk)
            kept = self._held[max(self._place - self._start, 0) :]
            self._start += len(self._held) - len(kept)
            self._held = kept + chunk
        at = self._place - self._start
        self._place += count
        return self._held[at : at + count]

    def of(self, member: Member) -> bytes:
        """The bytes of a file of the tar."""
        self.seek(member.offset)
        return self.read(member.bytes)

    def sha256(self) -> str:
        """Of the whole file, all of which is read."""
        self.seek(self._size)
        self.read(1)
        return self._digest.hexdigest()


def _shuffled(images: Iterator[T], buffer: int, order: random.Random) -> Iterator[T]:
    """Draws the next one from so many: the memory is that of the buffer."""
    held: list[T] = []
    for image in images:
        if len(held) < buffer:
            held.append(image)
            continue
        at = order.randrange(buffer)
        held[at], drawn = image, held[at]
        yield drawn
    order.shuffle(held)
    yield from held
