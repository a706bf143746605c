"""Conditioning on classes: an embedding beside the noise, and a score of how well an image fits its class.

In: the number of classes (0: none). Out: the parts that generators and discriminators of all families share.
"""

import torch
from torch import Tensor, nn

CLASS_DIMENSIONS = 32


class NoiseWithClass(nn.Module):
    """z (N, latent) and classes (N,) int64 to (N, dimension): the noise with the embedding of its class."""

    def __init__(self, latent: int, classes: int) -> None:
        super().__init__()
        self.dimension = latent + (CLASS_DIMENSIONS if classes else 0)
        self.embedding = nn.Embedding(classes, CLASS_DIMENSIONS) if classes else None

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """(N, latent), (N,) -> (N, dimension)."""
        if self.embedding is None:
            return z
        return torch.cat([z, self.embedding(classes)], dim=1)


class ClassProjection(nn.Module):
    """What the class adds to a logit: the inner product of an image's features (N, features) with the embedding of its
    class (projection discriminator, Miyato and Koyama 2018, arXiv 1802.05637). 0 without classes.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, features) if classes else None

    def forward(self, features: Tensor, classes: Tensor | None = None) -> Tensor:
        """(N, features), (N,) -> (N,), or a scalar 0 without classes."""
        if self.embedding is None:
            return features.new_zeros(())
        fit: Tensor = (features * self.embedding(classes)).sum(dim=1)
        return fit
