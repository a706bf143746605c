"""Images to the logits of a run's discriminator.

In: a loaded discriminator, images and their classes. Out: one logit per image. The discriminator is in eval mode: with
the statistics of a batch, as in training, the logit of an image would depend on the images beside it.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.training.weights import LoadedDiscriminator

BATCH = 64


@torch.inference_mode()
def discriminator_logits(
    discriminator: LoadedDiscriminator, images: Tensor, classes: Tensor | None
) -> NDArray[np.float32]:
    """(N,) float32, above 0 means real; images: (N, 1, R, R) float32 in [-1, 1]; classes: (N,) int64 or None.

    Raises BadInput: another resolution, or no classes where its experiment has some.
    """
    experiment = discriminator.experiment
    size = experiment.resolution
    if images.shape[1:] != (1, size, size):
        cause = f"are {tuple(images.shape[1:])}, its discriminator takes {size} x {size}"
        raise BadInput(f"images for {experiment.name}", cause, "normalize and generate at its resolution")
    if experiment.classes and classes is None:
        cause = f"have no class, and its discriminator was trained with {len(experiment.classes)} classes"
        raise BadInput(
            f"images for {experiment.name}", cause, "score its run in the store, which knows the classes"
        )
    logits = np.empty(len(images), np.float32)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        labels = (
            classes[part].to(discriminator.device) if experiment.classes and classes is not None else None
        )
        batch = images[part].to(discriminator.device)
        logits[part] = discriminator.module(batch, labels).float().cpu().numpy()
    return logits
