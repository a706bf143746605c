"""The images of a set as tars, made while the next ones are generated.

In: a generator, what the manifest will say of its images, what they are asked to show, and which tars are wanted. Out:
one tar after the other in a folder, with the rows of its labels. The same generator, facts and layouts give the same
bytes, whichever tars are wanted.

Generation fills the GPU, or the cores with PyTorch; PNG, sha256 and labels take threads beside it. Memory: some chunks
of images. Disk: the tar that is written; whoever takes a tar decides when it goes.
"""

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import DamagedObject
from chestgan_core.layouts.layout import Layout
from chestgan_core.local.files import open_regular, replacing
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.labels import (
    LabelRow,
    json_name,
    label_json,
    pairs,
    png_name,
)
from chestgan_core.publishing.reader.levels import Levels, levels_of, sha256_of_levels
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.many_pngs import decode_many
from chestgan_core.publishing.reader.tars import Member
from chestgan_core.publishing.writing.asked import LayoutSource, asked_fields
from chestgan_core.publishing.writing.png import encode_pngs
from chestgan_core.publishing.writing.tar_writer import IMAGES_PER_TAR, TarWriter, tar_name
from chestgan_core.store.artefacts import sha256_of
from chestgan_core.training.generation import CHUNK, generate
from chestgan_core.training.weights import LoadedGenerator

