"""The form `tar`: the tars of a set alone. What WebDataset, Hugging Face and plain tarfile read.

In: images with labels. Out: images-0000.tar, ...: 000000.png and 000000.json of each image, at most 1000 images a tar,
named by their number in the set.
"""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import replacing
from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.form import Form
from chestgan_core.publishing.forms.items import REMEDY, FormLabel, Item, checked_item, checked_label
from chestgan_core.publishing.reader.labels import json_name, label_json, pairs, png_name
from chestgan_core.publishing.reader.png import decode_levels, max_png_bytes
from chestgan_core.publishing.reader.tars import Member, read_member
from chestgan_core.publishing.writing.png import encode_pngs
from chestgan_core.publishing.writing.tar_writer import IMAGES_PER_TAR, TarWriter, tar_name

_TAR = re.compile(r"images-\d{4,}\.tar")
_NUMBER = re.compile(r"\d{6,10}")


def _write(folder: Path, content: Content, items: Iterator[Item]) -> None:
    for number, path in enumerate(_tars(folder, content)):
        count = min(IMAGES_PER_TAR, content.images - number * IMAGES_PER_TAR)
        with replacing(path) as part, part.open("wb") as file:
            archive = TarWriter(file)
            for levels, label in islice(items, count):
                [png] = encode_pngs(levels[None], content.set.bits)
                archive.add(png_name(label["index"]), png)
                archive.add(json_name(label["index"]), label_json(label))
            archive.close()


def _tars(folder: Path, content: Content) -> list[Path]:
    count = -(-content.images // IMAGES_PER_TAR)
    return [folder / tar_name(number) for number in range(count)]


def _pairs(folder: Path, content: Content) -> Iterator[tuple[Member, FormLabel]]:
    """The PNG of each image, unread, and its label."""
    tars = _tars(folder, content)
    known = {path.name for path in tars}
    for entry in os.scandir(folder):
        if _TAR.fullmatch(entry.name) and entry.name not in known:
            raise DamagedObject(
                folder, f"holds {entry.name}, which {content.images} images have no need of", REMEDY
            )
    for path in tars:
        for png, label in pairs(path):
            stem = png.name.removesuffix(".png")
            if not _NUMBER.fullmatch(stem) or png_name(int(stem)) != png.name:
                raise DamagedObject(path, f"holds {png.name}, which is not the number of an image", REMEDY)
            yield png, checked_label(read_member(label), int(stem), content.set, label.what)


def _labels(folder: Path, content: Content) -> Iterator[FormLabel]:
    for _, label in _pairs(folder, content):
        yield label


def _items(folder: Path, content: Content) -> Iterator[Item]:
    facts = content.set
    for png, label in _pairs(folder, content):
        if png.bytes > max_png_bytes(facts.resolution, facts.bits):
            raise DamagedObject(png.what, "has too many bytes for an image of this set", REMEDY)
        levels = decode_levels(read_member(png), facts.resolution, facts.bits, png.what)
        yield checked_item(levels, label, facts, png.what)


FORM = Form(
    "tar",
    "tars of PNG and JSON, as in the set: for WebDataset and Hugging Face",
    _write,
    _labels,
    _items,
)
