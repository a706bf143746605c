"""The networks of WGAN, with spectral normalization of the discriminator: each layer has Lipschitz constant 1 (Miyato
et al. 2018, arXiv 1802.05957).

Each weight is divided by its largest singular value, found by one step of power iteration in each forward pass. That
keeps the discriminator smooth at almost no cost: without the second backward pass of gradient penalties.
"""

from typing import cast

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from chestgan_core.networks import dcgan, wgan

Generator = wgan.Generator
Discriminator = wgan.Discriminator


def initialize(network: nn.Module, seed: int) -> None:
    """The weights of DCGAN, drawn from the seed; then the weights of a discriminator are normalized.

    The start of the power iteration is drawn from the seed as well: PyTorch's own would be another one each time.
    """
    dcgan.initialize(network, seed)
    if not isinstance(network, Discriminator):
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in [*network.named_modules()]:
            # What is added for a map of tumours does not depend on the image.
            if isinstance(layer, nn.Conv2d | nn.Embedding | nn.Linear) and not name.startswith("tumours."):
                spectral_norm(cast(nn.Module, layer))
