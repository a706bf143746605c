"""The exponential moving average of the generator: what is sampled, evaluated and published.

Single steps of a GAN circle around a solution; the average of the weights lies nearer to it (Yazici et al.
2019, arXiv 1806.04498). The half-life is told in images seen, so that it means the same for each batch size.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from chestgan_core.config.experiment import Experiment

# The average may look back over this share of the training at most, or it would hold on to the random start.
RAMP = 0.05
# Batches of their own size: the smaller a batch, the worse the mean over batches tells the variance.
CALIBRATION_BATCHES, CALIBRATION_BATCH = 8, 64
CALIBRATION_SEED = 0


@torch.no_grad()
def follow(average: nn.Module, generator: nn.Module, batch: int, images_seen: int, half_life: int) -> None:
    """One step of `batch` images. half_life: images; 0 makes the average the generator itself."""
    kept = 0.5 ** (batch / max(min(half_life, RAMP * images_seen), 1e-9))
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - kept)


@torch.no_grad()
def calibrate(average: nn.Module, experiment: Experiment) -> None:
    """Measure what batch normalization needs for the averaged weights; leaves the average in eval mode.

    The statistics that the generator gathered belong to other weights. Always the same noise, so that the
    outcome depends on the weights alone.
    """
    norms = [layer for layer in average.modules() if isinstance(layer, _BatchNorm)]
    if not norms:
        average.eval()
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain mean over the batches
    device = next(average.parameters()).device
    random = torch.Generator().manual_seed(CALIBRATION_SEED)
    classes = None
    if experiment.classes:
        classes = torch.arange(CALIBRATION_BATCH, device=device) % len(experiment.classes)
    average.train()
    for _ in range(CALIBRATION_BATCHES):
        z = torch.randn(CALIBRATION_BATCH, experiment.network.latent_dim, generator=random)
        average(z.to(device), classes)
    average.eval()
