"""Verify a fetched set: its files against the manifest, its images against their labels, and whether it was withdrawn.

In: a folder, and a store that may know the set. Out: what is broken, by file. The manifest's sha256 of each file finds
whatever happened to the set since it was published; the look at each image finds what its publisher did wrong.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from chestgan_core.errors import ChestganError, DamagedObject
from chestgan_core.escaping import escaped
from chestgan_core.local.files import is_regular, open_regular
from chestgan_core.local.progress import ByteProgress
from chestgan_core.publishing.reader.labels import (
    Labels,
    labels_of_parquet,
    pairs,
    png_name,
    read_label,
)
from chestgan_core.publishing.reader.levels import sha256_of_levels
from chestgan_core.publishing.reader.manifest import SetFile
from chestgan_core.publishing.reader.many_pngs import decode_many
from chestgan_core.publishing.reader.png import max_png_bytes
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder, read_set_folder
from chestgan_core.publishing.reader.tars import Member
from chestgan_core.publishing.transfer.tar_layout import places_as_written
from chestgan_core.publishing.versions.status import SetStatus, status_of
from chestgan_core.store.artefacts import sha256_of
from chestgan_core.store.store import Store

_AT_ONCE_BYTES = 8 * 2**20  # of levels that are decoded together


@dataclass(frozen=True)
class Verification:
    """files: how many the manifest lists. images: how many were looked at, 0 where only files were. broken: path in the
    folder -> what is wrong with the file.

    status: what the publisher says of the version, where `asked`, the address of a store, knew it; None where it did
    not or was not asked; unknown: why it could not be asked.
    """

    folder: Path
    name: str
    version: str
    files: int
    images: int
    broken: dict[str, str]
    status: SetStatus | None = None
    asked: str = ""
    unknown: str = ""

    @property
    def withdrawn(self) -> bool:
        """Whether a store says that nobody should use the set."""
        return self.status is not None and self.status.state == "withdrawn"

    def as_json(self) -> dict[str, Any]:
        """Plain data; exit_status 1 when anything is broken, or the version was withdrawn."""
        return {
            "exit_status": 1 if self.broken or self.withdrawn else 0,
            "folder": str(self.folder),
            "name": self.name,
            "version": self.version,
            "files": self.files,
            "images": self.images,
            "broken": self.broken,
            "status": self.status.as_json() if self.status else None,
            "asked": self.asked or None,
        }

    def line(self) -> str:
        """For people: one line, or one per broken file and one that says what to do; then what its publisher says."""
        if self.broken:
            lines = [escaped(f"{self.folder / name}: {cause}") for name, cause in self.broken.items()]
            count = "1 file is" if len(lines) == 1 else f"{len(lines)} files are"
            lines.append(f"{count} broken; fetch the set again: only those are downloaded")
        else:
            images = f" and {self.images:,} images" if self.images else ""
            what = f"all {self.files} files{images} are as published, version {self.version}"
            lines = [escaped(f"{self.folder}: {what}")]
        if self.status and (said := self.status.line()):
            lines.append(escaped(f"set {self.name} {self.version}: {said}"))
            if self.withdrawn:
                lines.append("do not use this copy, nor what was made of it")
        elif self.unknown:
            lines.append(escaped(f"whether it was withdrawn is not known: {self.unknown}"))
        return "\n".join(lines)


def verify_set(folder: Path, images: bool = True) -> Verification:
    """Check every file of a set against its manifest, and every image against its labels.

    Args:
        folder: A folder that `fetch_set` or `write_set` made.
        images: False for the sha256 of the files alone, which is enough for a set that its publisher verified.

    Returns:
        What is missing or not as published, by file name; empty `broken` for an intact set. No store is asked.

    Raises:
        BadInput: There is no complete set in the folder.
        DamagedObject: manifest.json is not the manifest of a set.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.transfer.verifying import verify_set
        >>> verify_set(Path("demo-set")).broken
        {}
    """
    there = read_set_folder(folder)
    total = there.bytes + (sum(there.tars.values()) if images else 0)
    with (
        ByteProgress(f"verify  {there.facts.name} {there.version}", total) as progress,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        # The largest first, so that no thread is left with it at the end.
        ordered = sorted(there.objects, key=lambda item: -item.bytes)
        causes = dict(zip(ordered, pool.map(partial(_broken_file, there, progress), ordered), strict=True))
        broken = {there.name(item): causes[item] for item in there.objects if causes[item]}
        if images and LABELS not in broken:
            broken.update(_broken_images(there, broken, pool, progress))
    looked = there.images if images else 0
    return Verification(folder, there.facts.name, there.version, len(there.objects), looked, broken)


def with_status(checked: Verification, store: Store) -> Verification:
    """The same, with what a store says of the version; where it does not answer, why that is not known."""
    asked = store.uri()
    try:
        found = status_of(store, checked.name, checked.version)
    except ChestganError as error:
        return replace(checked, unknown=str(error))
    if found is None:
        return replace(checked, unknown=f"{asked} has no set {checked.name} of this version")
    return replace(checked, status=found, asked=asked)


def _broken_file(there: SetFolder, progress: ByteProgress, item: SetFile) -> str:
    path = there.file(item)
    if not is_regular(path):
        exists = path.is_symlink() or path.exists()
        return "is a link, a pipe or a folder, not a file" if exists else "is missing"
    if (size := path.stat().st_size) != item.bytes:
        return f"has {size} bytes, the manifest says {item.bytes}"
    found = sha256_of(path)
    progress.step(item.bytes)
    return "" if found == item.sha256 else f"sha256 is {found[:8]}..., the manifest says {item.sha256[:8]}..."


def _broken_images(
    there: SetFolder, broken: dict[str, str], pool: ThreadPoolExecutor, progress: ByteProgress
) -> Iterator[tuple[str, str]]:
    """Images that are not as labels.parquet describes them, outside of tars that are known to be broken."""
    try:
        labels = labels_of_parquet(there)
    except DamagedObject as error:
        yield LABELS, error.cause
        return
    tars = [name for name in there.tars if name not in broken]
    for found in pool.map(partial(_broken_in_tar, there, labels, progress), tars):
        yield from found


def _broken_in_tar(
    there: SetFolder, labels: Labels, progress: ByteProgress, tar: str
) -> list[tuple[str, str]]:
    """What is wrong in one tar."""
    own = [int(k) for k in (labels.tar == labels.tars.index(tar)).nonzero()[0]]
    path = there.path / tar
    try:
        with open_regular(path) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as whole:
            places = places_as_written(whole, labels, own)
            if places is None:
                found = _parsed(there, labels, whole, path, own)
            else:
                found = list(_broken_pixels(there, labels, whole, tar, own, places))
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        found = [(tar, f"cannot be read ({error})")]
    progress.step(there.tars[tar])
    return found


def _parsed(
    there: SetFolder, labels: Labels, whole: mmap, path: Path, own: Sequence[int]
) -> list[tuple[str, str]]:
    """The same, of a tar whose headers or labels are not, to the byte, what chestgan writes."""
    found: list[tuple[str, str]] = []
    numbers, places = {png_name(k): k for k in own}, {}
    try:
        for image, label in pairs(path):
            k = numbers.pop(image.name, None)
            if k is None or labels.offset[k] != image.offset or labels.bytes[k] != image.bytes:
                found.append((f"{path.name}/{image.name}", f"is an image that no row of {LABELS} names"))
                continue
            places[k] = (image.offset, image.bytes)
            found += _broken_label(labels, k, whole[label.offset : label.offset + label.bytes], label)
    except DamagedObject as error:
        found.append((path.name, error.cause))
        numbers = {}
    found += _broken_pixels(there, labels, whole, path.name, [*places], [*places.values()])
    return found + [(f"{path.name}/{name}", "is missing") for name in numbers]


def _broken_label(labels: Labels, k: int, text: bytes, label: Member) -> Iterator[tuple[str, str]]:
    row, what = labels[k], f"{label.tar.name}/{label.name}"
    try:
        said = read_label(text, k, labels.facts, label.name)
        if any(said[name] != row[name] for name in ("sha256", "boxes", "position")):
            yield what, f"says something else than {LABELS}"
    except DamagedObject as error:
        yield what, error.cause


def _broken_pixels(
    there: SetFolder,
    labels: Labels,
    whole: mmap,
    tar: str,
    own: Sequence[int],
    places: Sequence[tuple[int, int]],
) -> Iterator[tuple[str, str]]:
    facts = there.facts
    most = max_png_bytes(facts.resolution, facts.bits)
    # As much as may be decoded at once.
    step = max(1, _AT_ONCE_BYTES // (facts.resolution**2 * facts.bits // 8))
    for at in range(0, len(own), step):
        numbers = own[at : at + step]
        pngs = [whole[offset : offset + min(size, most)] for offset, size in places[at : at + step]]
        for k, levels in zip(numbers, decode_many(pngs, facts.resolution, facts.bits), strict=True):
            if isinstance(levels, DamagedObject):
                yield f"{tar}/{png_name(k)}", levels.cause
            elif sha256_of_levels(levels, facts.bits) != labels.sha256[k]:
                yield f"{tar}/{png_name(k)}", f"is not the image that {LABELS} describes"
