"""What a run's own discriminator says of images: accuracies at a threshold, and the Wasserstein estimate.

In: its logits of real and of synthetic images, above 0 means real. Out: numbers. They measure the balance of one
training, not the images: each discriminator is another instrument, and a weak one makes a good generator accuracy.
"""

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]


def discriminator_accuracy(real: Logits, fake: Logits) -> float:
    """Share of images that it calls by their right name at the threshold 0.5, both sides counting half.

    real: (N,), fake: (M,) logits. A probability of 0.5 is a logit of 0; exactly there it is not sure, which is wrong
    on both sides. Near 1 it has won; 0.5 is guessing.
    """
    _check(real, fake)
    return float(((real > 0).mean() + (fake < 0).mean()) / 2)


def generator_accuracy(fake: Logits) -> float:
    """Share of synthetic images that the discriminator takes for real: above 0.5, which is a logit of 0. fake: (M,)."""
    _check(fake)
    return float((fake > 0).mean())


def wasserstein_estimate(real: Logits, fake: Logits) -> float:
    """Mean score of the real minus mean score of the synthetic images, of a critic; (N,) and (M,).

    With a critic of slope 1 at most, a lower bound of the distance of both (Arjovsky et al. 2017, arXiv 1701.07875,
    equation 2). Clipped weights bound the slope by an unknown number, so its unit is that of one critic.
    """
    _check(real, fake)
    return float(real.mean(dtype=np.float64) - fake.mean(dtype=np.float64))


def _check(*sides: Logits) -> None:
    if any(side.ndim != 1 or not len(side) for side in sides):
        raise ValueError(f"logits must be (N,), N at least 1, not {[side.shape for side in sides]}")
