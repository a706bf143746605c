"""The form `dicom`: CT images, and structured reports of boxes; see dicom_export/.

In: images with labels. Out: 000000.dcm, ..., named by their number in the set, and 000000-boxes.dcm where there are
boxes. Coordinates of boxes have 24 bits in DICOM.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.publishing.forms.content import FORM_FILE, Content
from chestgan_core.publishing.forms.form import Form
from chestgan_core.publishing.forms.items import REMEDY, FormLabel, Item, checked_item, checked_label
from chestgan_core.publishing.reader.labels import label_json
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import CARD

if TYPE_CHECKING:
    from chestgan_core.publishing.dicom_export.statements import ImageFacts

_IMAGE, _REPORT = re.compile(r"(\d{6,10})\.dcm"), re.compile(r"\d{6,10}-boxes\.dcm")

# pydicom is imported where it is used: the other forms have no need of it.


def _write(folder: Path, content: Content, items: Iterator[Item]) -> None:
    from chestgan_core.publishing.dicom_export.export import write_images

    for _ in write_images(folder, content.set, content.version, map(_kept_by_dicom, items)):
        pass


def _kept_by_dicom(item: Item) -> Item:
    """The item. Raises BadInput: its boxes would come back as others."""
    _, label = item
    if any(float(str(np.float32(number))) != number for box in label["boxes"] or () for number in box):
        cause = "has a box with more digits than DICOM keeps, which are 24 bits"
        raise BadInput(f"image {label['index']}", cause, "use another form, or round the boxes of the set")
    return item


def _labels(folder: Path, content: Content) -> Iterator[FormLabel]:
    from chestgan_core.publishing.dicom_export.reading import read_exported_label

    for path in _images(folder, content):
        label, image = read_exported_label(path)
        yield _checked(path, label, image, content)


def _items(folder: Path, content: Content) -> Iterator[Item]:
    from chestgan_core.publishing.dicom_export.reading import read_exported

    for path in _images(folder, content):
        found = read_exported(path)
        label = _checked(path, found.label, found.facts, content)
        yield checked_item(found.levels, label, content.set, str(path))


def _images(folder: Path, content: Content) -> list[Path]:
    """The files of the images, in order. Raises DamagedObject: more or fewer of them, or other files."""
    numbers = []
    for entry in os.scandir(folder):
        if found := _IMAGE.fullmatch(entry.name):
            numbers.append(int(found[1]))
        elif not (_REPORT.fullmatch(entry.name) or entry.name in (FORM_FILE, CARD) or entry.name[0] == "."):
            raise DamagedObject(folder, f"holds {entry.name}, which is not of a converted set", REMEDY)
    if len(numbers) != content.images:
        raise DamagedObject(folder, f"holds {len(numbers):,} images, not {content.images:,}", REMEDY)
    return [folder / f"{number:06d}.dcm" for number in sorted(numbers)]


def _checked(path: Path, label: dict[str, Any], image: "ImageFacts", content: Content) -> FormLabel:
    facts = content.set
    found = image.set, image.version, image.model_sha256, image.bits
    if found != (facts.name, content.version, facts.model_sha256, facts.bits):
        raise DamagedObject(path, f"is of the set {image.set} {image.version}, not of this one", REMEDY)
    if path.name != f"{image.index:06d}.dcm":
        raise DamagedObject(path, f"is image {image.index} under the name of another", REMEDY)
    return checked_label(label_json(label), image.index, facts, str(path))


def _require_unit(facts: SetFacts) -> None:
    if facts.window.unit != "HU":
        cause = "was made from images without Hounsfield units, which a CT image must have"
        raise BadInput(facts.name, cause, "use the form npz, or png: they hold grey levels")


FORM = Form(
    "dicom",
    "CT images that say that they are synthetic",
    write=_write,
    labels=_labels,
    items=_items,
    require=_require_unit,
)
