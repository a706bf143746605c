"""Penalties on the slope of a discriminator, in 32 bits: their second backward pass is fragile in 16.

In: images (N, 1, R, R) and the function that gives their logits (N,). Out: scalar tensors, means over the batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]


def squared_slope(images: Tensor, logits: Tensor) -> Tensor:
    """Mean over the images of the squared norm of d logit / d image, summed over the pixels: R1 at real images, R2 at
    generated ones (Mescheder et al. 2018, arXiv 1801.04406). images: what `logits` were computed from, with gradient.
    """
    return _slopes(images, logits).square().sum(dim=1).mean()


def gradient_penalty(real: Tensor, fake: Tensor, score: Score, random: torch.Generator) -> Tensor:
    """Mean of (norm of the slope - 1)^2 at random places between pairs of images (Gulrajani et al. 2017, arXiv
    1704.00028).
    """
    share = torch.rand((len(real), 1, 1, 1), generator=random, device=real.device)
    between = (real + share * (fake - real)).requires_grad_()
    excess: Tensor = _slopes(between, score(between)).norm(dim=1) - 1
    return excess.square().mean()


def _slopes(images: Tensor, logits: Tensor) -> Tensor:
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slopes.flatten(1)
