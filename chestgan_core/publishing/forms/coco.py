"""The form `coco`: images/ and annotations.json, as detectors of many libraries take them.

In: images with labels. Out: one JSON (https://cocodataset.org/#format-data): every image with its number, seed, class
and position, those without tumour too, and an annotation for each box: [x, y, width, height] in pixels, from the outer
edge of the first pixel. There is no segmentation: boxes were asked for, no outlines. Memory: 40 bytes a box.
"""

import json
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from chestgan_core.local.files import replacing
from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.detection import (
    CATEGORY,
    about,
    boxes_of,
    require_boxes,
    says_where_tumours_are,
    subfolders,
)
from chestgan_core.publishing.forms.form import Form
from chestgan_core.publishing.forms.items import FormLabel, Item
from chestgan_core.publishing.forms.png_files import write_png
from chestgan_core.publishing.reader.labels import png_name
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.writing.hub_fields import LICENCE_PAGES, licence_id

ANNOTATIONS, IMAGES = "annotations.json", "images"
_DIGITS = 6  # after the point, of a difference of edges: without it 0.1 + 0.2 would be written in 17 digits


def _write(folder: Path, content: Content, items: Iterator[Item]) -> None:
    facts = content.set
    [images] = subfolders(folder, IMAGES)
    owners, edges = array("q"), array("d")

    def described() -> Iterator[dict[str, Any]]:
        for item in items:
            write_png(images, item, content)
            for box in boxes_of(item[1]):
                owners.append(item[1]["index"])
                edges.extend(box)
            yield _image(item[1], facts)

    with replacing(folder / ANNOTATIONS) as part, part.open("w", encoding="utf-8") as file:
        for name, value in _about(content).items():
            file.write(f"{'{' if name == 'info' else ','}{json.dumps(name)}:{_json(value)}\n")
        _write_list(file, "images", described())
        _write_list(file, "annotations", (_annotation(at, owners, edges) for at in range(len(owners))))
        file.write("}\n")


def _write_list(file: TextIO, name: str, values: Iterable[dict[str, Any]]) -> None:
    """One value a line, so that it is never in memory as a whole."""
    file.write(f",{json.dumps(name)}:[")
    for at, value in enumerate(values):
        file.write(f"{',' if at else ''}\n{_json(value)}")
    file.write("]\n")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _about(content: Content) -> dict[str, Any]:
    licence = content.set.source_licence
    return {
        "info": {
            "description": about(content),
            "version": content.version,
            "url": "",
            "contributor": "chestgan",
        },
        "licenses": [{"id": 1, "name": licence, "url": LICENCE_PAGES.get(licence_id(licence), "")}],
        "categories": [{"id": 1, "name": CATEGORY, "supercategory": "tumour"}],
    }


def _image(label: FormLabel, facts: SetFacts) -> dict[str, Any]:
    said = {name: label[name] for name in ("seed", "class", "position", "sha256")}
    return {
        "id": label["index"],
        "file_name": f"{IMAGES}/{png_name(label['index'])}",
        "width": facts.resolution,
        "height": facts.resolution,
        "license": 1,
        **said,
    }


def _annotation(at: int, owners: "array[int]", edges: "array[float]") -> dict[str, Any]:
    x0, y0, x1, y1 = edges[4 * at : 4 * at + 4]
    width, height = round(x1 - x0, _DIGITS), round(y1 - y0, _DIGITS)
    return {
        "id": at + 1,  # 0 is no annotation to programs that judge detectors
        "image_id": owners[at],
        "category_id": 1,
        "bbox": [x0, y0, width, height],
        "area": round(width * height, _DIGITS),
        "iscrowd": 0,
    }


FORM = Form(
    "coco",
    "images/ and annotations.json in COCO's form, for detectors",
    _write,
    require=require_boxes,
    takes=says_where_tumours_are,
)
