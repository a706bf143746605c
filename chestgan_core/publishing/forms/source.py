"""Images with labels out of any folder that holds a set: the set itself, or one of its other forms.

In: a folder, perhaps of a stranger. Out: (levels, label) in the order of the set. What comes out was checked: the types
and bounds of every field, each image against its sha256, all labels against one over them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.local.files import is_regular
from chestgan_core.publishing.forms.content import FORM_FILE, Content, Described, read_description
from chestgan_core.publishing.forms.items import REMEDY, FormLabel, Item, LabelsDigest, label_of
from chestgan_core.publishing.forms.registry import find_form
from chestgan_core.publishing.reader.set_folder import MANIFEST, read_set_folder
from chestgan_core.publishing.reader.set_reader import SetReader

ReadLabels: TypeAlias = Callable[[Path, Content], Iterator[FormLabel]]
ReadItems: TypeAlias = Callable[[Path, Content], Iterator[Item]]
SET = "set"
"""What a set is in place of a form."""


@dataclass(frozen=True)
class Source:
    """A folder with images of a set.

    form: `set`, or the name of a form. content: which images. labels: of all of them, in order, without pixels. items:
    the images of these numbers, ascending, which the content has.
    """

    path: Path
    form: str
    content: Content
    labels: Callable[[], Iterator[FormLabel]]
    items: Callable[[Sequence[int]], Iterator[Item]]


def read_form(folder: Path) -> Iterator[Item]:
    """All images of a set, or of any of its forms, with their labels.

    Args:
        folder: What chestgan sets fetch or chestgan sets convert wrote.

    Yields:
        (H, W) uint8 or uint16 levels, and a label: index, seed, class, boxes, position, sha256.

    Raises:
        BadInput: Neither; or a form from which the levels cannot be read back.
        DamagedObject: A file is missing, is not what it should be, or disagrees with the labels.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.forms.source import read_form
        >>> levels, label = next(read_form(Path("demo-set")))
        >>> levels.shape, levels.dtype, label["seed"]
        ((64, 64), dtype('uint8'), 0)
    """
    source = open_source(folder)
    return source.items([label["index"] for label in source.labels()])


def open_source(folder: Path) -> Source:
    """A set, or one of its forms. Its images are read later. Raises as read_form does."""
    if is_regular(folder / MANIFEST) and not is_regular(folder / FORM_FILE):
        return _set(folder)
    described = read_description(folder)
    form = find_form(described.form)
    if form.labels is None or form.items is None:
        cause = f"holds the form {form.name}, which is for detectors and is not read back"
        raise BadInput(folder, cause, "convert from the set, or from another form of it")
    form.require_readable(described.content.set)
    return Source(
        folder,
        form.name,
        described.content,
        partial(_labels, folder, described, form.labels),
        partial(_items, folder, described, form.items),
    )


def _set(folder: Path) -> Source:
    found = read_set_folder(folder)
    reader = SetReader(found)

    def label(k: int) -> FormLabel:
        row = reader.label(k)
        return label_of(found.facts, k, row["boxes"], row["position"], row["sha256"])

    return Source(
        folder,
        SET,
        Content(found.facts, found.version, found.images),
        lambda: map(label, range(found.images)),
        lambda wanted: ((reader.levels(k), label(k)) for k in wanted),
    )


def _labels(folder: Path, described: Described, read: ReadLabels) -> Iterator[FormLabel]:
    digest, last = LabelsDigest(), -1
    for label in read(folder, described.content):
        if label["index"] <= last:
            raise DamagedObject(folder, f"has image {label['index']} behind image {last}", REMEDY)
        digest.add(label)
        last = label["index"]
        yield label
    if (digest.images, digest.hexdigest()) != (described.content.images, described.labels_sha256):
        raise DamagedObject(folder, f"has other labels than {FORM_FILE} says", REMEDY)


def _items(folder: Path, described: Described, read: ReadItems, wanted: Sequence[int]) -> Iterator[Item]:
    """Those of the wanted numbers; all others are read and passed over, up to the last one."""
    remaining = iter(wanted)
    following = next(remaining, None)
    for item in read(folder, described.content):
        if following is None:
            return
        if item[1]["index"] == following:
            yield item
            following = next(remaining, None)
    if following is not None:
        raise DamagedObject(folder, f"has no image {following}", REMEDY)