# A GPU generates faster than two cores encode; on a CPU they take cores from it.
_ENCODERS = min(4, max(2, (os.cpu_count() or 1) // 2))
# Chunks that are generated and not yet in a tar: enough to keep the encoders busy. One has 34 MB at 512 x 512 pixels.
_AHEAD = _ENCODERS + 2


@dataclass(frozen=True)
class ImageTar:
    """A tar of a set in a folder. number: 0 for the first. rows: of its images, in order."""

    number: int
    path: Path
    bytes: int
    sha256: str
    rows: tuple[LabelRow, ...]


def tar_count(facts: SetFacts) -> int:
    """How many tars the set has."""
    return -(-facts.images // IMAGES_PER_TAR)


def images_of(number: int, facts: SetFacts) -> range:
    """The numbers of the images in a tar."""
    return range(facts.images)[number * IMAGES_PER_TAR : (number + 1) * IMAGES_PER_TAR]


def make_tars(
    generator: LoadedGenerator,
    facts: SetFacts,
    numbers: Iterable[int],
    folder: Path,
    progress: Progress,
    *,
    layouts: LayoutSource | None = None,
    durable: bool = False,
) -> Generator[ImageTar, None, None]:
    """Generate some tars into a folder, one after the other.

    Args:
        generator: Of the resolution and classes that the facts name.
        facts: Of the whole set.
        numbers: Of the wanted tars, ascending; looked at one by one, as generation gets there.
        folder: Where the tars are written; they stay there.
        progress: Gets a step for each image.
        layouts: What the images are asked to show; None for a generator that takes no layouts.
        durable: A tar is on the disk before it has its name; for those that stay.

    Yields:
        Each tar when it is complete. What comes next is generated when the next one is asked for.

    Raises:
        BadInput: A seed is out of range, or a layout.
        DiskFull: No space is left on the disk of the folder.
    """
    with ThreadPoolExecutor(_ENCODERS, "encode") as pool:
        try:
            chunks = _encoded(pool, generator, facts, numbers, layouts)
            chunk = next(chunks, None)
            while chunk is not None:
                number, rows = chunk.number, []
                path = folder / tar_name(number)
                with replacing(path, durable=durable) as part, part.open("wb") as file:
                    archive = TarWriter(file)
                    while chunk is not None and chunk.number == number:
                        rows += [_add(archive, row, png) for row, png in chunk.images]
                        progress.step(len(chunk.images))
                        chunk = next(chunks, None)
                    archive.close()
                yield ImageTar(number, path, path.stat().st_size, sha256_of(path), tuple(rows))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Chunk:
    """Some images of a tar, encoded."""

    number: int
    images: list[tuple[LabelRow, bytes]]


def _encoded(
    pool: ThreadPoolExecutor,
    generator: LoadedGenerator,
    facts: SetFacts,
    numbers: Iterable[int],
    layouts: LayoutSource | None,
) -> Iterator[_Chunk]:
    waiting: deque[Future[_Chunk]] = deque()
    for number in numbers:
        for images in _chunks(images_of(number, facts), facts.first_seed):
            # The last bits depend on how seeds are computed together: always those of one chunk of the generator.
            seeds = facts.seeds[images.start : images.stop]
            asked = layouts.of(seeds) if layouts else None
            # Before the images: a layout that no label can say is refused.
            rows = [image_row(k, facts, asked[at] if asked else None) for at, k in enumerate(images)]
            units = generate(generator, seeds, asked)
            waiting.append(pool.submit(_encode, number, rows, units.numpy()[:, 0], facts))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _chunks(images: range, first_seed: int) -> Iterator[range]:
    """The numbers of images whose seeds the generator computes at once."""
    start = images.start
    while start < images.stop:
        stop = min(images.stop, start + CHUNK - (first_seed + start) % CHUNK)
        yield range(start, stop)
        start = stop


def _encode(number: int, rows: list[LabelRow], units: NDArray[np.float32], facts: SetFacts) -> _Chunk:
    levels: Levels = levels_of(units, facts.bits)
    found = []
    for row, image, png in zip(rows, levels, encode_pngs(levels, facts.bits), strict=True):
        row["sha256"] = sha256_of_levels(image, facts.bits)
        found.append((row, png))
    return _Chunk(number, found)


def image_row(k: int, facts: SetFacts, layout: Layout | None) -> LabelRow:
    """Of image k, as far as it follows from k and its layout: without its sha256 and its place in the tar.

    layout: None where the generator takes none. Raises BadInput: no label can say it.
    """
    boxes, position = asked_fields(layout, k, facts)
    return {
        "index": k,
        "seed": facts.seeds[k],
        "class": facts.class_of(k),
        "boxes": boxes,
        "position": position,
        "sha256": "",
        "tar": tar_name(k // IMAGES_PER_TAR),
        "file": png_name(k),
        "offset": 0,
        "bytes": 0,
    }


def _add(archive: TarWriter, row: LabelRow, png: bytes) -> LabelRow:
    row["offset"], row["bytes"] = archive.add(row["file"], png), len(png)
    archive.add(json_name(row["index"]), label_json(row))
    return row


def require_intact(tar: ImageTar, facts: SetFacts) -> None:
    """Read a tar back, as whoever fetches it will: every image and label is that of its row. Raises DamagedObject."""
    remedy = "run the release again; if that does not help, check the disk and the memory of this machine"
    files = list(pairs(tar.path))
    if [(image.name, image.offset, image.bytes) for image, _ in files] != [
        (row["file"], row["offset"], row["bytes"]) for row in tar.rows
    ]:
        raise DamagedObject(tar.path, "does not hold the images that were generated", remedy)
    with open_regular(tar.path) as file:
        for start in range(0, len(files), CHUNK):
            few, rows = files[start : start + CHUNK], tar.rows[start : start + CHUNK]
            pngs, labels = zip(
                *((_read(file, image), _read(file, label)) for image, label in few), strict=True
            )
            found = decode_many(pngs, facts.resolution, facts.bits)
            for row, levels, label in zip(rows, found, labels, strict=True):
                broken = (
                    isinstance(levels, DamagedObject) or sha256_of_levels(levels, facts.bits) != row["sha256"]
                )
                if broken or label != label_json(row):
                    raise DamagedObject(f"{tar.path}: {row['file']}", "is not what was generated", remedy)


def _read(file: BinaryIO, member: Member) -> bytes:
    file.seek(member.offset)
    return file.read(member.bytes)
