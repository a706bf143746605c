"""Inception score: is each image of one class to a classifier of photographs, and are all classes there?

In: the features of an extractor, whose own last layer makes classes of them. Out: a number from 1 to the number of
classes. A chest slice is of no class of ImageNet, so it says how varied the classifier's mistakes are: for continuity
with the thesis only.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import NotAvailable
from chestgan_core.imaging.pretrained import efficientnet_lite0, inception_v3

# Name of an extractor, as its id begins -> the layer that follows its features.
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "efficientnet-lite0": lambda: efficientnet_lite0()[0]._fc,
    "inception-v3-torchvision": lambda: inception_v3()[0].fc,
}


def class_logits(features: NDArray[np.floating], extractor: str) -> NDArray[np.float32]:
    """(N, d) features of the extractor with this id to (N, 1000) logits of ImageNet's classes.

    Raises NotAvailable: the extractor has no classes, or its weights are gone.
    """
    name = extractor.partition(":")[0]
    if name not in CLASSIFIERS:
        remedy = f"measure with one of {', '.join(CLASSIFIERS)}"
        raise NotAvailable(
            f"classifier of {name or 'no extractor'}", "its features lead to no classes", remedy
        )
    layer = CLASSIFIERS[name]()
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    logits: NDArray[np.float32] = features.astype(np.float32) @ weight.T + bias
    return logits


def inception_score(logits: NDArray[np.floating]) -> float:
    """exp of the mean of KL(p(y|x) || p(y)) (Salimans et al. 2016, arXiv 1606.03498); logits: (N, classes), N >= 1.

    Of all images at once, not of ten parts: of a few hundred images the parts would measure their own size. Biased
    downwards at small N, as p(y) is estimated from the same images.
    """
    if logits.ndim != 2 or not len(logits):
        raise ValueError(f"logits must be (N, classes), N at least 1, not {logits.shape}")
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_given: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    given = np.exp(log_given)
    # A class that no image has at all would be 0 times the logarithm of 0.
    log_overall = np.log(np.maximum(given.mean(axis=0), 1e-300))
    return float(np.exp((given * (log_given - log_overall)).sum(axis=1).mean()))
