"""A pair of residual networks without any normalization, for the relativistic loss with R1 and R2 (Huang et al. 2024,
"The GAN is dead; long live the GAN!", arXiv 2501.05441; written from the paper).

What keeps them stable without normalization: the last convolution of each block starts at 0, so that the network starts
as a plain chain of resizes, and the others are scaled down by the depth (Zhang et al. 2019, Fixup, arXiv 1901.09321).
The generator's output is linear: air at -1 is not squeezed into the tail of a tanh; it is clamped when it is used.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from chestgan_core.networks.conditioning import (
    NOTHING_KNOWN,
    UNCONDITIONAL,
    Condition,
    ConditionKinds,
    ConditionProjection,
    NoiseWithClass,
    TumourMaps,
    initialize_maps,
    place_embedding,
    tumour_maps,
)

MAX_WIDENING = 4  # times the width at the full resolution
BASE = 4  # pixels per side at the narrow end


class Block(nn.Module):
    """(N, maps, s, s) to the same: x + 1x1(lrelu(3x3(lrelu(1x1(x)))))."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.into = nn.Conv2d(maps, maps, 1)
        self.across = nn.Conv2d(maps, maps, 3, padding=1)
        self.out = nn.Conv2d(maps, maps, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, maps, s, s) -> (N, maps, s, s)."""
        inner = functional.leaky_relu(self.into(x), 0.2, inplace=True)
        inner = functional.leaky_relu(self.across(inner), 0.2, inplace=True)
        result: Tensor = x + self.out(inner)
        return result


class Generator(nn.Module):
    """z (N, latent), and what is asked, to images (N, 1, resolution, resolution) float32, about [-1, 1].

    width: feature maps at the full resolution.
    """

    def __init__(
        self, latent: int, width: int, resolution: int, conditions: ConditionKinds = UNCONDITIONAL
    ) -> None:
        super().__init__()
        maps = feature_maps(width, resolution)[::-1]
        self.noise = NoiseWithClass(latent, conditions)
        self.resolution = resolution
        self.place = place_embedding(maps[0], conditions)
        self.tumours = TumourMaps(maps[1:-1]) if conditions.tumour else None
        self.first = nn.Linear(self.noise.dimension, maps[0] * BASE**2)
        self.blocks = nn.ModuleList([Block(count) for count in maps])
        # 1x1 where the number of maps changes, before the image grows: there it costs a quarter.
        self.changes = nn.ModuleList(_change(wide, narrow) for wide, narrow in pairwise(maps))
        self.last = nn.Conv2d(maps[-1], 1, 3, padding=1)

    def forward(self, z: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, latent) -> (N, 1, resolution, resolution)."""
        # (N, dimension) -> (N, maps[0], 4, 4)
        x = self.first(self.noise(z, condition)).unflatten(1, (-1, BASE, BASE))
        if self.place is not None:
            x = x + self.place(condition)[:, :, None, None]
        tumours = None if self.tumours is None else tumour_maps(condition, self.resolution // 2)
        x = self.blocks[0](x)
        for level, (change, block) in enumerate(zip(self.changes, list(self.blocks)[1:], strict=True), 1):
            # (N, wide, s, s) -> (N, narrow, 2s, 2s)
            x = functional.interpolate(change(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = block(_with_tumours(self.tumours, level - 1, x, tumours))
        images: Tensor = self.last(x)
        return images


class Discriminator(nn.Module):
    """Images (N, 1, resolution, resolution) float32, and what they were asked to be, to logits (N,). The generator,
    backwards.
    """

    def __init__(self, width: int, resolution: int, conditions: ConditionKinds = UNCONDITIONAL) -> None:
        super().__init__()
        maps = feature_maps(width, resolution)
        self.tumours = TumourMaps(maps[2:], 2) if conditions.tumour else None
        self.first = nn.Conv2d(1, maps[0], 3, padding=1)
        self.blocks = nn.ModuleList([Block(count) for count in maps])
        self.changes = nn.ModuleList(_change(narrow, wide) for narrow, wide in pairwise(maps))
        # (N, maps[-1], 4, 4) -> (N, maps[-1]): each map with weights of its own
        self.gather = nn.Conv2d(maps[-1], maps[-1], BASE, groups=maps[-1], bias=False)
        self.last = nn.Linear(maps[-1], 1)
        self.projection = ConditionProjection(maps[-1], conditions)

    def forward(self, images: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, 1, resolution, resolution) -> (N,)."""
        tumours = None if self.tumours is None else tumour_maps(condition, images.shape[-1] // 2)
        x = self.first(images)
        for level, (block, change) in enumerate(zip(list(self.blocks)[:-1], self.changes, strict=True), 1):
            # (N, narrow, 2s, 2s) -> (N, wide, s, s)
            x = change(functional.avg_pool2d(block(x), 2))
            x = _with_tumours(self.tumours, level - 2, x, tumours)
        features = self.gather(self.blocks[-1](x)).flatten(1)
        logits: Tensor = self.last(features).flatten()
        scores: Tensor = logits + self.projection(features, condition)
        return scores


def initialize(network: nn.Module, seed: int) -> None:
    """Draw new weights: He-normal, inside a block times L^(-1/4) for L blocks; the last of a block and biases are 0."""
    random = torch.Generator().manual_seed(seed)
    blocks = [layer for layer in network.modules() if isinstance(layer, Block)]
    inside = {layer for block in blocks for layer in (block.into, block.across)}
    outermost = {block.out for block in blocks}
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                inputs = layer.weight[0].numel()
                scale = len(blocks) ** -0.25 if layer in inside else 1.0
                gain = 0.0 if layer in outermost else math.sqrt(2.0 if layer in inside else 1.0)
                layer.weight.normal_(0.0, gain * scale / math.sqrt(inputs), generator=random)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, nn.Embedding):
                layer.weight.normal_(0.0, 0.02, generator=random)
    initialize_maps(network, random)


def feature_maps(width: int, resolution: int) -> list[int]:
    """Feature maps from the full resolution down to 4 x 4: twice as many at a quarter, four times below that."""
    doublings = math.log2(resolution / BASE)
    if not doublings.is_integer() or doublings < 2:
        raise ValueError(f"resolution {resolution} is not a power of two, {4 * BASE} or more")
    return [width * min(2 ** max(level - 1, 0), MAX_WIDENING) for level in range(int(doublings) + 1)]


def _with_tumours(maps: TumourMaps | None, level: int, x: Tensor, tumours: Tensor | None) -> Tensor:
    """Levels without a map, the largest, have numbers below 0 or beyond those that have one."""
    if maps is None or tumours is None or not 0 <= level < len(maps.levels):
        return x
    return maps.added(level, x, tumours)


def _change(before: int, after: int) -> nn.Module:
    return nn.Conv2d(before, after, 1, bias=False) if before != after else nn.Identity()
