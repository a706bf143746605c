"""The form `yolo`: images/train/, labels/train/ and data.yaml, as detectors of that family take them.

In: images with labels. Out: a text file for each image, empty where there is no tumour, else a line for each box: class
0, then centre x, centre y, width and height as parts of the side of the image.

data.yaml names no images to validate with: images of one generator on both sides of a split measure nothing about
patients.
"""

from collections.abc import Iterator
from pathlib import Path

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

DATA, IMAGES, LABELS = "data.yaml", "images/train", "labels/train"


def _write(folder: Path, content: Content, items: Iterator[Item]) -> None:
    images, labels = subfolders(folder, IMAGES, LABELS)
    for item in items:
        write_png(images, item, content)
        path = labels / png_name(item[1]["index"]).replace(".png", ".txt")
        # Not forced to the disk one by one: the same set gives the same files again.
        with replacing(path, durable=False) as part:
            part.write_text(lines_of(item[1], content.set.resolution), encoding="ascii")
    with replacing(folder / DATA) as part:
        part.write_text(_data(content), encoding="utf-8")


def lines_of(label: FormLabel, size: int) -> str:
    """A line for each box. size: of the image, pixels."""
    return "".join(
        f"0 {(x0 + x1) / 2 / size:.6f} {(y0 + y1) / 2 / size:.6f} {(x1 - x0) / size:.6f} {(y1 - y0) / size:.6f}\n"
        for x0, y0, x1, y1 in boxes_of(label)
    )


def _data(content: Content) -> str:
    return (
        f"# {escaped(about(content))}\n"
        "path: .  # the folder of this file; some programs want its whole path\n"
        f"train: {IMAGES}\n"
        "val: images/val  # is not here: put slices of held-out patients there, with their labels in labels/val\n"
        f"names:\n  0: {CATEGORY}\n"
    )


FORM = Form(
    "yolo",
    "images/, labels/ and data.yaml in YOLO's form, for detectors",
    _write,
    require=require_boxes,
    takes=says_where_tumours_are,
)
