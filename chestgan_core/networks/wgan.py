"""WGAN: the generator of DCGAN, and a critic without batch normalization (Arjovsky et al. 2017, arXiv 1701.07875).

Batch normalization mixes the images of a batch, so that a bound on the gradient at one image (clipped weights, or the
gradient penalty of Gulrajani et al. 2017, arXiv 1704.00028) would bound nothing. The thesis system had it in its
pipeline nevertheless, and not in its test bench.
"""

from chestgan_core.networks import dcgan
from chestgan_core.networks.conditioning import UNCONDITIONAL, ConditionKinds

Generator = dcgan.Generator
initialize = dcgan.initialize


class Discriminator(dcgan.Discriminator):
    """Images (N, 1, resolution, resolution) float32 in [-1, 1], and what they were asked to be, to scores (N,): higher
    is more real.
    """

    def __init__(self, width: int, resolution: int, conditions: ConditionKinds = UNCONDITIONAL) -> None:
        super().__init__(width, resolution, conditions, normalized=False)
