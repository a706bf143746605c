"""Features that a report has already: of images that it compared, for whatever is asked about the same images again.

In: images and their features, and other images. Out: the features of these; only those of images that are not among the
first are computed.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.store.artefacts import sha256_of

Features = NDArray[np.float32]


def features_again(
    images: Tensor, known: tuple[Tensor, Features], compute: Callable[[Tensor], Features]
) -> Features:
    """(N, d) features of images (N, 1, H, W).

    known: images (M, 1, H, W), of the same size and type, and their features (M, d). compute: gives the features of
    images that are not known; not called where there are none.

    Examples:
        >>> import torch
        >>> images = torch.arange(3.0).reshape(3, 1, 1, 1)
        >>> def compute(some):
        ...     print("computed:", some.flatten().tolist())
        ...     return some.flatten(1).numpy() * 10
        >>> features_again(images, (images[1:], np.array([[10.0], [20.0]], np.float32)), compute).tolist()
        computed: [0.0]
        [[0.0], [10.0], [20.0]]
    """
    place = {_digest(image): at for at, image in enumerate(known[0])}
    places = [place.get(_digest(image)) for image in images]
    missing = [at for at, found in enumerate(places) if found is None]
    computed = iter(compute(images[missing]) if missing else ())
    return np.stack([next(computed) if at is None else known[1][at] for at in places])


def _digest(image: Tensor) -> str:
    return sha256_of(image.detach().cpu().contiguous().numpy().tobytes())
