"""From an experiment to its networks: the one place that knows which family is which module."""

from torch import nn

from chestgan_core.experiment import Experiment
from chestgan_core.networks import dcgan


def build_generator(experiment: Experiment) -> nn.Module:
    """z (N, latent) to images (N, 1, resolution, resolution) in [-1, 1]; initialized from experiment.seed."""
    told = experiment.network
    generator = dcgan.Generator(told.latent, told.generator_width, experiment.resolution)
    dcgan.initialize(generator, experiment.seed)
    return generator


def build_discriminator(experiment: Experiment) -> nn.Module:
    """Images (N, 1, resolution, resolution) to logits (N,); initialized from experiment.seed + 1."""
    discriminator = dcgan.Discriminator(experiment.network.discriminator_width, experiment.resolution)
    dcgan.initialize(discriminator, experiment.seed + 1)
    return discriminator
