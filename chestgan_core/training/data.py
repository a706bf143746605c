"""Slices as networks see them: from shards, through the experiment's window, all in memory.

In: shard files, (N, S, S) int16 each, HU of CT or grey levels of pictures. Out: (N, 1, R, R) float32 in [-1, 1], with
the class and the patient of each slice.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.imaging.windows import Window
from chestgan_core.metrics.degenerate import degenerate
from chestgan_core.slices.other_patients import DistinctSlices, Side, require_other_patients
from chestgan_core.slices.shards import read_shard

# Slices resized at once: bounds the float copy of a large shard.
RESIZE_BATCH = 256


@dataclass(frozen=True)
class LoadedSlices:
    """images: (N, 1, R, R) float32 in [-1, 1]. classes: (N,) int64, indices into experiment.classes; None without.
    patients: the patient of each slice.
    """

    images: Tensor
    classes: Tensor | None
    patients: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def load_training_slices(paths: Sequence[Path], experiment: Experiment) -> LoadedSlices:
    """`load_slices` of what an experiment is trained on, checked.

    Raises BadInput: what load_slices raises, slices that show nothing (of one value, all equal), a class with too few
    patients (says how many), a batch larger than the set.
    """
    loaded = load_slices(paths, experiment)
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
    if len(loaded) < experiment.training.batch_size:
        raise BadInput(
            f"experiment {experiment.name}",
            f"its batch of {experiment.training.batch_size} is larger than the set of {len(loaded)} slices",
            "lower training.batch_size, or give more slices",
        )
    _require_images(loaded, "the training slices")
    return loaded


def load_held_out(paths: Sequence[Path], trained: LoadedSlices, experiment: Experiment) -> LoadedSlices:
    """`load_slices` of what a training is judged by. Raises BadInput as load_slices does, and where slices or patients
    are those that it is trained on.
    """
    loaded = load_slices(paths, experiment)
    _require_images(loaded, "the held-out slices")
    require_other_patients(_side(trained), _side(loaded), "the held-out slices")
    return loaded


def _require_images(loaded: LoadedSlices, what: str) -> None:
    """Refuse slices from which nothing can be learned. Raises BadInput."""
    if found := degenerate(loaded.images.numpy()):
        remedy = "check the window of the experiment, and look at the slices: chestgan normalize writes them"
        raise BadInput(what, f"{found}, so nothing can be learned from them", remedy)


def _side(loaded: LoadedSlices) -> Side:
    return Side(loaded.images.numpy(), loaded.patients)


def load_slices(paths: Sequence[Path], experiment: Experiment) -> LoadedSlices:
    """The slices of all shards, in the order of the paths, at the experiment's resolution and through its window.

    Of an experiment with classes only the slices of these classes. Larger slices are downsized with antialiasing
    before the window clips them.
    Raises BadInput: no paths, no slices (of these classes), slices smaller than the resolution, a file that is not a
    shard, a slice in two files.
    """
    numbers = {name: number for number, name in enumerate(experiment.classes)}
    parts: list[Tensor] = []
    classes: list[int] = []
    patients: list[str] = []
    given = DistinctSlices()
    for path in paths:
        shard = read_shard(path)
        given.add(path, shard)
        chosen = [at for at, row in enumerate(shard.rows) if row.histology in numbers or not numbers]
        patients += [shard.rows[at].patient for at in chosen]
        classes += [numbers[shard.rows[at].histology] for at in chosen] if numbers else []
        slices = torch.from_numpy(shard.slices)  # (N, S, S) int16
        found, size = slices.shape[-1], experiment.resolution
        if len(slices) and found < size:
            cause = f"holds {found} x {found} slices, the experiment {experiment.name} needs {size} x {size}"
            raise BadInput(path, cause, _remedy(size, found))
        for few in torch.split(torch.tensor(chosen), RESIZE_BATCH) if chosen else ():
            parts.append(as_images(slices[few], size, experiment.display_window))
    if not patients:
        if numbers:
            cause = f"hold no slices of the classes {', '.join(numbers)}"
            raise BadInput(
                "the data", cause, f"change the classes of {experiment.name}, or add patients of them"
            )
        raise BadInput("the data", "hold no slices", "give shards made by chestgan normalize")
    return LoadedSlices(torch.cat(parts), torch.tensor(classes) if numbers else None, tuple(patients))


def as_images(slices: Tensor, size: int, window: Window) -> Tensor:
    """(N, S, S) int16 in HU or grey levels to (N, 1, size, size) float32 in [-1, 1], as networks see them.

    Larger slices are downsized with antialiasing before the window clips them. A float copy of all of them is made.
    """
    values = slices[:, None].float()
    if values.shape[-1] > size:
        values = functional.interpolate(values, size=(size, size), mode="bilinear", antialias=True)
    unit: Tensor = window.to_unit(values)
    return unit


def _remedy(needed: int, found: int) -> str:
    """Larger slices, or a resolution that the slices have."""
    return f"normalize with --size {needed} or more, or choose the resolution {1 << (found.bit_length() - 1)}"
