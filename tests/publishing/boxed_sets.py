"""A set whose images have tumour boxes, as one of a generator that places tumours will be."""

from pathlib import Path

import pytest

from chestgan_core.config.experiment import Experiment
from chestgan_core.publishing.reader.labels import LabelRow
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.writing import image_tars
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.weights import LoadedGenerator

BOXES = ([], [[3.25, 10.3, 20.5, 31.75]], [[0.0, 0.0, 64.0, 64.0], [1.1, 2.2, 3.3, 4.4]])  # pixels
IMAGES = 4


def write_boxed_set(
    generator: LoadedGenerator, experiment: Experiment, folder: Path, provenance: dict[str, str]
) -> SetFolder:
    """Images 0, 1, 2, ... have 0, 1, 2, 0, ... boxes."""
    plain = image_tars.image_row

    def with_boxes(k: int, facts: SetFacts) -> LabelRow:
        return {**plain(k, facts), "boxes": [list(box) for box in BOXES[k % len(BOXES)]]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_tars, "image_row", with_boxes)
        return write_set(generator, experiment, IMAGES, 100, folder, provenance)
