"""The first GAN: both networks are perceptrons on flat images (Goodfellow et al. 2014, arXiv 1406.2661).

With widths 128 and 256 at 64 pixels these are the networks of the thesis system: 100-128-256-512-1024-4096 with batch
normalization from 256 on, and 4096-512-256-1.
"""

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
)

DOUBLINGS = 3


class Generator(nn.Module):
    """z (N, latent), and what is asked, to images (N, 1, resolution, resolution) float32 in [-1, 1].

    width: units of the first layer; each of the next three has twice as many.
    """

    def __init__(
        self, latent: int, width: int, resolution: int, conditions: ConditionKinds = UNCONDITIONAL
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.noise = NoiseWithClass(latent, conditions)
        units = [width * 2**level for level in range(DOUBLINGS + 1)]
        # (N, dimension) -> (N, width)
        layers: list[nn.Module] = [nn.Linear(self.noise.dimension, units[0]), nn.LeakyReLU(0.2)]
        for few, many in pairwise(units):
            # (N, few) -> (N, many)
            layers += [nn.Linear(few, many), nn.BatchNorm1d(many), nn.LeakyReLU(0.2)]
        # (N, 8 width) -> (N, resolution * resolution)
        layers += [nn.Linear(units[-1], resolution**2), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, latent) -> (N, 1, resolution, resolution)."""
        flat: Tensor = self.layers(self.noise(z, condition))
        return flat.view(-1, 1, self.resolution, self.resolution)


class Discriminator(nn.Module):
    """Images (N, 1, resolution, resolution) float32 in [-1, 1], and what they were asked to be, to logits (N,).

    width: units of the second layer; the first has twice as many.
    """

    def __init__(self, width: int, resolution: int, conditions: ConditionKinds = UNCONDITIONAL) -> None:
        super().__init__()
        # (N, resolution * resolution) -> (N, width)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(resolution**2, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Linear(2 * width, width),
            nn.LeakyReLU(0.2),
        )
        self.last = nn.Linear(width, 1)
        self.projection = ConditionProjection(width, conditions)

    def forward(self, images: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, 1, resolution, resolution) -> (N,)."""
        features: Tensor = self.layers(images)
        logits: Tensor = self.last(features).flatten()
        scores: Tensor = logits + self.projection(features, condition)
        return scores


def initialize(network: nn.Module, seed: int) -> None:
    """Draw new weights: uniform within 1 / sqrt(inputs), PyTorch's own rule, but from a seed and on the CPU."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=random)
                layer.bias.uniform_(-bound, bound, generator=random)
            elif isinstance(layer, nn.Embedding):
                layer.weight.normal_(0.0, 0.02, generator=random)
