"""The form `voc`: images/ and an XML in the form of PASCAL VOC for each image, those without tumour too.

In: images with labels. Out: annotations/000000.xml, ... Edges are whole numbers, as labelImg writes them and
sources/annotations/voc.py reads them: lines between pixels, counted from 0, so that xmin is the left edge of the pixel
with xmin others to its left, and xmax - xmin the width. Boxes are rounded outwards, by less than a pixel. (Files of the
first PASCAL VOC challenges count pixels from 1, and xmax is the last of them.)
"""

import math
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from chestgan_core.escaping import escaped
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

ANNOTATIONS, IMAGES = "annotations", "images"


def _write(folder: Path, content: Content, items: Iterator[Item]) -> None:
    annotations, images = subfolders(folder, ANNOTATIONS, IMAGES)
    for item in items:
        write_png(images, item, content)
        path = annotations / png_name(item[1]["index"]).replace(".png", ".xml")
        # Not forced to the disk one by one: the same set gives the same files again.
        with replacing(path, durable=False) as part:
            part.write_text(annotation(item[1], content), encoding="utf-8")


def annotation(label: FormLabel, content: Content) -> str:
    """The XML of one image."""
    size = content.set.resolution
    objects = "".join(_object(box, size) for box in boxes_of(label))
    return (
        f"<annotation>\n <folder>{IMAGES}</folder>\n <filename>{png_name(label['index'])}</filename>\n"
        f" <source><database>{escape(escaped(about(content)))}</database></source>\n"
        f" <size><width>{size}</width><height>{size}</height><depth>1</depth></size>\n"
        f" <segmented>0</segmented>\n{objects}</annotation>\n"
    )


def _object(box: list[float], size: int) -> str:
    x0, y0, x1, y1 = box
    edges = {
        "xmin": math.floor(x0),
        "ymin": math.floor(y0),
        "xmax": math.ceil(x1),
        "ymax": math.ceil(y1),
    }
    # Whether the tumour would reach beyond the image, had it not been cut.
    cut = int(min(x0, y0) <= 0 or max(x1, y1) >= size)
    bounds = "".join(f"<{name}>{edge}</{name}>" for name, edge in edges.items())
    return (
        f" <object><name>{CATEGORY}</name><pose>Unspecified</pose><truncated>{cut}</truncated>"
        f"<difficult>0</difficult><bndbox>{bounds}</bndbox></object>\n"
    )


FORM = Form(
    "voc",
    "images/ and an XML for each in PASCAL VOC's form, for detectors",
    _write,
    require=require_boxes,
    takes=says_where_tumours_are,
)
