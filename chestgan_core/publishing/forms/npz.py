"""The forms `npz` and `hounsfield`: one file in MedMNIST's form, of levels or of HU.

In: images with labels. Out: set.npz, or hounsfield.npz, which numpy.load opens without pickle:

    train_images   (N, H, W) uint8 or uint16 levels; int16 HU in hounsfield.npz
    train_labels   (N, 1) int64: number of the class in class_names, 0 where the set has no classes
    val_images, val_labels, test_images, test_labels    no rows
    class_names    (C,) text
    train_index, train_seed   (N,) int64;  train_sha256   (N,) 64 hex digits as bytes, over the levels
    train_boxes    (M, 4) float64: x0, y0, x1, y1, pixels;  train_box_image   (M,) int64: row of its image
    train_boxes_known   (N,) bool: False where nothing is known about tumours, which is not the same as no box
    train_position      (N,) float64: in the lungs, 0 (base) to 1 (apex), NaN where not known
    about          text: what form.json says of the set

All images are training images. Loaders of MedMNIST want six arrays, so there are six; but images of one generator on
both sides of a split measure nothing about patients, so validation and test are left to held-out patients. Memory: 90
bytes an image while it is written, for labels; nothing that grows while it is read.
"""

import json
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import replacing
from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.form import Form
from chestgan_core.publishing.forms.hounsfield import HounsfieldLevels, require_exact, require_hounsfield
from chestgan_core.publishing.forms.items import (
    REMEDY,
    FormLabel,
    Item,
    checked_item,
    checked_label,
    levels_dtype,
)
from chestgan_core.publishing.forms.npz_arrays import Array, NpzReader, NpzWriter, open_npz
from chestgan_core.publishing.reader.labels import MAX_BOXES, Boxes, label_json
from chestgan_core.publishing.reader.levels import Levels
from chestgan_core.publishing.reader.manifest import SetFacts

_WHOLE, _DIGEST, _NUMBER, _BOOL = np.dtype("<i8"), np.dtype("S64"), np.dtype("<f8"), np.dtype("?")


@dataclass(frozen=True)
class _Pixels:
    """How one file keeps images. dtype: of its pixels. kept, levels: there and back; `levels` raises ValueError."""

    file: str
    dtype: Callable[[SetFacts], "np.dtype[Any]"]
    kept: Callable[[SetFacts], Callable[[Levels], Array]]
    levels: Callable[[SetFacts], Callable[[Array], Levels]]


def _as_they_are(facts: SetFacts) -> Callable[[Any], Any]:
    return lambda pixels: pixels


_LEVELS = _Pixels("set.npz", lambda facts: levels_dtype(facts.bits), _as_they_are, _as_they_are)
_HOUNSFIELD = _Pixels(
    "hounsfield.npz",
    lambda facts: np.dtype("<i2"),
    lambda facts: HounsfieldLevels(facts).hounsfield,
    lambda facts: HounsfieldLevels(facts).levels,
)


def _class_number(facts: SetFacts, label: FormLabel) -> int:
    return label["seed"] % len(facts.classes) if facts.classes else 0


def _class_names(facts: SetFacts) -> Array:
    return np.array(facts.classes, dtype=np.str_)


class _Labels:
    """The labels of images that were written, as flat arrays."""

    def __init__(self) -> None:
        self.classes, self.index, self.seed, self.box_image = array("q"), array("q"), array("q"), array("q")
        self.sha256, self.boxes = bytearray(), array("d")
        self.known, self.position = bytearray(), array("d")

    def add(self, label: FormLabel, number: int) -> None:
        self.known.append(label["boxes"] is not None)
        self.position.append(math.nan if label["position"] is None else label["position"])
        for box in label["boxes"] or ():
            self.boxes.extend(box)
            self.box_image.append(len(self.index))
        self.classes.append(number)
        self.index.append(label["index"])
        self.seed.append(label["seed"])
        self.sha256 += label["sha256"].encode()


def _write(pixels: _Pixels, folder: Path, content: Content, items: Iterator[Item]) -> None:
    facts, labels = content.set, _Labels()
    dtype, kept, size = pixels.dtype(facts), pixels.kept(facts), facts.resolution

    def rows() -> Iterator[Array]:
        for levels, label in items:
            labels.add(label, _class_number(facts, label))
            yield kept(levels)

    with replacing(folder / pixels.file) as part, part.open("wb") as file, NpzWriter(file) as npz:
        npz.add_rows("train_images", dtype, (content.images, size, size), rows())
        npz.add("train_labels", np.array(labels.classes, _WHOLE)[:, None])
        for side in ("val", "test"):
            npz.add(f"{side}_images", np.empty((0, size, size), dtype))
            npz.add(f"{side}_labels", np.empty((0, 1), _WHOLE))
        npz.add("class_names", _class_names(facts))
        npz.add("train_index", np.array(labels.index, _WHOLE))
        npz.add("train_seed", np.array(labels.seed, _WHOLE))
        npz.add("train_sha256", np.frombuffer(labels.sha256, _DIGEST))
        npz.add("train_boxes", np.array(labels.boxes, _NUMBER).reshape(-1, 4))
        npz.add("train_box_image", np.array(labels.box_image, _WHOLE))
        npz.add("train_boxes_known", np.frombuffer(labels.known, _BOOL))
        npz.add("train_position", np.array(labels.position, _NUMBER))
        npz.add("about", np.array(json.dumps(content.as_json(), ensure_ascii=False)))


