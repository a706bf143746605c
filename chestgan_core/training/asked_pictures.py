"""What a trained generator makes of what it is asked: pictures for people, beside those of its training.

In: a generator that is told of tumours or positions. Out: `pairs.png` (a seed per column: with a tumour in its frame,
without it, and half the difference, grey where there is none) and `patient.gif` (the slices of a synthetic patient from
base to apex, its tumour framed), each where the generator can make it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from chestgan_core.imaging.animations import stack_animation
from chestgan_core.imaging.pictures import draw_boxes, image_grid, save_png
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.subject import MIN_SLICES, SPACING_MM, subject_layouts
from chestgan_core.layouts.table import draw_layouts
from chestgan_core.local.files import replacing
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator

PAIRS_FILE, PATIENT_FILE = "pairs.png", "patient.gif"
PAIRS = 8
_PATIENT = 0  # its seed
_SIDE, _GAP = 128, 2  # pixels of an image, about, and between images


def write_asked(generator: LoadedGenerator, out: Path) -> None:
    """Write the pictures that this generator can make; none of one that is asked for no more than a class."""
    experiment, table = generator.experiment, generator.layouts
    if table is None:
        return
    if experiment.conditions.tumour is not None and table.has_box.any():
        seeds = range(PAIRS)
        layouts = draw_layouts(table, seeds, len(experiment.classes), tumour_fraction=1.0)
        shown = generate(generator, seeds, layouts)
        without = generate(generator, seeds, [replace(layout, boxes=()) for layout in layouts])
        save_png(_pairs(shown, without, layouts), out / PAIRS_FILE)
    known = table.has_position and table.pixel_mm and table.lung_mm >= MIN_SLICES * SPACING_MM
    if experiment.conditions.position and known:
        askable = Askable(experiment.resolution, experiment.classes, experiment.conditions, table)
        patient = subject_layouts(askable, _PATIENT, tumour_fraction=float(table.has_box.any()))
        images = generate(generator, [_PATIENT] * len(patient.layouts), patient.layouts)
        with replacing(out / PATIENT_FILE) as path:
            path.write_bytes(stack_animation(images, [layout.boxes or () for layout in patient.layouts]))


def _pairs(shown: Tensor, without: Tensor, layouts: Sequence[Layout]) -> Image.Image:
    """shown, without: (PAIRS, 1, R, R). Three rows, the same frames in each."""
    size = shown.shape[-1]
    scale = max(1, _SIDE // size)
    step = scale * size + _GAP
    sheet = image_grid(torch.cat([shown, without, (shown - without) / 2]), PAIRS, scale, _GAP)
    boxes = [
        (
            left * scale + column * step,
            top * scale + row * step,
            right * scale + column * step,
            bottom * scale + row * step,
        )
        for row in range(3)
        for column, layout in enumerate(layouts)
        for left, top, right, bottom in layout.boxes or ()
    ]
    return draw_boxes(sheet, boxes)
