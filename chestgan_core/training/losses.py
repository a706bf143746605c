"""What discriminator and generator want of each other, one class a loss.

In: logits (N,), above 0 means real. Out: scalar tensors, means over the batch. From logits, and not from
probabilities, because the logarithm of a saturated sigmoid has no gradient left.
The penalties on the slope are computed in 32 bits: their second backward pass is fragile in 16.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, assert_never

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from chestgan_core.config import training_plan as plan


class GanLoss(Protocol):
    """real, fake: logits of as many real and generated images; pairs i of both count as pairs."""

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """What the discriminator makes smaller. random: for losses that draw something."""
        ...

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """What the generator makes smaller. real: None unless `needs_real`."""
        ...

    needs_real: bool
    as_probability: bool  # whether a logit reads as the probability of being real


def loss_of(told: plan.Loss) -> GanLoss:
    """The loss that a plan names."""
    match told:
        case plan.CrossEntropy():
            return CrossEntropy(told.real_targets, told.fake_targets, told.smoothed_generator)
        case plan.Wasserstein():
            return Wasserstein()
        case plan.Hinge():
            return Hinge()
        case plan.Relativistic():
            return Relativistic()
        case _:
            assert_never(told)


@dataclass(frozen=True)
class CrossEntropy:
    """Goodfellow et al. 2014 (arXiv 1406.2661): the generator's loss is -log D(G(z)), which keeps its gradient where
    the discriminator is sure.

    Targets are drawn between two numbers, one for the batch. Smoothing the real side alone is what the theory allows
    (Salimans et al. 2016, arXiv 1606.03498): a smoothed 0 rewards present errors of the generator.
    """

    real_targets: tuple[float, float]
    fake_targets: tuple[float, float]
    smoothed_generator: bool
    needs_real = False
    as_probability = True

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        on_real = _cross_entropy(real, _drawn(self.real_targets, random))
        return on_real + _cross_entropy(fake, _drawn(self.fake_targets, random))

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        return _cross_entropy(fake, _drawn(self.real_targets, random) if self.smoothed_generator else 1.0)


@dataclass(frozen=True)
class Wasserstein:
    """Arjovsky et al. 2017 (arXiv 1701.07875): minus the discriminator's loss estimates the distance of the two."""

    needs_real = False
    as_probability = False

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        return fake.mean() - real.mean()

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        return -fake.mean()


@dataclass(frozen=True)
class Hinge:
    """Lim and Ye 2017 (arXiv 1705.02894)."""

    needs_real = False
    as_probability = False

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        return -fake.mean()


@dataclass(frozen=True)
class Relativistic:
    """Jolicoeur-Martineau 2019 (arXiv 1807.00734), the pairing form with softplus: only differences of a pair count."""

    needs_real = True
    as_probability = False

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        return softplus(fake - real).mean()

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """See GanLoss."""
        assert real is not None  # noqa: S101 (for the type checker)
        return softplus(real - fake).mean()


def _cross_entropy(logits: Tensor, target: Tensor | float) -> Tensor:
    # The cross entropy of a logit with the target t is softplus(-logit) + (1 - t) * logit.
    return (softplus(-logits) + (1 - target) * logits).mean()


def _drawn(between: tuple[float, float], random: torch.Generator) -> Tensor | float:
    low, high = between
    if low == high:
        return low
    return low + (high - low) * torch.rand((), generator=random, device=random.device)


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
