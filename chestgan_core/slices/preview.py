"""Previews of slices: what people see of a patient.

In: a shard in HU. Out: images (count, 1, S, S) float32 in [-1, 1], lung window, and PNG bytes.
"""

import numpy as np

from chestgan_core.imaging.pictures import image_grid, png_of
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.shards import Shard

PER_PATIENT = 8


def preview_slices(shard: Shard, count: int = PER_PATIENT) -> np.ndarray:
    """(count, 1, S, S) float32 in [-1, 1], evenly spaced over the shard; slices are repeated where there are fewer."""
    chosen = np.linspace(0, len(shard.slices) - 1, count).round().astype(int)
    shown: np.ndarray = WINDOWS["lung"].to_unit(shard.slices[chosen])
    return shown[:, None]


def preview_png(shard: Shard) -> bytes:
    """Eight slices of one patient as a PNG."""
    return png_of(image_grid(preview_slices(shard), columns=PER_PATIENT // 2))
