"""Generated images for the tests of detection: a bright spot on a mottled ground is a tumour, and its box is tight."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from chestgan_core.layouts.layout import Edges

Boxes = list[tuple[Edges, ...]]


def spots(count: int, seed: int, size: int = 32, shown: Boxes | None = None) -> tuple[Tensor, Boxes]:
    """(count, 1, size, size) in [-1, 1] and their boxes: every second image has a spot. shown: has these instead."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(-0.9, -0.1, (count, 1, 8, 8)).astype(np.float32))
    images = functional.interpolate(coarse, size=(size, size), mode="bilinear")
    images += 0.05 * torch.from_numpy(random.standard_normal(images.shape).astype(np.float32))
    boxes = shown if shown is not None else [_box(random, size) if at % 2 else () for at in range(count)]
    middles = np.arange(size) + 0.5
    for image, some in zip(images, boxes, strict=True):
        for left, top, right, bottom in some:
            x = (middles - (left + right) / 2) / ((right - left) / 2)
            y = (middles - (top + bottom) / 2) / ((bottom - top) / 2)
            image[0][torch.from_numpy(x**2 + y[:, None] ** 2 <= 1)] = 0.8
    return images.clamp(-1, 1), boxes


def exchanged(boxes: Boxes, seed: int) -> Boxes:
    """The same boxes, in any order."""
    return [boxes[at] for at in np.random.default_rng(seed).permutation(len(boxes))]


def _box(random: np.random.Generator, size: int) -> tuple[Edges, ...]:
    width, height = random.uniform(0.12, 0.3, 2) * size
    left, top = random.uniform(0, size - width), random.uniform(0, size - height)
    return ((float(left), float(top), float(left + width), float(top + height)),)
