"""Ordinary augmentation of annotated images, the honest competitor of synthetic ones.

In: a batch of images and boxes. Out: the same tumours, elsewhere, a little larger or smaller, in other light.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Of the side; of the size, up and down; of the grey levels (from -1 to 1) and of their spread.
TRANSLATION, SCALE, BRIGHTNESS, CONTRAST = 1 / 8, 0.15, 0.1, 0.1
# Left and right exchanged. A generator must not learn hearts on the right; a detector is asked for tumours alone, and
# for it this is more anatomy. So it belongs to the competitor.
FLIPS = True
# Less of a box than this fraction is no tumour any more.
MIN_VISIBLE = 0.3


def augmented(images: Tensor, boxes: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """(N, 1, R, R) in [-1, 1] and (N, M, 4) in pixels, NaN where there is none -> both, moved together.

    What comes in from outside is black (air). A box that is moved out of the image by more than MIN_VISIBLE allows is
    lost; the others are clipped.
    """
    count, size = len(images), images.shape[-1]
    shift = torch.from_numpy(random.uniform(-TRANSLATION, TRANSLATION, (count, 2)).astype(np.float32)) * size
    scale = torch.from_numpy(np.exp(random.uniform(-SCALE, SCALE, count)).astype(np.float32))
    mirror = torch.from_numpy(np.where(random.random(count) < 0.5 * FLIPS, -1, 1).astype(np.float32))
    light = torch.from_numpy(random.uniform(-1, 1, (2, count, 1, 1, 1)).astype(np.float32))

    # Where each pixel of the new image comes from, in coordinates from -1 to 1 around the middle.
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = mirror / scale, 1 / scale
    matrix[:, 0, 2] = -2 * shift[:, 0] / size * mirror / scale
    matrix[:, 1, 2] = -2 * shift[:, 1] / size / scale
    grid = functional.affine_grid(matrix, [count, 1, size, size], align_corners=False)
    moved = functional.grid_sample(images + 1, grid, padding_mode="zeros", align_corners=False) - 1
    lit = moved * (1 + CONTRAST * light[0]) + BRIGHTNESS * light[1]

    edges = (boxes - size / 2) * scale[:, None, None]
    edges = torch.where(mirror[:, None, None] < 0, _mirrored(edges), edges)
    edges = edges + shift.repeat(1, 2)[:, None] + size / 2
    clipped = edges.clamp(0, size)
    visible = _areas(clipped) / _areas(edges) >= MIN_VISIBLE
    lost = torch.full_like(clipped, torch.nan)
    return lit.clamp(-1, 1), torch.where(visible[..., None], clipped, lost)


def _mirrored(edges: Tensor) -> Tensor:
    left, top, right, bottom = edges.unbind(dim=-1)
    return torch.stack([-right, top, -left, bottom], dim=-1)


def _areas(edges: Tensor) -> Tensor:
    return (edges[..., 2:] - edges[..., :2]).prod(dim=-1)
