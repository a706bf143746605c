"""How large the networks of an experiment are, and what one image costs them.

In: an experiment. Out: counts of parameters, and of multiply-adds of one forward pass. Counted, not estimated: by the
operations that PyTorch dispatches for one image; those without products (normalization, activations) count nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from chestgan_core.config.experiment import Experiment
from chestgan_core.networks.conditioning import Condition
from chestgan_core.networks.registry import build_discriminator, build_generator

BYTES_OF_A_FLOAT = 4


@dataclass(frozen=True)
class NetworkSize:
    """parameters: of all kinds; trained: those that a training changes. multiply_adds: of one image, forward."""

    parameters: int
    trained: int
    multiply_adds: int


def size_of(network: nn.Module, inputs: Tensor, condition: Condition) -> NetworkSize:
    """Of a network on the CPU. inputs: (1, ...), what it takes of one image."""
    network.eval()  # spectral normalization iterates while it is trained, which is no part of an image
    # Not inference_mode, in which the counter and normalized weights do not go together.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(inputs, condition)
    parameters = list(network.parameters())
    return NetworkSize(
        parameters=sum(one.numel() for one in parameters),
        trained=sum(one.numel() for one in parameters if one.requires_grad),
        multiply_adds=counter.get_total_flops() // 2,
    )


def sizes_of(experiment: Experiment, condition: Condition) -> tuple[NetworkSize, NetworkSize]:
    """Of generator and discriminator. condition: what they are told of one image."""
    z = torch.zeros(1, experiment.network.latent_dim)
    image = torch.zeros(1, 1, experiment.resolution, experiment.resolution)
    return (
        size_of(build_generator(experiment), z, condition),
        size_of(build_discriminator(experiment), image, condition),
    )
