"""A logistic regression on features, and how well it ranks: real against synthetic, and class against class.

In: (N, d) features with labels. Out: scores and areas under the ROC curve (AUC), with intervals over patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from chestgan_core.metrics.bootstrap import Interval, Resampling

Features = NDArray[np.floating]
Labels = NDArray[np.int64]
# Weight of the squared norm of the coefficients, relative to the mean loss per image.
PENALTY = 0.01
ITERATIONS = 50
# Images ranked at once; bounds the memory.
ROWS = 512


@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression on standardized features. weights: (d, K); bias: (K,)."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scores(self, features: Features) -> NDArray[np.float64]:
        """(N, d) -> (N, K): log odds of each class against all others together."""
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        others = np.maximum(odds.sum(axis=1, keepdims=True) - odds, 1e-300)
        scores: NDArray[np.float64] = logits - np.log(others)
        return scores


def fit(features: Features, labels: Labels, classes: int) -> Logistic:
    """Fit a multinomial logistic regression with an L2 penalty, each class with the same weight.

    Args:
        features: (N, d).
        labels: (N,) from 0 to classes - 1, each of which occurs.
        classes: How many there are.

    Returns:
        The model; deterministic, by full gradients (L-BFGS) from zero.

    Examples:
        >>> features = np.array([[0.0], [1.0], [10.0], [11.0]])
        >>> model = fit(features, np.array([0, 0, 1, 1]), classes=2)
        >>> model.scores(features).argmax(axis=1).tolist()
        [0, 0, 1, 1]
    """
    x64 = features.astype(np.float64)
    mean, scale = x64.mean(axis=0), np.maximum(x64.std(axis=0), 1e-6)
    x, y = torch.from_numpy(((x64 - mean) / scale).astype(np.float32)), torch.from_numpy(labels)
    weights = torch.zeros(x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    class_weight = torch.from_numpy(len(labels) / (classes * np.bincount(labels, minlength=classes))).float()
    solver = torch.optim.LBFGS([weights, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        entropy = functional.cross_entropy(x @ weights + bias, y, weight=class_weight)
        value: torch.Tensor = entropy + PENALTY / 2 * (weights**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    return Logistic(mean, scale, weights.detach().double().numpy(), bias.detach().double().numpy())


def auc_per_image(
    real: Features, real_half: NDArray[np.bool_], other: Features, other_half: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Classifier two-sample test: for each real image the fraction of other images that rank below it.

    One classifier is trained on the images where the half is true and ranks the rest, another the other way round.

    Args:
        real: (N, d) features.
        real_half: (N,) True for one half, of whole patients.
        other: (M, d) features.
        other_half: (M,) True for one half.

    Returns:
        (N,) from 0 to 1; the mean is the AUC, 0.5 where the two sets cannot be distinguished.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> real, other = rng.standard_normal((200, 3)), rng.standard_normal((200, 3)) + 5
        >>> half = np.arange(200) % 2 == 0
        >>> bool(auc_per_image(real, half, other, half).mean() > 0.99)
        True
    """
    below = np.empty(len(real))
    for a, b in ((real_half, other_half), (~real_half, ~other_half)):
        labels = np.repeat([1, 0], [a.sum(), b.sum()]).astype(np.int64)
        model = fit(np.concatenate([real[a], other[b]]), labels, 2)
        below[~a] = fraction_below(model.scores(real[~a])[:, 1], model.scores(other[~b])[:, 1])
    return below


def fraction_below(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): the fraction of the others (M,) that is below each score; an equal one counts half."""
    ranked = np.sort(others)
    counts = np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")
    fractions: NDArray[np.float64] = counts / (2 * len(others))
    return fractions


def class_auc(
    scores: NDArray[np.float64], labels: Labels, patients: Resampling
) -> tuple[float, Interval | None]:
    """Mean over the classes of the AUC of each against all others, and its interval over patients.

    scores: (N, K); labels: (N,); patients: of the same images. At least two classes must occur.
    """
    present = [at for at in range(scores.shape[1]) if 0 < (labels == at).sum() < len(labels)]
    tables = [_wins(scores[:, at], labels == at, patients) for at in present]
    whole = np.ones((1, patients.count))
    value = float(np.mean([_weighted(table, counts, whole)[0] for table, counts in tables]))
    drawn = np.array([_weighted(table, counts, patients.weights) for table, counts in tables])
    return value, patients.interval(drawn.mean(axis=0))


def _wins(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], patients: Resampling
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(G, G): how often an image of the class of one patient is ranked above one of the others of another patient; and
    how many such pairs there are.
    """
    groups = patients.one_hot
    inside, outside, negatives = groups[positive], groups[~positive], scores[~positive]
    table = np.zeros((patients.count, patients.count))
    for start in range(0, len(inside), ROWS):
        some = scores[positive][start : start + ROWS, None]
        above = (some > negatives) + 0.5 * (some == negatives)
        table += inside[start : start + ROWS].T @ above @ outside
    return table, np.outer(inside.sum(axis=0), outside.sum(axis=0))


def _weighted(
    table: NDArray[np.float64], counts: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(B,): the AUC of each draw (B, G); NaN where one side was not drawn."""
    pairs = ((weights @ counts) * weights).sum(axis=1)
    won = ((weights @ table) * weights).sum(axis=1)
    areas: NDArray[np.float64] = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return areas


def class_numbers(names: Sequence[str], classes: Sequence[str]) -> Labels:
    """(N,) the number of each name in `classes`."""
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[name] for name in names], dtype=np.int64)
