"""Slices as networks see them: from shards, through the experiment's window.

In: shard files, (N, S, S) int16 each, HU of CT or grey levels of pictures, and where their tumours are. Out:
(N, 1, R, R) float32 in [-1, 1], with the patient of each slice and what networks are told of it: in memory, or, of a
training whose slices are too large for that, in a mapped file.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import TypeVar

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.local.home import home
from chestgan_core.local.used_files import MAPPED_SLICES
from chestgan_core.metrics.degenerate import degenerate
from chestgan_core.slices.marks import SliceMarks
from chestgan_core.slices.other_patients import Side, require_other_patients
from chestgan_core.slices.shards import SliceRow
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.mapped_images import Images, MappedImages, parts_of
from chestgan_core.training.packed_file import open_packed, packed_bytes
from chestgan_core.training.slice_memory import Held, choose_memory, require_memory
from chestgan_core.training.slice_table import SliceTable, as_images, read_table

_CPU = torch.device("cpu")

Of = TypeVar("Of", bound=Images, covariant=True, default=Tensor)
Given = TypeVar("Given", bound=Images)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedSlices(Generic[Of]):
    """images: (N, 1, R, R) float32 in [-1, 1]: a tensor, unless Images are said. classes: (N,) int64, indices into
    experiment.classes; None without. patients: the patient of each slice. positions, boxes, annotated: as in
    SliceConditions, None where the experiment does not ask for them. pixel_mm: (N,) float32, the edge of a pixel of the
    images, NaN where not known; None: of none. lung_mm: the median extent of the lungs from base to apex, 0 where not
    known. rows: of the shards, one per slice; () where there were no shards, and of slices loaded for a training.
    """

    images: Of
    classes: Tensor | None
    patients: tuple[str, ...]
    positions: Tensor | None = None
    boxes: Tensor | None = None
    annotated: Tensor | None = None
    pixel_mm: Tensor | None = None
    lung_mm: float = 0.0
    rows: tuple[SliceRow, ...] = field(default=(), repr=False)

    @property
    def conditions(self) -> SliceConditions:
        """What networks are told of the slices."""
        return SliceConditions(self.classes, self.positions, self.boxes, self.annotated)

    @property
    def held(self) -> Held:
        """Where the images are."""
        return "mapped" if isinstance(self.images, MappedImages) else "memory"

    def told(self) -> dict[str, int]:
        """How many slices show a tumour, surely none, or are unknown, and how many have a position; only what the
        experiment asks for.
        """
        counts = {}
        if self.boxes is not None and self.annotated is not None:
            shown = self.boxes.isfinite().any(dim=(1, 2))
            counts["with_tumour"] = int(shown.sum())
            counts["without_tumour"] = int((self.annotated & ~shown).sum())
            counts["unknown_tumour"] = len(self) - counts["with_tumour"] - counts["without_tumour"]
        if self.positions is not None:
            counts["with_position"] = int(self.positions.isfinite().sum())
            counts["without_position"] = len(self) - counts["with_position"]
        return counts

    def __len__(self) -> int:
        return len(self.images)


def load_training_slices(
    paths: Sequence[Path],
    experiment: Experiment,
    marks: SliceMarks | None = None,
    device: torch.device = _CPU,
) -> LoadedSlices[Images]:
    """The same slices as `load_slices`, without rows, for a training on this device; checked.

    In memory, or in a mapped file below $CHESTGAN_HOME that goes when nobody has them any more (slice_memory.py).
    Raises DiskFull, BadInput: what load_slices raises, the folder of that file cannot be written, slices that show
    nothing (of one value, all equal), a class with too few patients (says how many), no slice with a tumour or of a
    known position where the experiment asks for them, a batch larger than the set.
    """
    loaded = _load_for_training(paths, experiment, marks, device, "slices")
    numbers = [] if loaded.classes is None else loaded.classes.tolist()
    pairs = set(zip(numbers, loaded.patients, strict=True)) if numbers else set()
    patients = Counter(number for number, _ in pairs)
    for number, name in enumerate(experiment.classes):
        found = patients[number]
        if found < experiment.min_patients_per_class:
            raise BadInput(
                f"class {name} of {experiment.name}",
                f"has {found} patient(s) to train on, at least {experiment.min_patients_per_class} are needed",
                "leave it out of classes: a generator memorizes few people; or set min_patients_per_class",
            )
    _require_conditions(loaded, experiment)
    if len(loaded) < experiment.training.batch_size:
        raise BadInput(
            f"experiment {experiment.name}",
            f"its batch of {experiment.training.batch_size} is larger than the set of {len(loaded)} slices",
            "lower training.batch_size, or give more slices",
        )
    _require_images(loaded, "the training slices")
    return loaded


def load_held_out(
    paths: Sequence[Path],
    trained: LoadedSlices[Images],
    experiment: Experiment,
    marks: SliceMarks | None = None,
    device: torch.device = _CPU,
) -> LoadedSlices[Images]:
    """What a training is judged by, as `load_training_slices` gives what it is trained on. Raises DiskFull, BadInput as
    that does, and where slices or patients are those that it is trained on.
    """
    loaded = _load_for_training(paths, experiment, marks, device, "held-out slices")
    _require_images(loaded, "the held-out slices")
    require_other_patients(_side(trained), _side(loaded), "the held-out slices")
    return loaded


def _require_conditions(loaded: LoadedSlices[Images], experiment: Experiment) -> None:
    """Refuse slices of which nothing is known that the experiment asks for. Raises BadInput."""
    what = f"experiment {experiment.name}"
    if loaded.boxes is not None and not loaded.boxes.isfinite().any():
        cause = f"asks for tumours, and none of its {len(loaded)} slices has a box"
        remedy = "materialize tumour_annotations and training_set, or give --marks of a set with boxes"
        raise BadInput(what, cause, remedy)
    if loaded.positions is not None and not loaded.positions.isfinite().any():
        cause = f"asks for positions, and that of none of its {len(loaded)} slices is known"
        raise BadInput(what, cause, "give scans that show the lungs from base to apex, or leave out position")


def _require_images(loaded: LoadedSlices[Images], what: str) -> None:
    """Refuse slices from which nothing can be learned. Raises BadInput."""
    if found := degenerate(loaded.images):
        remedy = "check the window of the experiment, and look at the slices: chestgan normalize writes them"
        raise BadInput(what, f"{found}, so nothing can be learned from them", remedy)


def _side(loaded: LoadedSlices[Images]) -> Side:
    return Side(_arrays(loaded.images), loaded.patients)


def _arrays(images: Images) -> Iterator[NDArray[np.float32]]:
    """(1, R, R) each."""
    for part in parts_of(images):
        yield from part.numpy()


def load_slices(
    paths: Sequence[Path], experiment: Experiment, marks: SliceMarks | None = None
) -> LoadedSlices:
    """The slices of all shards, in the order of the paths, at the experiment's resolution and through its window; all
    in memory, with their rows.

    Of an experiment with classes only the slices of these classes. Larger slices are downsized with antialiasing before
    the window clips them. marks: where their tumours are; of a slice that is not in it nothing is known. Raises
    BadInput: the experiment asks for tumours and there are no marks, no paths, no slices (of these classes), slices
    smaller than the resolution, a file that is not a shard, a slice in two files, marks of slices of another size, less
    memory than they take.
    """
    table = read_table(paths, experiment, marks, keep_rows=True)
    require_memory(len(table), experiment)
    return _loaded(table, _in_memory(table, experiment))


def _load_for_training(
    paths: Sequence[Path], experiment: Experiment, marks: SliceMarks | None, device: torch.device, what: str
) -> LoadedSlices[Images]:
    """`load_slices` without rows, in memory or in a mapped file."""
    table = read_table(paths, experiment, marks, keep_rows=False)
    choice, size = choose_memory(len(table), experiment, device), experiment.resolution
    where = "in memory"
    if choice.held == "mapped":
        where = f"in a mapped file of {packed_bytes(table, experiment) / 1e9:.2g} GB"
    log.info(
        f"training {experiment.name}: {len(table):,} {what} of {size} x {size} {where} ({choice.reason})"
    )
    if choice.held == "mapped":
        return _loaded(table, open_packed(table, experiment, home() / MAPPED_SLICES))
    return _loaded(table, _in_memory(table, experiment))


def _in_memory(table: SliceTable, experiment: Experiment) -> Tensor:
    size, first = experiment.resolution, 0
    images = torch.empty(len(table), 1, size, size)
    for part in table.parts():
        images[first : first + len(part)] = as_images(part, size, experiment.display_window)
        first += len(part)
    return images


def _loaded(table: SliceTable, images: Given) -> LoadedSlices[Given]:
    known = table.conditions
    return LoadedSlices(
        images,
        known.classes,
        table.patients,
        known.positions,
        known.boxes,
        known.annotated,
        table.pixel_mm,
        table.lung_mm,
        table.rows,
    )
