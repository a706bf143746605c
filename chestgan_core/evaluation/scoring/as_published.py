"""Synthetic images as a set holds them: rounded to its grey levels.

A report is about these and not about what the network put out, so that whoever has the set can compute its numbers.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def as_published(images: "Tensor", bits: int) -> "Tensor":
    """(N, 1, H, W) float32 in [-1, 1] to the nearest of 2^bits levels, in the same form; bits: 8 or 16.

    The same bits as images that are read back from a set (publishing/reader/levels.py, which is above this folder; a
    test compares them).
    """
    import torch

    highest = 2**bits - 1
    # 8 bits in the single precision of the network; 16 bits need more digits.
    numbers = images.detach().cpu().numpy().astype(np.float32 if bits == 8 else np.float64)
    levels = np.rint((np.clip(numbers, -1, 1) + 1) * (highest / 2))
    return torch.from_numpy(levels.astype(np.float32) * np.float32(2 / highest) - np.float32(1))
