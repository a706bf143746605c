"""Images to the logits of a run's discriminator.

In: a loaded discriminator, images and what is known of them. Out: one logit per image. The discriminator is in eval
mode: with the statistics of a batch, as in training, the logit of an image would depend on the images beside it.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.weights import LoadedDiscriminator

BATCH = 64


@torch.inference_mode()
def discriminator_logits(
    discriminator: LoadedDiscriminator, images: Tensor, conditions: SliceConditions
) -> NDArray[np.float32]:
    """(N,) float32, above 0 means real; images: (N, 1, R, R) float32 in [-1, 1]; conditions: of the images.

    Raises BadInput: another resolution, or a condition of its experiment is not known of the images.
    """
    experiment = discriminator.experiment
    size = experiment.resolution
    if images.shape[1:] != (1, size, size):
        cause = f"are {tuple(images.shape[1:])}, its discriminator takes {size} x {size}"
        raise BadInput(f"images for {experiment.name}", cause, "normalize and generate at its resolution")
    missing = [
        name
        for name, asked, known in (
            ("class", experiment.classes, conditions.classes),
            ("position", experiment.conditions.position, conditions.positions),
            ("boxes of tumours", experiment.conditions.tumour, conditions.boxes),
        )
        if asked and known is None
    ]
    if missing:
        cause = f"have no {' and no '.join(missing)}, with which its discriminator was trained"
        raise BadInput(f"images for {experiment.name}", cause, "score its run in the store, which knows them")
    logits = np.empty(len(images), np.float32)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        condition = conditions.at(part, size).to(discriminator.device)
        batch = images[part].to(discriminator.device)
        logits[part] = discriminator.module(batch, condition).float().cpu().numpy()
    return logits
