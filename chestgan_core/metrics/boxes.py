"""Boxes of tumours as the measures see them: checked once, clipped to the image, and how much two overlap.

In: edges (left, top, right, bottom) in pixels of the image. Out: arrays (n, 4). A box found by a detector has a score.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput
from chestgan_core.layouts.layout import Edges

Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector found. box: in pixels of the image; score: from 0 to 1, no probability."""

    box: Edges
    score: float


def checked(boxes: Iterable[Edges], size: int) -> Boxes:
    """(n, 4) float64: the boxes of one image of `size` pixels a side, clipped to it.

    Raises BadInput: a number that is not finite, no width or no height, nothing of it inside the image.

    Examples:
        >>> checked([(-2, 4, 6, 8)], size=64).tolist()
        [[0.0, 4.0, 6.0, 8.0]]
    """
    found = np.array([tuple(box) for box in boxes], dtype=np.float64).reshape(-1, 4)
    if not np.isfinite(found).all():
        raise BadInput("box of a tumour", "an edge is not a finite number", "give edges in pixels")
    clipped = found.clip(0, size)
    for whole, inside in zip(found, clipped, strict=True):
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            edges = ", ".join(f"{edge:g}" for edge in whole)
            raise BadInput(
                f"box ({edges}) of a tumour",
                f"has no area inside an image of {size} x {size} pixels",
                "give left < right and top < bottom, in pixels of the image",
            )
    return clipped


def checked_all(boxes: Sequence[Sequence[Edges]], images: int, size: int) -> list[Boxes]:
    """`checked` for each image. Raises BadInput besides: boxes for another number of images."""
    if len(boxes) != images:
        raise BadInput(
            "boxes of tumours", f"given for {len(boxes)} of {images} images", "give a list for each image"
        )
    return [checked(some, size) for some in boxes]


def overlaps(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """(n, 4), (m, 4) -> (n, m): area of the intersection over that of the union (IoU), 0 to 1.

    Examples:
        >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3).tolist()
        [[0.333]]
    """
    one, other = boxes[:, None], others[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    union = _areas(one) + _areas(other) - shared
    found: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found


def _areas(boxes: Boxes) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2]).clip(0).prod(axis=-1)
    return areas
