"""The losses of discriminator (D) and generator (G), one class per loss, and the gradient penalties.

In: logits (N,), larger means more real. Out: scalar tensors, means over the batch. From logits, and not from
probabilities, because the logarithm of a saturated sigmoid has no gradient left.
Gradient penalties are computed in float32: their second backward pass is fragile in bfloat16.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, assert_never

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from chestgan_core.config import training_plan as plan
from chestgan_core.training.double_backward import TwiceDifferentiable


class GanLoss(Protocol):
    """real, fake: (N,) logits of real and of generated images; real[i] and fake[i] are a pair.

    needs_real: whether G's loss needs the logits of real images. as_probability: whether the sigmoid of a logit is the
    probability of being real. real_above: the logit above which an image counts as real; None where logits have no
    threshold.
    """

    needs_real: bool
    as_probability: bool

    @property
    def real_above(self) -> float | None:
        """The threshold of logits, or None."""
        ...

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """What D minimizes. random: for losses that draw something."""
        ...

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """What G minimizes. real: None unless `needs_real`."""
        ...


def build_loss(settings: plan.Loss) -> GanLoss:
    """The loss that a plan names."""
    match settings:
        case plan.CrossEntropy():
            return CrossEntropy(settings.real_targets, settings.fake_targets, settings.smoothed_generator)
        case plan.Wasserstein():
            return Wasserstein()
        case plan.Hinge():
            return Hinge()
        case plan.Relativistic():
            return Relativistic()
        case _:
            assert_never(settings)


@dataclass(frozen=True)
class CrossEntropy:
    """Goodfellow et al. 2014 (arXiv 1406.2661), non-saturating: G's loss is -log D(G(z)), which keeps its gradient
    where D is sure.

    Targets are drawn between two numbers, one per batch. One-sided smoothing, of the real targets, is what the theory
    allows (Salimans et al. 2016, arXiv 1606.03498): a smoothed 0 rewards present errors of the generator.
    """

    real_targets: tuple[float, float]
    fake_targets: tuple[float, float]
    smoothed_generator: bool
    needs_real = False
    as_probability = True
    real_above = 0.0

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """D's loss."""
        on_real = _cross_entropy(real, _drawn(self.real_targets, random))
        return on_real + _cross_entropy(fake, _drawn(self.fake_targets, random))

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """G's loss."""
        return _cross_entropy(fake, _drawn(self.real_targets, random) if self.smoothed_generator else 1.0)


@dataclass(frozen=True)
class Wasserstein:
    """Arjovsky et al. 2017 (arXiv 1701.07875): minus D's loss estimates the Wasserstein distance between real and
    generated images.
    """

    needs_real = False
    as_probability = False
    real_above = None

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """D's loss."""
        return fake.mean() - real.mean()

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """G's loss."""
        return -fake.mean()


@dataclass(frozen=True)
class Hinge:
    """Lim and Ye 2017 (arXiv 1705.02894)."""

    needs_real = False
    as_probability = False
    real_above = 0.0

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """D's loss."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """G's loss."""
        return -fake.mean()


@dataclass(frozen=True)
class Relativistic:
    """Jolicoeur-Martineau 2019 (arXiv 1807.00734), with softplus: only the difference of a pair counts."""

    needs_real = True
    as_probability = False
    real_above = None

    def discriminator(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """D's loss."""
        return softplus(fake - real).mean()

    def generator(self, real: Tensor | None, fake: Tensor, random: torch.Generator) -> Tensor:
        """G's loss."""
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


def squared_gradient_norm(images: Tensor, logits: Tensor) -> Tensor:
    """Mean over the images of the squared norm of d logit / d image: R1 at real images, R2 at generated ones (Mescheder
    et al. 2018, arXiv 1801.04406). images: (N, 1, R, R) from which `logits` were computed, with gradient.
    """
    return _gradients(images, logits).square().sum(dim=1).mean()


def gradient_penalty(
    real: Tensor, fake: Tensor, critic: Callable[[Tensor], Tensor], random: torch.Generator
) -> Tensor:
    """WGAN-GP: mean of (norm of the gradient - 1)^2 at random points between pairs of images (Gulrajani et al. 2017,
    arXiv 1704.00028).
    """
    fraction = torch.rand((len(real), 1, 1, 1), generator=random, device=real.device)
    between = (real + fraction * (fake - real)).requires_grad_()
    with TwiceDifferentiable():
        logits = critic(between)
    excess: Tensor = _gradients(between, logits).norm(dim=1) - 1
    return excess.square().mean()


def _gradients(images: Tensor, logits: Tensor) -> Tensor:
    """(N, pixels)."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1)
