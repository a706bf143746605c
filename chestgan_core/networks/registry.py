"""From an experiment to its networks.

A family is a module of this folder, with the name that `network.family` of an experiment gives it. It has three names:
`Generator(latent, width, resolution, conditions)`, `Discriminator(width, resolution, conditions)` and
`initialize(network, seed)`, which draws all weights.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from chestgan_core.config.experiment import Experiment
from chestgan_core.networks import generator_options
from chestgan_core.networks.conditioning import NOTHING_KNOWN, Condition, ConditionKinds


def build_generator(experiment: Experiment) -> nn.Module:
    """The generator of an experiment, initialized from its seed.

    Args:
        experiment: `network` gives family and sizes; `resolution`, `classes`, `conditions` and `seed` the rest.

    Returns:
        A module from z (N, latent_dim) float32, and a `conditioning.Condition` where the experiment has conditions, to
        images (N, 1, resolution, resolution) float32, about [-1, 1].

    Examples:
        >>> import torch
        >>> from chestgan_core.config.experiment import load_experiment
        >>> generator = build_generator(load_experiment("lung-spectral-64"))
        >>> generator(torch.randn(2, 100)).shape
        torch.Size([2, 1, 64, 64])
    """
    network, family = experiment.network, _family(experiment)
    sizes = (network.latent_dim, network.generator_width, experiment.resolution, conditions_of(experiment))
    generator: nn.Module
    if network.generator is None:
        generator = family.Generator(*sizes)
    else:
        generator = generator_options.Generator(*sizes, network.generator)
    family.initialize(generator, experiment.seed)
    return generator


def build_discriminator(experiment: Experiment) -> nn.Module:
    """The discriminator of an experiment, initialized from its seed + 1.

    Args:
        experiment: `network` gives family and width; `resolution`, `classes`, `conditions` and `seed` the rest.

    Returns:
        A module from images (N, 1, resolution, resolution) float32 in [-1, 1], and a `conditioning.Condition` where the
        experiment has conditions, to logits (N,): above 0 means real.

    Examples:
        >>> import torch
        >>> from chestgan_core.config.experiment import load_experiment
        >>> discriminator = build_discriminator(load_experiment("lung-spectral-64"))
        >>> discriminator(torch.zeros(2, 1, 64, 64)).shape
        torch.Size([2])
    """
    family, network = _family(experiment), experiment.network
    projection = {} if network.projection is None else {"projection": network.projection}
    discriminator: nn.Module = family.Discriminator(
        network.discriminator_width, experiment.resolution, conditions_of(experiment), **projection
    )
    family.initialize(discriminator, experiment.seed + 1)
    return discriminator


def parts(
    discriminator: nn.Module,
    images: Tensor,
    condition: Condition = NOTHING_KNOWN,
    batches: int = 1,
    untold: int = 0,
    step: int = 0,
) -> list[Tensor]:
    """The logits of each part of a discriminator that judges in this step of a training, (M,) float32 each; most have
    one part, with one logit an image.

    batches: of how many batches, one after the other, the images are. untold: so many at the start of each batch are
    not shown to parts that are not told the condition.
    """
    several = getattr(discriminator, "parts", None)
    if several is None:
        return [discriminator(images, condition).float()]
    return [part.float() for part in several(images, condition, batches, untold, step)]


def part_weights(discriminator: nn.Module, step: int = 0) -> Sequence[float]:
    """The weight in the loss of each part that judges in this step; their sum is 1, in the mean over the steps."""
    weights: Callable[[int], Sequence[float]] | None = getattr(discriminator, "weights", None)
    return (1.0,) if weights is None else weights(step)


def _family(experiment: Experiment) -> Any:
    return import_module(f"chestgan_core.networks.{experiment.network.family}")


def conditions_of(experiment: Experiment) -> ConditionKinds:
    """What the networks of an experiment are told beside noise and image."""
    conditions = experiment.conditions
    return ConditionKinds(len(experiment.classes), conditions.position, conditions.tumour is not None)
