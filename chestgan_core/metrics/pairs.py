"""How local the difference of a pair is: two images of one seed, with a tumour and without.

In: both images and the boxes of the tumour. Out: by how much pixels differ inside the boxes and outside. A generator
that shows the asked tumour and nothing else changes only what is inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.boxes import Boxes, checked_all


@dataclass(frozen=True)
class PairChange:
    """inside, outside: (N,) mean absolute difference of a pixel of each pair, in the unit of the images."""

    inside: NDArray[np.float64]
    outside: NDArray[np.float64]

    @property
    def locality(self) -> float:
        """Change of a pixel outside over that of one inside, over all pairs: 0 where only the tumours differ; inf where
        nothing differs inside.
        """
        inside, outside = float(self.inside.sum()), float(self.outside.sum())
        return outside / inside if inside else float("inf")


def locality(shown: Tensor, without: Tensor, boxes: Sequence[Sequence[Edges]]) -> PairChange:
    """Compare images with their pairs without a tumour, pixel by pixel.

    Args:
        shown: (N, 1, R, R), with the tumours; without: of the same seeds, without any.
        boxes: Of each image, in its pixels, at least one each. A pixel is inside where its middle is in a box; of a box
            that holds no middle, the pixel in which its centre lies.

    Raises:
        BadInput: boxes that are none (boxes.py).
        ValueError: images of other shapes than their pairs, or an image without a box.

    Examples:
        >>> import torch
        >>> without = torch.zeros(1, 1, 8, 8)
        >>> shown = without.clone()
        >>> shown[..., 2:4, 2:4] = 1
        >>> shown[..., 0, 0] = 0.6  # one of the 60 pixels outside
        >>> change = locality(shown, without, [[(2, 2, 4, 4)]])
        >>> change.inside.tolist(), change.outside.round(3).tolist()
        ([1.0], [0.01])
    """
    if shown.shape != without.shape:
        raise ValueError(f"images {tuple(shown.shape)}, their pairs {tuple(without.shape)}")
    size = shown.shape[-1]
    inside, outside = np.zeros(len(shown)), np.zeros(len(shown))
    for at, some in enumerate(checked_all(boxes, len(shown), size)):
        if not len(some):
            raise ValueError(f"image {at} has no box")
        change = (shown[at, 0].double() - without[at, 0].double()).abs().cpu().numpy()
        within = _within(some, size)
        inside[at] = change[within].mean()
        outside[at] = change[~within].mean() if not within.all() else 0.0
    return PairChange(inside, outside)


def _within(boxes: Boxes, size: int) -> NDArray[np.bool_]:
    """(R, R) whether a pixel is inside of one of the boxes (n, 4)."""
    middle = np.arange(size) + 0.5
    found = np.zeros((size, size), dtype=np.bool_)
    for left, top, right, bottom in boxes:
        along, down = (middle >= left) & (middle < right), (middle >= top) & (middle < bottom)
        if not along.any() or not down.any():
            column, row = (
                min(int((low + high) / 2), size - 1) for low, high in ((left, right), (top, bottom))
            )
            found[row, column] = True
        found |= down[:, None] & along[None]
    return found
