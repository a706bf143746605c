"""Inception score: is each image of one class to a classifier of photographs, and are all classes there?

In: logits of the classes, as an extractor's own last layer gives them. Out: a number from 1 to the number of classes. A
chest slice is of no class of ImageNet, so the score only says how varied the classifier's mistakes are: it is there for
continuity with the thesis system.
"""

import numpy as np
from numpy.typing import NDArray


def inception_score(logits: NDArray[np.floating]) -> float:
    """exp of the mean of KL(p(y|x) || p(y)) (Salimans et al. 2016, arXiv 1606.03498).

    Of all images at once, not of ten parts: with a few hundred images the parts would measure their own size. Biased
    downwards at small N, because p(y) is estimated from the same images.

    Args:
        logits: (N, classes) of a classifier, N at least 1.

    Returns:
        From 1 to the number of classes.

    Raises:
        ValueError: No images, or another shape.

    Examples:
        >>> round(inception_score(1000 * np.eye(4)), 6)  # four images, each surely of another class
        4.0
    """
    if logits.ndim != 2 or not len(logits):
        raise ValueError(f"logits must be (N, classes), N at least 1, not {logits.shape}")
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_given: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    given = np.exp(log_given)
    # A class that no image has at all would be 0 times the logarithm of 0.
    log_overall = np.log(np.maximum(given.mean(axis=0), 1e-300))
    return float(np.exp((given * (log_given - log_overall)).sum(axis=1).mean()))
