"""The form `png`: a folder of PNG and one table.

In: images with labels. Out: 000000.png, ..., named by their number in the set, and labels.csv, written last. Its cells
`boxes` and `position` are empty where nothing is known; `[]` says that no tumour was asked for.
"""

import csv
import io
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from chestgan_core.errors import DamagedObject
from chestgan_core.escaping import csv_cell
from chestgan_core.local.files import open_regular, replacing
from chestgan_core.publishing.forms.content import FORM_FILE, Content
from chestgan_core.publishing.forms.form import Form
from chestgan_core.publishing.forms.items import REMEDY, FormLabel, Item, checked_label
from chestgan_core.publishing.forms.png_files import read_png, write_png
from chestgan_core.publishing.reader.labels import label_json, png_name
from chestgan_core.publishing.reader.set_folder import CARD

LABELS = "labels.csv"
COLUMNS = ("index", "seed", "class", "file", "sha256", "boxes", "position")
_MAX_LINE = 2**17  # characters: what csv takes as one field
_NOT_IMAGES = (LABELS, FORM_FILE, CARD)


def _write(folder: Path, content: Content, items: Iterator[Item]) -> None:
    with replacing(folder / LABELS) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for levels, label in items:
            write_png(folder, (levels, label), content)
            table.writerow(_row(label))


def _row(label: FormLabel) -> list[str | int | float]:
    """What is not known is an empty cell: programs read it as a missing value."""
    boxes = "" if label["boxes"] is None else json.dumps(label["boxes"], separators=(",", ":"))
    position = "" if label["position"] is None else label["position"]
    name = csv_cell(label["class"])
    return [
        *(label["index"], label["seed"], name, png_name(label["index"])),
        *(label["sha256"], boxes, position),
    ]


def _labels(folder: Path, content: Content) -> Iterator[FormLabel]:
    path = folder / LABELS
    try:
        with open_regular(path) as binary:
            lines = _lines(io.TextIOWrapper(binary, encoding="utf-8", newline=""), path)
            table = csv.reader(lines, strict=True)
            if next(table, None) != [*COLUMNS]:
                raise DamagedObject(path, f"does not begin with {','.join(COLUMNS)}", REMEDY)
            for row in islice(table, content.images + 1):
                yield _label(row, content, f"{path}, line {table.line_num}")
    except OSError as error:
        raise DamagedObject(path, f"cannot be read ({error.strerror})", REMEDY) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DamagedObject(path, f"is not a table of labels ({error})", REMEDY) from error


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    while line := file.readline(_MAX_LINE):
        if len(line) == _MAX_LINE:
            raise DamagedObject(path, "has a line that is too long for the label of an image", REMEDY)
        yield line


def _label(row: list[str], content: Content, where: str) -> FormLabel:
    try:
        cells = dict(zip(COLUMNS, row, strict=True))
        index = int(cells["index"])
        fields = {"index": index, "seed": int(cells["seed"]), "sha256": cells["sha256"]}
        boxes = json.loads(cells["boxes"]) if cells["boxes"] else None
        fields["position"] = float(cells["position"]) if cells["position"] else None
        # What a spreadsheet would run has an apostrophe in the table, and none in the set.
        shown = content.set.class_of(index)
        fields["class"] = shown if cells["class"] == csv_cell(shown) else cells["class"]
        data = label_json({**fields, "boxes": boxes})
    except (ValueError, RecursionError) as error:
        raise DamagedObject(where, f"is not the label of an image ({error})", REMEDY) from error
    if cells["file"] != png_name(index):
        raise DamagedObject(where, f"names {cells['file'][:100]} for image {index}", REMEDY)
    return checked_label(data, index, content.set, where)


def _items(folder: Path, content: Content) -> Iterator[Item]:
    _require_only_images(folder, content)
    for label in _labels(folder, content):
        yield read_png(folder / png_name(label["index"]), label, content)


def _require_only_images(folder: Path, content: Content) -> None:
    """No file more than there are images, and what is a stranger's own stays out. Raises DamagedObject."""
    found = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
    extra = [name for name in found if name not in _NOT_IMAGES and not name.endswith(".png")]
    if extra:
        raise DamagedObject(folder, f"holds {min(extra)}, which is not of a converted set", REMEDY)
    count = sum(name.endswith(".png") for name in found)
    if count != content.images:
        raise DamagedObject(folder, f"holds {count:,} PNG files, not {content.images:,}", REMEDY)


FORM = Form(
    "png",
    "a folder of PNG, and labels.csv",
    _write,
    _labels,
    _items,
)
