"""What a form of a set is: a way to write images with labels into a folder, and to read them back.

In: nothing. Out: `Form`, which each file of this folder fills in once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.items import FormLabel, Item
from chestgan_core.publishing.reader.manifest import SetFacts

Write: TypeAlias = Callable[[Path, Content, Iterator[Item]], None]


def takes_every_set(facts: SetFacts) -> None:
    """For a form that holds the images of any set."""


def takes_every_image(label: FormLabel) -> bool:
    """For a form that holds any image of a set."""
    return True


def no_details(facts: SetFacts) -> dict[str, Any]:
    """For a form of which nothing else is to be said."""
    return {}


@dataclass(frozen=True)
class Form:
    """A form. Memory does not grow with the number of images in any of its functions.

    name: as the command line has it. about: one sentence, for its help. write: all images of a content into a folder
    of ours, whose files it replaces. labels: of the images in a folder, in order, without reading a pixel. items: the
    images with these labels, in the same order, each compared with its sha256. labels and items are None of a form that
    is not read back. require: raises BadInput where the images of such a set cannot be kept so. takes: whether it can
    hold an image; others are left out. require_readable: raises BadInput where images do not come back as they were.
    details: further fields of form.json.
    """

    name: str
    about: str
    write: Write
    labels: Callable[[Path, Content], Iterator[FormLabel]] | None = None
    items: Callable[[Path, Content], Iterator[Item]] | None = None
    require: Callable[[SetFacts], None] = takes_every_set
    takes: Callable[[FormLabel], bool] = takes_every_image
    require_readable: Callable[[SetFacts], None] = takes_every_set
    details: Callable[[SetFacts], dict[str, Any]] = no_details
