"""Layouts as CSV: a row per tumour. What is written reads back as the same layouts.

In: text, and what the generator can be asked. Out: named layouts, in the order in which the images are first named. The
columns, of which only `image` must be there:

    image      text of up to 64 characters; rows with the same text are of the same image
    left, top, right, bottom   edges of a tumour's box from the top left of the image; all empty: no tumour
    unit       px (default) or mm
    tumour     any: the generator is told nothing about tumours; none: there is none; empty: as the boxes say
    position   from 0 (base of the lungs) to 1 (apex); any: the generator is told none; empty: one that fits is drawn
    class      of the generator's classes, or empty: that of the seed
    seed       of the noise, or empty: one after the other
    place      any: tumours may lie outside the lungs; empty: that is refused

What a row says of the whole image (tumour to place) need not be repeated in its further rows.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TextIO

from chestgan_core.errors import BadInput, nearest
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.gathering import ANY, MAX_IMAGES, MAX_NAME, ImageEntry, NamedLayout, image_name
from chestgan_core.layouts.layout import Edges

EDGES = ("left", "top", "right", "bottom")
COLUMNS = ("image", *EDGES, "unit", "tumour", "position", "class", "seed", "place")
_NUMBER = frozenset("0123456789+-.eEnaifNAIF")  # with those of nan and inf, which are refused as such
_REMEDY = f"the first line names the columns: {','.join(COLUMNS)}"


def parse_csv(text: str, where: object, askable: Askable) -> list[NamedLayout]:
    """The layouts of a CSV file. where: what an error names, before the line.

    Raises BadInput: unknown, doubled or missing columns, a row that is too long or short, something that is no number,
    what `Askable.require` refuses; with the line.
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] = []
    images: dict[str, ImageEntry] = {}
    try:
        for row in rows:
            if columns and not row:  # an empty line at the end is none
                continue
            line = f"{where}, line {rows.line_num}"
            if not columns:
                columns = _columns(row, line)
            else:
                if len(row) != len(columns):
                    cause = f"has {len(row)} values, not {len(columns)}"
                    raise BadInput(line, cause, "give one for each column, or nothing between two commas")
                values = (value.strip() for value in row)
                _add(images, dict(zip(columns, values, strict=True)), line, askable)
    except csv.Error as error:
        raise BadInput(f"{where}, line {rows.line_num}", f"is not CSV ({error})", _REMEDY) from error
    if not images:
        raise BadInput(where, "holds no layouts", _REMEDY)
    return [image.checked(askable) for image in images.values()]


def _columns(row: list[str], line: str) -> list[str]:
    columns = [name.strip() for name in row]
    for name in columns:
        if name not in COLUMNS:
            cause = f"has the unknown column {name[:MAX_NAME]!r}"
            raise BadInput(line, cause, nearest(name[:MAX_NAME], COLUMNS))
    if len(set(columns)) < len(columns):
        raise BadInput(line, "names a column twice", _REMEDY)
    edges = [name for name in EDGES if name in columns]
    if "image" not in columns or len(edges) not in (0, len(EDGES)):
        needed = "image" if "image" not in columns else next(name for name in EDGES if name not in edges)
        raise BadInput(line, f"has no column {needed}", _REMEDY)
    return columns


def _add(images: dict[str, ImageEntry], row: Mapping[str, str], line: str, askable: Askable) -> None:
    name = image_name(row["image"], line)
    if name not in images and len(images) == MAX_IMAGES:
        raise BadInput(line, f"is of image {MAX_IMAGES + 1}", f"give at most {MAX_IMAGES} in one file")
    image = images.setdefault(name, ImageEntry(name, line))
    image.say_tumour(row.get("tumour", ""), line)
    position = row.get("position", "")
    image.say_position(
        _number(position, "position", line) if position not in ("", ANY) else position or None, line
    )
    if seed := row.get("seed", ""):
        if not seed.isascii() or not seed.isdigit() or len(seed) > MAX_NAME:
            raise BadInput(line, f"has {seed[:MAX_NAME]!r} as seed", "give a whole number from 0")
        image.say_seed(int(seed), line)
    if len(class_name := row.get("class", "")) > MAX_NAME:
        raise BadInput(line, "has a class of too many characters", f"give at most {MAX_NAME}")
    image.say_class(class_name, line)
    if (place := row.get("place", "")) not in ("", ANY):
        raise BadInput(line, f"has {place[:MAX_NAME]!r} as place", f"give {ANY}, or nothing")
    image.anywhere |= place == ANY
    if (box := _box(row, line, askable)) is not None:
        image.add_box(box, line)


def _box(row: Mapping[str, str], line: str, askable: Askable) -> Edges | None:
    unit = row.get("unit", "")
    if unit not in ("", "px", "mm"):
        raise BadInput(line, f"has the unknown unit {unit[:MAX_NAME]!r}", "choose px or mm")
    texts = [row.get(name, "") for name in EDGES]
    if not any(texts):
        return None
    left, top, right, bottom = (
        askable.pixels(_number(text, name, line), "mm" if unit == "mm" else "px", line)
        for name, text in zip(EDGES, texts, strict=True)
    )
    return left, top, right, bottom


def _number(text: str, column: str, line: str) -> float:
    try:
        if not _NUMBER.issuperset(text):  # Python reads 1_4 and the digits of every script, nobody else does
            raise ValueError(text)
        return float(text)
    except ValueError:
        cause = f"has {text[:MAX_NAME]!r} as {column}" if text else f"has no {column}"
        raise BadInput(line, cause, "give a number with a point, or leave the whole box empty") from None


def write_csv(layouts: Iterable[NamedLayout], file: TextIO) -> None:
    """The layouts as `parse_csv` reads them; each number in full, so that reading gives the same layouts.

    A tumour that was drawn may lie outside the lungs, where a training slice had one there, and is not refused when it
    is read back. file: opened with newline="".
    """
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(name for name in COLUMNS if name != "unit")
    for name, layout, seed, drawn in layouts:
        position = ("" if drawn else ANY) if layout.position is None else repr(float(layout.position))
        tumour = ANY if layout.boxes is None else ""
        of_image = [tumour, position, layout.class_name, "" if seed is None else seed, ANY]
        for box in layout.boxes or ((),):
            rows.writerow([name, *([repr(float(edge)) for edge in box] or [""] * len(EDGES)), *of_image])
