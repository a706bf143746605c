"""Single PNG files of a set in a folder: written where they are not there yet, read and checked.

In: images with labels. Out: 000000.png, ..., named by their number in the set.
"""

from pathlib import Path

from chestgan_core.errors import ChestganError, DamagedObject
from chestgan_core.local.files import open_regular, replacing
from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.items import REMEDY, FormLabel, Item, checked_item
from chestgan_core.publishing.reader.labels import png_name
from chestgan_core.publishing.reader.png import decode_levels, max_png_bytes
from chestgan_core.publishing.writing.png import encode_pngs


def write_png(folder: Path, item: Item, content: Content) -> None:
    """Write an image, unless a conversion that was interrupted has written it."""
    levels, label = item
    path = folder / png_name(label["index"])
    if not _is_there(path, label, content):
        # Not forced to the disk one by one: each is compared with its sha256 before it is used again.
        with replacing(path, durable=False) as part:
            part.write_bytes(encode_pngs(levels[None], content.set.bits)[0])


def read_png(path: Path, label: FormLabel, content: Content) -> Item:
    """The image of a file. Raises DamagedObject: it is not the one that the label describes."""
    facts, limit = content.set, max_png_bytes(content.set.resolution, content.set.bits)
    try:
        with open_regular(path) as file:
            png = file.read(limit + 1)
    except OSError as error:
        raise DamagedObject(path, f"cannot be read ({error.strerror})", REMEDY) from error
    if len(png) > limit:
        raise DamagedObject(path, "has too many bytes for an image of this set", REMEDY)
    levels = decode_levels(png, facts.resolution, facts.bits, str(path))
    return checked_item(levels, label, facts, str(path))


def _is_there(path: Path, label: FormLabel, content: Content) -> bool:
    if not path.exists():
        return False
    try:
        read_png(path, label, content)
    except ChestganError:
        return False
    return True
