"""DCGAN: noise to an image, an image to a logit (Radford, Metz, Chintala 2016, arXiv 1511.06434).

The layout of the paper for any resolution that is a power of two: each layer doubles or halves the size, and
the feature maps go the other way, so that all layers cost about the same. At 64 pixels these are the networks of the
thesis, with its initialization made to run; at 256 and 512 its widths are halved and quartered at the largest sizes,
which here is a smaller `width`.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

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

# Feature maps stop doubling here, or the 4 x 4 layer of a large network would outweigh the rest.
MAX_MAPS = 1024
SMALLEST_RESOLUTION = 16


class Generator(nn.Module):
    """z (N, latent) float32, and what is asked, to images (N, 1, resolution, resolution) in [-1, 1].

    width: feature maps at half of the resolution, the largest layer. What is asked is added to the feature maps of each
    layer but the last, after their normalization, which would take it out again.
    Raises ValueError for a resolution that is not a power of two, 16 or more.
    """

    def __init__(
        self, latent: int, width: int, resolution: int, conditions: ConditionKinds = UNCONDITIONAL
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.noise = NoiseWithClass(latent, conditions)
        maps = feature_maps(width, resolution)[::-1]
        self.place = place_embedding(maps[0], conditions)
        self.tumours = TumourMaps(maps[1:]) if conditions.tumour else None
        # (N, dimension, 1, 1) -> (N, maps[0], 4, 4)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(self.noise.dimension, maps[0], 4, 1, 0, bias=False),
            *_norm_relu(maps[0]),
        ]
        for wide, narrow in pairwise(maps):
            # (N, wide, s, s) -> (N, narrow, 2s, 2s)
            layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), *_norm_relu(narrow)]
        # (N, width, resolution / 2, resolution / 2) -> (N, 1, resolution, resolution)
        layers += [nn.ConvTranspose2d(maps[-1], 1, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, latent) -> (N, 1, resolution, resolution)."""
        x: Tensor = self.noise(z, condition)[:, :, None, None]
        if self.place is None:
            x = self.layers(x)
            return x
        tumours = None
        if self.tumours is not None:
            tumours = tumour_maps(condition, self.resolution // 2)
        level = 0
        for layer in self.layers:
            x = layer(x)
            if not isinstance(layer, nn.BatchNorm2d):
                continue
            if not level:
                x = x + self.place(condition)[:, :, None, None].to(x.dtype)
            elif self.tumours is not None and tumours is not None:
                x = self.tumours.added(level - 1, x, tumours)
            level += 1
        return x


class Discriminator(nn.Module):
    """Images (N, 1, resolution, resolution) float32 in [-1, 1], and what they were asked to be, to logits (N,): above 0
    means real.

    width: feature maps at half of the resolution. A map of tumours is added to what each convolution but the first
    gives, where it would take a tenth of the time. normalized: batch normalization on all layers but the first, as in
    the paper; a critic that is held smooth by a penalty or by its weights has none.
    """

    def __init__(
        self,
        width: int,
        resolution: int,
        conditions: ConditionKinds = UNCONDITIONAL,
        normalized: bool = True,
    ) -> None:
        super().__init__()
        maps = feature_maps(width, resolution)
        self.tumours = TumourMaps(maps[1:], 2) if conditions.tumour else None
        # (N, 1, resolution, resolution) -> (N, width, resolution / 2, resolution / 2)
        layers: list[nn.Module] = [nn.Conv2d(1, maps[0], 4, 2, 1, bias=not normalized), _leaky()]
        for narrow, wide in pairwise(maps):
            # (N, narrow, s, s) -> (N, wide, s / 2, s / 2)
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=not normalized)]
            layers += [nn.BatchNorm2d(wide), _leaky()] if normalized else [_leaky()]
        self.layers = nn.Sequential(*layers)
        # (N, maps[-1], 4, 4) -> (N, 1, 1, 1)
        self.last = nn.Conv2d(maps[-1], 1, 4, 1, 0, bias=not normalized)
        self.projection = ConditionProjection(maps[-1], conditions)

    def forward(self, images: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, 1, resolution, resolution) -> (N,)."""
        features: Tensor = self._features(images, condition)
        logits: Tensor = self.last(features).flatten()
        scores: Tensor = logits + self.projection(features.mean(dim=(2, 3)), condition)
        return scores

    def _features(self, images: Tensor, condition: Condition) -> Tensor:
        """(N, 1, resolution, resolution) -> (N, maps[-1], 4, 4)."""
        x = images
        if self.tumours is None or condition.boxes is None:
            whole: Tensor = self.layers(x)
            return whole
        tumours, level = tumour_maps(condition, images.shape[-1] // 2), -1
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.Conv2d):
                x, level = x if level < 0 else self.tumours.added(level, x, tumours), level + 1
        features: Tensor = x
        return features


def initialize(network: nn.Module, seed: int) -> None:
    """Draw new weights: convolutions, linear layers and embeddings from N(0, 0.02), batch normalization from N(1,
    0.02); biases are 0.

    By the type of the layer: a test of the spelling of class names fails silently, which left the networks of the
    thesis on PyTorch's defaults. Drawn on the CPU, so that a seed gives the same network on each device.
    """
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding | nn.Linear):
                layer.weight.normal_(0.0, 0.02, generator=random)
            elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
                layer.weight.normal_(1.0, 0.02, generator=random)
            if (bias := getattr(layer, "bias", None)) is not None:
                bias.zero_()
    initialize_maps(network, random)


def feature_maps(width: int, resolution: int) -> list[int]:
    """Feature maps from half of the resolution down to 4 x 4."""
    doublings = math.log2(resolution)
    if resolution < SMALLEST_RESOLUTION or not doublings.is_integer():
        raise ValueError(f"resolution {resolution} is not a power of two, {SMALLEST_RESOLUTION} or more")
    return [max(width, min(width * 2**level, MAX_MAPS)) for level in range(int(doublings) - 2)]


def _norm_relu(maps: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(maps), nn.ReLU(inplace=True)]


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)
