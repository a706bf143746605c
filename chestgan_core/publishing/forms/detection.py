"""What the forms for training detectors have in common: COCO, PASCAL VOC and YOLO.

In: images with labels. Out: which of them such a form can hold, and what it says of them. An image without a box is an
image without a tumour in all three, so images of which nothing is known about tumours stay out. They are not read back:
PASCAL VOC rounds to whole pixels, YOLO to parts of the image, and none has the seeds.
"""

from collections.abc import Iterator
from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.local.files import sweep
from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.items import FormLabel
from chestgan_core.publishing.reader.manifest import SetFacts

CATEGORY = "lung tumour"


def require_boxes(facts: SetFacts) -> None:
    """Refuse a set whose images nobody asked for tumours. Raises BadInput."""
    if not facts.has_boxes:
        cause = "has no boxes: its generator was not told where tumours are, so nothing is known about them"
        raise BadInput(facts.name, cause, "take a set with boxes, or another form")


def says_where_tumours_are(label: FormLabel) -> bool:
    """Whether the image was asked for tumours, or for none."""
    return label["boxes"] is not None


def boxes_of(label: FormLabel) -> list[list[float]]:
    """Of an image that says where tumours are."""
    if label["boxes"] is None:  # left out before
        raise BadInput(f"image {label['index']}", "does not say where tumours are", "leave it out")
    return label["boxes"]


def about(content: Content) -> str:
    """That the images are synthetic, what the boxes are, and which set this is: one line."""
    facts = content.set
    return (
        f"SYNTHETIC images, not of persons, not for diagnosis. Set {facts.name} {content.version}, model sha256 "
        f"{facts.model_sha256}. A box is where the model was asked to draw a tumour. Trained on: "
        f"{' '.join(facts.source_title.split())}; licence: {' '.join(facts.source_licence.split())}."
    )


def subfolders(folder: Path, *names: str) -> Iterator[Path]:
    """Folders inside the folder of a form, without what a killed conversion left in them."""
    for name in names:
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        sweep(path)
        yield path
