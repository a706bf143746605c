"""A reader who does not look at the images: logistic regression on everything else.

In: features of each image, (N, F), and the truth. Out: the share of right answers on images that were not learned from.
"""

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def held_out_accuracy(features: NDArray[np.float64], real: NDArray[np.bool_], seed: int = 0) -> float:
    """Cross-validated over 5 folds; ridge penalty, gradient descent."""
    order = np.random.default_rng(seed).permutation(len(real))
    right = 0
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        train = np.setdiff1d(order, test)
        mean, spread = features[train].mean(axis=0), features[train].std(axis=0)
        scaled = (features - mean) / np.where(spread > 0, spread, 1)
        inputs = np.column_stack([scaled, np.ones(len(real))])
        weights = np.zeros(inputs.shape[1])
        for _ in range(300):
            guess = 1 / (1 + np.exp(-np.clip(inputs[train] @ weights, -30, 30)))
            gradient = inputs[train].T @ (guess - real[train]) / len(train) + 0.01 * weights
            weights -= 0.3 * gradient
        right += int(((inputs[test] @ weights > 0) == real[test]).sum())
    return right / len(real)


def chance_margin(images: int, deviations: float = 4) -> float:
    """How far from one half an accuracy may be by chance."""
    return deviations * 0.5 / np.sqrt(images)
