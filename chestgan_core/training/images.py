"""Training images: slices from shards, through the experiment's window, all in memory.

In: shard files, (N, S, S) int16 each, HU of CT or grey levels of pictures. Out: (N, 1, R, R) float32 in [-1, 1].
"""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from chestgan_core.errors import BadInput
from chestgan_core.experiment import Experiment
from chestgan_core.slices.shards import read_shard

# Slices resized at once: bounds the float copy of a large shard.
AT_ONCE = 256


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
    possible = [r for r in get_args(Experiment.model_fields["resolution"].annotation) if r <= found]
    smaller = f", or choose the resolution {' or '.join(map(str, possible))}" if possible else ""
    return f"normalize with --size {wanted} or more{smaller}"
