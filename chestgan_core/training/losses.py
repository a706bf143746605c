"""The non-saturating loss of GANs (Goodfellow et al. 2014, arXiv 1406.2661), from logits.

In: logits (N,), above 0 means real. Out: scalar tensors, means over the batch. From logits, and not from
probabilities, because the logarithm of a saturated sigmoid has no gradient left.
"""

from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Cross entropy with the target 1 - label_smoothing for real images and 0 for generated ones.

    One-sided (Salimans et al. 2016, arXiv 1606.03498): a smoothed 0 would reward present errors of the
    generator.
    """
    # The cross entropy of a logit with the target 1 - s is softplus(-logit) + s * logit.
    return (softplus(-real_logits) + label_smoothing * real_logits + softplus(fake_logits)).mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-log D(G(z)): keeps its gradient where the discriminator is sure."""
    return softplus(-fake_logits).mean()
