"""The exponential moving average (EMA) of the generator's weights: what is sampled, evaluated and published.

Single steps of a GAN circle around a solution; the average of the weights lies nearer to it (Yazici et al. 2019, arXiv
1806.04498). The half-life is in images seen, so that it means the same for each batch size.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from chestgan_core.config.experiment import Experiment
from chestgan_core.layouts.table import LayoutTable
from chestgan_core.training.layouts import asked_of

# The half-life is at most this fraction of the images seen, or the average would hold on to the random start.
MAX_HALF_LIFE_FRACTION = 0.05
# Batches of their own size: the smaller a batch, the worse the mean over batches estimates the variance.
CALIBRATION_BATCHES, CALIBRATION_BATCH = 8, 64
CALIBRATION_SEED = 0


@torch.no_grad()
def update_ema(ema: nn.Module, generator: nn.Module, batch: int, images_seen: int, half_life: int) -> None:
    """Move the average towards the generator, after `batch` more images.

    half_life: images; 0 makes the average the generator itself.
    """
    decay = 0.5 ** (batch / max(min(half_life, MAX_HALF_LIFE_FRACTION * images_seen), 1e-9))
    torch._foreach_lerp_(list(ema.parameters()), list(generator.parameters()), 1 - decay)


@torch.no_grad()
def calibrate_batch_norm(ema: nn.Module, experiment: Experiment, layouts: LayoutTable | None = None) -> None:
    """Measure the statistics of batch normalization for the averaged weights; leaves the network in eval mode.

    Those that the generator gathered belong to other weights. Always the same noise, so that the result depends on the
    weights alone.
    """
    norms = [layer for layer in ema.modules() if isinstance(layer, _BatchNorm)]
    if not norms:
        ema.eval()
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain mean over the batches
    device = next(ema.parameters()).device
    random = torch.Generator().manual_seed(CALIBRATION_SEED)
    apart = CALIBRATION_BATCH * max(len(experiment.classes), 1)  # seeds of the same classes in each batch
    ema.train()
    for batch in range(CALIBRATION_BATCHES):
        z = torch.randn(CALIBRATION_BATCH, experiment.network.latent_dim, generator=random)
        seeds = range(batch * apart, batch * apart + CALIBRATION_BATCH)
        asked = asked_of(seeds, experiment, layouts).at(slice(None), experiment.resolution)
        ema(z.to(device), asked.to(device))
    ema.eval()