def _label_rows(npz: NpzReader, content: Content, path: Path) -> Iterator[FormLabel]:
    facts, count = content.set, content.images
    names = _class_names(facts)
    if [*npz.rows("class_names", names.dtype, names.shape)] != [*names]:
        raise DamagedObject(f"{path}: class_names", "are not the classes of the set", REMEDY)
    classes = npz.rows("train_labels", _WHOLE, (count, 1))
    index, seed = npz.rows("train_index", _WHOLE, (count,)), npz.rows("train_seed", _WHOLE, (count,))
    digests = npz.rows("train_sha256", _DIGEST, (count,))
    boxes = _boxes(npz, count, path)
    positions = npz.rows("train_position", _NUMBER, (count,))
    rows = zip(classes, index, seed, digests, boxes, positions, strict=True)
    for number, (shown, at, of_seed, digest, of_image, lies) in enumerate(rows):
        where = f"{path}, image {number}"
        value = {
            "index": int(at),
            "seed": int(of_seed),
            "class": facts.class_of(int(at)),
            "sha256": bytes(digest[()]).decode("ascii", "replace"),
            "boxes": of_image,
            "position": None if np.isnan(lies) else float(lies),
        }
        label = checked_label(label_json(value), int(at), facts, where)
        if int(shown[0]) != _class_number(facts, label):
            raise DamagedObject(where, "has the class of another image", REMEDY)
        yield label


def _boxes(npz: NpzReader, images: int, path: Path) -> Iterator[Boxes]:
    """The boxes of each image."""
    known = (bool(one) for one in npz.rows("train_boxes_known", _BOOL, (images,)))
    coordinates = npz.rows("train_boxes", _NUMBER, (None, 4))
    owners = (int(row) for row in npz.rows("train_box_image", _WHOLE, (None,)))
    owner = next(owners, None)
    for number in range(images):
        found: list[list[float]] = []
        while owner == number and len(found) <= MAX_BOXES:
            if (box := next(coordinates, None)) is None:
                raise DamagedObject(path, "has fewer boxes than it says", REMEDY)
            found.append([float(one) for one in box])
            owner = next(owners, None)
        if next(known):
            yield found
        elif found:
            cause = f"has boxes of image {number}, of which it says that none are known"
            raise DamagedObject(path, cause, REMEDY)
        else:
            yield None
    if owner is not None or next(coordinates, None) is not None:
        raise DamagedObject(path, "has boxes of images that it does not have, or not in order", REMEDY)


def _labels(pixels: _Pixels, folder: Path, content: Content) -> Iterator[FormLabel]:
    path = folder / pixels.file
    with open_npz(path) as npz:
        yield from _label_rows(npz, content, path)


def _items(pixels: _Pixels, folder: Path, content: Content) -> Iterator[Item]:
    path, facts = folder / pixels.file, content.set
    dtype, levels_of, size = pixels.dtype(facts), pixels.levels(facts), facts.resolution
    with open_npz(path) as npz:
        for side in ("val", "test"):
            npz.rows(f"{side}_images", dtype, (0, size, size))
            npz.rows(f"{side}_labels", _WHOLE, (0, 1))
        images = npz.rows("train_images", dtype, (content.images, size, size))
        for image, label in zip(images, _label_rows(npz, content, path), strict=True):
            where = f"{path}, image {label['index']}"
            try:
                levels = levels_of(image)
            except ValueError as error:
                raise DamagedObject(where, str(error), REMEDY) from error
            yield checked_item(levels, label, facts, where)


NPZ = Form(
    "npz",
    "one NPZ in MedMNIST's form, of levels",
    write=partial(_write, _LEVELS),
    labels=partial(_labels, _LEVELS),
    items=partial(_items, _LEVELS),
)
HOUNSFIELD = Form(
    "hounsfield",
    "the same in HU, int16",
    write=partial(_write, _HOUNSFIELD),
    labels=partial(_labels, _HOUNSFIELD),
    items=partial(_items, _HOUNSFIELD),
    require=require_hounsfield,
    require_readable=require_exact,
    details=lambda facts: {"exact": HounsfieldLevels(facts).is_exact},
)
