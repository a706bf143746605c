"""Convert a set, or a form of it, into another form.

In: a folder that holds a set in any form, and which of its images are wanted. Out: a folder in the wanted form with
form.json, written last. Images are read, checked and written one by one.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chestgan_core.documents.front_matter import without_front_matter
from chestgan_core.errors import BadInput, UnknownName, nearest
from chestgan_core.local.files import file_error, is_regular, open_regular, replacing, require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.forms.content import (
    FORM_FILE,
    Content,
    Described,
    Selection,
    read_description,
    write_description,
)
from chestgan_core.publishing.forms.form import Form
from chestgan_core.publishing.forms.items import Item, LabelsDigest
from chestgan_core.publishing.forms.registry import find_form
from chestgan_core.publishing.forms.source import Source, open_source
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import CARD
from chestgan_core.store.artefacts import content_version

_KIND = "a conversion"
_MAX_CARD_BYTES = 4 * 2**20
_BYTES_BESIDE_PIXELS = 4096  # of one image: blocks of a tar or of the disk, a DICOM header, a label
_MAX_WORDS = 200  # of a choice of images in a message; beyond, a hash says which it is
_TWO_BYTES = ("hounsfield", "dicom")  # a pixel, whatever the bits of the set
_ANOTHER_DISK = "give --out on another disk, or a smaller --count"


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote. form: its name. images: how many of the set's. bytes: of all files. left_out: chosen
    images that the form cannot hold.
    """

    folder: Path
    form: str
    name: str
    version: str
    images: int
    bytes: int
    left_out: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "folder": str(self.folder)}


def convert_set(
    folder: Path, to: str, out: Path, classes: Sequence[str] = (), count: int | None = None
) -> Converted:
    """Convert all images of a folder, or those that are chosen. They keep their number, seed and sha256.

    Args:
        folder: A fetched set, or one of its forms.
        to: Name of a form: see registry.FORMS.
        out: Is made where it is missing. A conversion that was interrupted is run again into the same folder; one that
            is complete stays as it is.
        classes: Only images of these classes; all where there are none.
        count: Only the first ones of these; all of them by default. Classes take turns in a set, so that the first N
            hold each of them equally often, or one image more or less.

    Returns:
        What was written.

    Raises:
        BadInput: The folder holds no set, the form cannot hold its images, no image is chosen, or out is not ours.
        UnknownName: There is no such form, or no such class.
        DamagedObject: An image or a label is not what it should be. Nothing of out can be read then.
        DiskFull: The disk of out has no room.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from chestgan_core.publishing.forms.convert import convert_set
        >>> convert_set(Path("demo-set"), "npz", Path("demo-first"), count=10).images
        10
        >>> np.load("demo-first/set.npz")["train_images"].shape
        (10, 64, 64)
    """
    form = find_form(to)
    source = open_source(folder)
    form.require(source.content.set)
    selection = _selection(source.content.set, classes, count)
    of = _described(source.content, form, selection)
    require_output_folder(out, _KIND, of)
    numbers, left_out = _chosen(source, selection, form)
    selections = (*source.content.selections, *([selection] if selection else []))
    content = Content(source.content.set, source.content.version, len(numbers), selections)
    size = content.set.resolution**2 * max(content.set.bits // 8, 2 if to in _TWO_BYTES else 1)
    with output_folder(out, _KIND, of):
        if not _is_complete(out, form, content):
            require_space([(out, len(numbers) * (size + _BYTES_BESIDE_PIXELS), _ANOTHER_DISK)])
            _copy_card(source.path, out, form)
            write_form(out, form, content, source.items(numbers), left_out)
    written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Converted(out, to, content.set.name, content.version, content.images, written, left_out)


def _selection(facts: SetFacts, classes: Sequence[str], count: int | None) -> Selection:
    for name in classes:
        if name not in facts.classes:
            if not facts.classes:
                raise BadInput(facts.name, "has no classes", "leave --class out")
            raise UnknownName(name, f"is not a class of the set {facts.name}", nearest(name, facts.classes))
    # In the order of the set, each once: the same choice is the same conversion.
    return Selection(tuple(name for name in facts.classes if name in classes), count or 0)


def _described(content: Content, form: Form, selection: Selection) -> str:
    """What a folder says it holds: another set or choice must not be mixed into it."""
    chosen = (*content.selections, *([selection] if selection else []))
    part = "".join(f", {one}" for one in chosen)
    if len(part) > _MAX_WORDS:
        part = f", selection {content_version([asdict(one) for one in chosen], length=8)}"
    return f"of the set {content.set.name} {content.version} as {form.name}{part}"


def _chosen(source: Source, selection: Selection, form: Form) -> "tuple[array[int], int]":
    """The numbers of the images, 8 bytes each, and how many the form cannot hold. Raises BadInput: none."""
    numbers, left_out = array("q"), 0
    for label in source.labels():
        if selection.classes and label["class"] not in selection.classes:
            continue
        if not form.takes(label):
            left_out += 1
            continue
        numbers.append(label["index"])
        if len(numbers) == selection.count:
            break
    if not numbers and left_out:
        cause = f"has no image that the form {form.name} can hold: of none is known where its tumours are"
        raise BadInput(source.path, cause, "use another form")
    if not numbers:
        raise BadInput(source.path, f"has no image of {selection}", "choose other classes")
    return numbers, left_out


def _is_complete(out: Path, form: Form, content: Content) -> bool:
    if not is_regular(out / FORM_FILE):
        return False
    found = read_description(out)
    return (found.form, found.content) == (form.name, content)


def write_form(out: Path, form: Form, content: Content, items: Iterator[Item], left_out: int = 0) -> None:
    """Write images of a set into a folder of ours. form.json comes last. Raises what the images raise; DiskFull.

    left_out: chosen images that the form cannot hold, which form.json counts.
    """
    (out / FORM_FILE).unlink(missing_ok=True)
    digest = LabelsDigest()
    label = f"convert  {content.set.name} to {form.name}"
    try:
        with Progress(label, total=content.images, unit="images") as progress:
            counted = _counted(items, digest, progress)
            form.write(out, content, counted)
            # What is wrong at the end of a source is found when it is asked for more.
            if next(counted, None) is not None or digest.images != content.images:
                raise BadInput(out, f"would not be {content.images} images", "convert again")
        described = Described(form.name, content, digest.hexdigest())
        counted_out = {"left_out": left_out} if left_out else {}
        write_description(out, described, {**form.details(content.set), **counted_out})
    except OSError as error:
        raise file_error(out, error) from error


def _counted(items: Iterator[Item], digest: LabelsDigest, progress: Progress) -> Iterator[Item]:
    for item in items:
        digest.add(item[1])
        progress.step()
        yield item


def _copy_card(source: Path, out: Path, form: Form) -> None:
    """The card of the set, where the source has it: limits, licence and citation go where the images go.

    Its front matter tells programs of the tars, so it goes only where these are.
    """
    if is_regular(source / CARD) and (source / CARD).stat().st_size <= _MAX_CARD_BYTES:
        with open_regular(source / CARD) as file:
            card = file.read(_MAX_CARD_BYTES).decode(errors="replace")
        with replacing(out / CARD) as part:
            part.write_text(card if form.name == "tar" else without_front_matter(card), encoding="utf-8")
