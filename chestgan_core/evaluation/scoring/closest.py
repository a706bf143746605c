"""The synthetic images that are most similar to a training image, each with that image and the nearest held-out one.

In: the sides of a comparison; all training images are searched, not only those that were drawn. Out: the triples, for
a figure as confidential as the training images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.evaluation.scoring.feature_metrics import as_vectors
from chestgan_core.evaluation.scoring.sides import Sides
from chestgan_core.metrics.memorization import Nearest, nearest

TRIPLES = 8


@dataclass(frozen=True)
class Closest:
    """fake, trained, held_out: (k, 1, H, W) float32 in [-1, 1], the nearest pair first.

    to_trained, to_held_out: (k,) root mean square difference of the pixels, 0 to 2. searched: number of images
    searched, training and held-out.
    """

    fake: Tensor
    trained: Tensor
    held_out: Tensor
    to_trained: NDArray[np.float64]
    to_held_out: NDArray[np.float64]
    searched: tuple[int, int]


def closest_to_training(sides: Sides) -> Closest | None:
    """The synthetic images with the smallest ratio of the distance to the nearest training image to that to the nearest
    held-out image; None without training images.
    """
    if sides.trained is None or not len(sides.trained):
        return None
    fake = as_vectors(sides.fake)
    trained, held_out = (_nearest(fake, images) for images in (sides.trained, sides.held_out.images))
    near, far = (np.sqrt(found.squared[:, 0] / fake.shape[1]) for found in (trained, held_out))
    first = np.argsort(near / np.maximum(far, 1e-9), kind="stable")[:TRIPLES]
    return Closest(
        fake=sides.fake[first],
        trained=sides.trained[trained.index[first]],
        held_out=sides.held_out.images[held_out.index[first]],
        to_trained=near[first],
        to_held_out=far[first],
        searched=(len(sides.trained), len(sides.held_out.images)),
    )


def _nearest(fake: NDArray[np.float32], images: Tensor) -> Nearest:
    return nearest(fake, as_vectors(images), np.zeros(len(images), np.int64), 1)
