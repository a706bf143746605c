"""Images to the logits of a run's discriminator.

In: a loaded discriminator, images and their classes. Out: a number an image. It is asked in eval mode: with the
statistics of a batch, as in training, an image's number would depend on the images beside it.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.training.weights import LoadedDiscriminator

BATCH = 64


@torch.inference_mode()
def logits_of(
    discriminator: LoadedDiscriminator, images: Tensor, classes: Tensor | None
) -> NDArray[np.float32]:
    """(N,) float32, above 0 means real; images: (N, 1, R, R) float32 in [-1, 1]; classes: (N,) int64 or None.

    Raises BadInput: another resolution, or no classes where its experiment has some.
    """
    told = discriminator.experiment
    if images.shape[1:] != (1, told.resolution, told.resolution):
        cause = (
            f"are {tuple(images.shape[1:])}, its discriminator takes {told.resolution} x {told.resolution}"
        )
        raise BadInput(f"images for {told.name}", cause, "normalize and generate at its resolution")
    if told.classes and classes is None:
        cause = f"have no class, and its discriminator was told {len(told.classes)}"
        raise BadInput(
            f"images for {told.name}", cause, "score its run in the store, which knows the classes"
        )
    found = np.empty(len(images), np.float32)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        of = classes[part].to(discriminator.device) if told.classes and classes is not None else None
        few = images[part].to(discriminator.device)
        found[part] = discriminator.module(few, of).float().cpu().numpy()
    return found
