"""Training images: slices from shards, through the experiment's window, all in memory.

In: shard files, (N, S, S) int16 each, HU of CT or grey levels of pictures. Out: (N, 1, R, R) float32 in [-1, 1], and
for training also the class and the patient of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from chestgan_core.errors import BadInput
from chestgan_core.experiment import Experiment
from chestgan_core.slices.shards import read_rows, read_shard

# Slices resized at once: bounds the float copy of a large shard.
AT_ONCE = 256


@dataclass(frozen=True)
class TrainingImages:
    """images: (N, 1, R, R) float32 in [-1, 1]. classes: (N,) int64, numbers into experiment.classes; None without any.
    patients: the patient of each.
    """

    images: Tensor
    classes: Tensor | None
    patients: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def load_training_images(paths: Sequence[Path], experiment: Experiment) -> TrainingImages:
    """What an experiment is trained on: with classes, only slices of those.

    Raises BadInput: what load_images raises, a class with too few patients (says how many), a batch larger than the
    set.
    """
    images = load_images(paths, experiment)
    rows = [row for path in paths for row in read_rows(path)]
    numbers = {name: number for number, name in enumerate(experiment.classes)}
    chosen = [at for at, row in enumerate(rows) if row.histology in numbers or not numbers]
    patients = tuple(rows[at].patient for at in chosen)
    for name in numbers:
        found = len({rows[at].patient for at in chosen if rows[at].histology == name})
        if found < experiment.least_patients:
            raise BadInput(
                f"class {name} of {experiment.name}",
                f"has {found} patient(s) to train on, and {experiment.least_patients} are needed",
                "leave it out of classes: a generator memorizes few people; or set least_patients",
            )
    if len(chosen) < experiment.training.batch:
        raise BadInput(
            f"experiment {experiment.name}",
            f"its batch of {experiment.training.batch} is larger than the set of {len(chosen)} slices",
            "lower training.batch, or give more slices",
        )
    kept = images if len(chosen) == len(rows) else images[chosen]
    classes = torch.tensor([numbers[rows[at].histology] for at in chosen]) if numbers else None
    return TrainingImages(kept, classes, patients)


def load_images(paths: Sequence[Path], experiment: Experiment) -> Tensor:
    """The slices of all shards, in the order of the paths, at the experiment's resolution and window.

    Larger slices are made smaller with antialiasing before the window clips them.
    Raises BadInput: no paths, no slices, slices smaller than the resolution, a file that is not a shard.
    """
    size = experiment.resolution
    parts: list[Tensor] = []
    for path in paths:
        slices = torch.from_numpy(read_shard(path).slices)  # (N, S, S) int16
        found = slices.shape[-1]
        if len(slices) and found < size:
            cause = f"holds {found} x {found} slices, the experiment {experiment.name} wants {size} x {size}"
            raise BadInput(path, cause, _remedy(size, found))
        for few in torch.split(slices, AT_ONCE):
            values = few[:, None].float()
            if found > size:
                values = functional.interpolate(values, size=(size, size), mode="bilinear", antialias=True)
            parts.append(experiment.display_window.to_unit(values))
    if not parts:
        raise BadInput("the training data", "holds no slices", "give shards made by chestgan normalize")
    return torch.cat(parts)


def _remedy(wanted: int, found: int) -> str:
    """Slices of the wanted size, or a resolution that the slices have."""
    return f"normalize with --size {wanted} or more, or choose the resolution {1 << (found.bit_length() - 1)}"
