"""Accuracies of a run's own discriminator, and its Wasserstein estimate.

In: its logits of real and of synthetic images, above 0 means real. Out: numbers. They measure the balance of one
training, not the images: each discriminator is another instrument, and a weak one makes a high generator accuracy.
"""

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]


def discriminator_accuracy(real: Logits, fake: Logits) -> float:
    """Fraction of images that the discriminator classifies correctly, mean of both sides; 0.5 is chance.

    Args:
        real: (N,) logits of real images; above 0, a probability above 0.5, is correct.
        fake: (M,) logits of synthetic images; below 0 is correct. Exactly 0 is wrong on both sides.

    Raises:
        ValueError: No logits, or another shape.

    Examples:
        >>> discriminator_accuracy(np.array([2.0, -1.0]), np.array([-3.0, -0.5]))
        0.75
    """
    _check(real, fake)
    return float(((real > 0).mean() + (fake < 0).mean()) / 2)


def generator_accuracy(fake: Logits) -> float:
    """Fraction of synthetic images that the discriminator takes for real. fake: (M,) logits; above 0 means real."""
    _check(fake)
    return float((fake > 0).mean())


def wasserstein_estimate(real: Logits, fake: Logits) -> float:
    """Mean score of the real minus mean score of the synthetic images, of a critic; (N,) and (M,).

    With a critic of Lipschitz constant 1 a lower bound of the Wasserstein distance (Arjovsky et al. 2017, arXiv
    1701.07875, equation 2). Clipped weights bound the constant by an unknown number, so the unit is that of one critic.
    """
    _check(real, fake)
    return float(real.mean(dtype=np.float64) - fake.mean(dtype=np.float64))


def _check(*sides: Logits) -> None:
    if any(side.ndim != 1 or not len(side) for side in sides):
        raise ValueError(f"logits must be (N,), N at least 1, not {[side.shape for side in sides]}")
