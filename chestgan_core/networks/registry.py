"""From an experiment to its networks: the one place that knows which family is which module."""

from types import ModuleType

from torch import nn

from chestgan_core.config.experiment import Experiment
from chestgan_core.networks import dcgan, r3, spectral, vanilla, wgan

FAMILIES: dict[str, ModuleType] = {
    "vanilla": vanilla, "dcgan": dcgan, "wgan": wgan, "spectral": spectral, "r3": r3
}  # fmt: skip


def build_generator(experiment: Experiment) -> nn.Module:
    """z (N, latent), and classes (N,) where the experiment has some, to images (N, 1, resolution, resolution), about
    [-1, 1]; initialized from experiment.seed.
    """
    family, told = FAMILIES[experiment.network.family], experiment.network
    generator: nn.Module = family.Generator(
        told.latent_dim, told.generator_width, experiment.resolution, len(experiment.classes)
    )
    family.initialize(generator, experiment.seed)
    return generator


def build_discriminator(experiment: Experiment) -> nn.Module:
    """Images (N, 1, resolution, resolution), and classes, to logits (N,); initialized from experiment.seed + 1."""
    family = FAMILIES[experiment.network.family]
    discriminator: nn.Module = family.Discriminator(
        experiment.network.discriminator_width, experiment.resolution, len(experiment.classes)
    )
    family.initialize(discriminator, experiment.seed + 1)
    return discriminator
