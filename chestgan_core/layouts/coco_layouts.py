"""Layouts as COCO JSON (cocodataset.org, object detection), as annotation tools write it.

In: bytes, and what the generator can be asked. Out: named layouts, in the order of `images`. Images may be larger or
smaller than those of the generator: their boxes are scaled by the width that the file states. An image without an
annotation has no tumour. Beside the fields of COCO, an image may have `position`, `class`, `tumour`, `seed` and
`place`, as the columns of a CSV file, and the `sha256` that sets give it: its tumours were drawn, so they may lie
anywhere. Categories are not looked at: each annotation is a tumour.
"""

from collections.abc import Mapping
from typing import Any

from chestgan_core.errors import BadInput, DamagedObject, nearest
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.gathering import ANY, MAX_IMAGES, MAX_NAME, ImageEntry, NamedLayout, image_name
from chestgan_core.local.json_text import parse_json

_MAX_SIDE = 2**16  # pixels
_FILE = {"info", "licenses", "categories", "images", "annotations"}
_ASKED = {"position", "class", "tumour", "seed", "place"}
_IMAGE = {
    "id",
    "width",
    "height",
    "file_name",
    "license",
    "coco_url",
    "flickr_url",
    "date_captured",
    "sha256",
}
_IMAGE |= _ASKED
_ANNOTATION = {"id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd", "ignore", "score"}
_REMEDY = "give COCO JSON for object detection, with `images` and `annotations`"


def parse_coco(data: bytes, where: object, askable: Askable) -> list[NamedLayout]:
    """The layouts of a COCO file. where: what an error names, before the entry.

    Raises BadInput: not such JSON, unknown fields, an image that is not square or is there twice, an annotation of no
    image, what `Askable.require` refuses; with the number of the entry, counted from 1.
    """
    try:
        content = parse_json(data, str(where), _REMEDY)
    except DamagedObject as error:
        raise BadInput(error.what, error.cause, error.remedy) from error
    _require_fields(content, _FILE, where)
    images: dict[int | str, tuple[ImageEntry, float]] = {}
    names: set[str] = set()
    for at, fields in _entries(content, "images", _IMAGE, where):
        if len(images) == MAX_IMAGES:
            raise BadInput(at, f"is image {MAX_IMAGES + 1}", f"give at most {MAX_IMAGES} in one file")
        key = _key(fields, "id", at)
        image, scale = _image(fields, key, at, askable)
        if key in images or image.name in names:
            raise BadInput(at, f"is a second image {image.name}", "give each image one id and one file_name")
        images[key] = image, scale
        names.add(image.name)
    for at, fields in _entries(content, "annotations", _ANNOTATION, where):
        key = _key(fields, "image_id", at)
        if key not in images:
            raise BadInput(at, f"is of the image {key}, which is not in `images`", _REMEDY)
        image, scale = images[key]
        image.add_box(_box(fields, scale, at), at)
    if not images:
        raise BadInput(where, "holds no images", _REMEDY)
    return [image.checked(askable) for image, _ in images.values()]


def _entries(
    content: Mapping[str, Any], name: str, known: set[str], where: object
) -> list[tuple[str, Mapping[str, Any]]]:
    entries = content.get(name)
    if not isinstance(entries, list):
        raise BadInput(where, f"has no list `{name}`", _REMEDY)
    found: list[tuple[str, Mapping[str, Any]]] = []
    for number, fields in enumerate(entries, start=1):
        at = f"{where}, {name.removesuffix('s')} {number}"
        if not isinstance(fields, dict):
            raise BadInput(at, "is no JSON object", _REMEDY)
        _require_fields(fields, known, at)
        found.append((at, fields))
    return found


def _require_fields(fields: Mapping[str, Any], known: set[str], where: object) -> None:
    for name in fields:
        if name not in known:
            raise BadInput(
                where, f"has the unknown field {name[:MAX_NAME]!r}", nearest(name[:MAX_NAME], known)
            )


def _image(fields: Mapping[str, Any], key: int | str, at: str, askable: Askable) -> tuple[ImageEntry, float]:
    """The image, and how many pixels of the generator one of its own has."""
    width, height = (_number(fields.get(name), name, at) for name in ("width", "height"))
    if width != height or not 1 <= width <= _MAX_SIDE:
        cause = f"has {width:g} x {height:g} pixels, not a square of at most {_MAX_SIDE}"
        raise BadInput(at, cause, "give boxes of square images, as normalized slices are")
    image = ImageEntry(image_name(_text(fields.get("file_name", str(key)), "file_name", at), at), at)
    image.say_tumour(_text(fields.get("tumour", ""), "tumour", at), at)
    image.say_class(_text(fields.get("class", ""), "class", at), at)
    if (seed := fields.get("seed")) is not None:
        if type(seed) is not int:
            raise BadInput(at, "has no whole number as `seed`", "give one from 0, or leave it out")
        image.say_seed(seed, at)
    if (place := fields.get("place", "")) not in ("", ANY):
        raise BadInput(at, "has another `place` than any", f"give {ANY}, or leave it out")
    image.anywhere = place == ANY or "sha256" in fields
    position = fields.get("position")
    said = position if position in (None, ANY) else _number(position, "position", at)
    image.say_position(said, at)
    return image, askable.resolution / width


def _box(fields: Mapping[str, Any], scale: float, at: str) -> tuple[float, float, float, float]:
    box = fields.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise BadInput(at, "has no `bbox` of four numbers", "give [left, top, width, height] in pixels")
    x, y, width, height = (_number(value, "bbox", at) * scale for value in box)
    return x, y, x + width, y + height


def _key(fields: Mapping[str, Any], name: str, at: str) -> int | str:
    key = fields.get(name)
    if isinstance(key, bool) or not isinstance(key, int | str) or len(str(key)) > MAX_NAME:
        raise BadInput(at, f"has no `{name}`", "give a number or a short text")
    return key


def _number(value: object, name: str, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
        raise BadInput(at, f"has no number as `{name}`", "give one in pixels")
    return float(value)


def _text(value: object, name: str, at: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise BadInput(at, f"has no text of at most {MAX_NAME} characters as `{name}`", _REMEDY)
    return value
