"""How well a score tells members from others: AUC and true positives at 1 % false positives, with intervals.

In: a score per image of members (patients that were trained on) and of others, with their patients. Out: both numbers,
by slice and by patient. Every patient counts the same: the images of one weigh as much together as those of another, so
that a patient with 90 slices decides no more than one with three. The score of a patient is the mean of its slices'.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chestgan_core.metrics.bootstrap import Interval, resampling

FALSE_POSITIVES = 0.01
# With fewer others, 1 % of them is less than one.
ENOUGH_OTHERS = round(1 / FALSE_POSITIVES)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Scores of one side. scores: (n,); groups: (n,) the patient of each, 0 to count - 1, all of which occur."""

    scores: Floats
    groups: NDArray[np.int64]
    count: int

    @property
    def sizes(self) -> Floats:
        """(count,) images of each patient."""
        return np.bincount(self.groups, minlength=self.count).astype(np.float64)

    def by_patient(self) -> "Scored":
        """One score for each patient, the mean of its images."""
        means = np.bincount(self.groups, self.scores, minlength=self.count) / self.sizes
        return Scored(means, np.arange(self.count), self.count)


class Curve(NamedTuple):
    """An ROC curve from (0, 0) to (1, 1), as corners."""

    false_positives: Floats
    true_positives: Floats


@dataclass(frozen=True)
class Told:
    """auc: 0.5 is chance. true_positives: fraction of the members above a threshold that at most 1 % of the others
    reach.
    """

    auc: float
    auc_interval: Interval
    true_positives: float
    true_positives_interval: Interval
    curve: Curve


def scored(scores: Floats, patients: NDArray[np.str_]) -> Scored:
    """Raises ValueError: no score, or one that is not finite."""
    if not len(scores) or not np.isfinite(scores).all():
        raise ValueError("scores must be finite numbers, at least one")
    names, groups = np.unique(patients, return_inverse=True)
    return Scored(scores.astype(np.float64), groups.astype(np.int64), len(names))


def told(members: Scored, others: Scored, seed: int, z: float) -> Told:
    """Both numbers, with intervals by bootstrap over the patients of both sides (metrics/bootstrap.py).

    A bootstrap of few patients that are told apart entirely knows no variation. No interval is therefore narrower than
    that of as many independent patients: Newcombe's for an AUC (Statistics in Medicine 25 (2006), 559-573, method 5),
    Wilson's for a fraction.

    Args:
        members: Scores of the images (or patients) that were trained on.
        others: Of those that were not.
        seed: Of the draws.
        z: Half the width of an interval in standard errors: 1.96 for 95 %, more where the best of several is taken.

    Examples:
        >>> one, other = (scored(np.array(of), np.array(["a", "a", "b"])) for of in ([3.0, 2, 1], [0.0, 1, 2]))
        >>> told(one, other, seed=0, z=1.96).auc
        0.625
    """
    pairs = _pairs(members, others)
    draws = [_weights(side.count, seed + at) for at, side in enumerate((members, others))]
    drawn = ((draws[0] @ pairs) * draws[1]).sum(axis=1) / (members.count * others.count)
    auc = float(pairs.mean())
    fewest = min(members.count, others.count)
    half = z * float(drawn.std()) * math.sqrt(fewest / max(fewest - 1, 1))
    found = _true_positives(members, others, np.ones((1, members.count)), np.ones((1, others.count)))
    again = _true_positives(members, others, draws[0], draws[1])
    tail = 0.5 * math.erfc(z / math.sqrt(2))
    low, high = np.quantile(again, (tail, 1 - tail))
    share = float(found[0])
    return Told(
        auc=auc,
        auc_interval=_wider((auc - half, auc + half), newcombe(auc, members.count, others.count, z)),
        true_positives=share,
        true_positives_interval=_wider((float(low), float(high)), wilson(share, members.count, z)),
        curve=roc(members, others),
    )


def roc(members: Scored, others: Scored) -> Curve:
    """The curve; ties are one diagonal step."""
    values = np.concatenate([members.scores, others.scores])
    weights = [1 / (side.count * side.sizes[side.groups]) for side in (members, others)]
    order = np.argsort(-values, kind="stable")
    last = np.append(np.diff(values[order]) != 0, True)
    steps = []
    for side in (0, 1):
        own = [weights[at] if at == side else np.zeros_like(weights[at]) for at in (0, 1)]
        steps.append(np.concatenate([[0.0], np.cumsum(np.concatenate(own)[order])[last]]))
    return Curve(false_positives=np.minimum(steps[1], 1.0), true_positives=np.minimum(steps[0], 1.0))


def critical(level: float, comparisons: int) -> float:
    """Standard errors to each side of an interval, so that all of several hold at once at this level (Bonferroni).

    Examples:
        >>> round(critical(0.95, 1), 2), round(critical(0.95, 6), 2)
        (1.96, 2.64)
    """
    return NormalDist().inv_cdf(1 - (1 - level) / (2 * comparisons))


def newcombe(auc: float, members: int, others: int, z: float) -> Interval:
    """The interval of an AUC of so many independent scores on each side: all values from which the found one is not
    farther than z standard errors, which Hanley and McNeil (1982) give.

    Examples:
        >>> low, high = newcombe(1.0, members=20, others=5, z=1.96)
        >>> round(low, 2), high
        (0.76, 1.0)
    """

    def beyond(value: float) -> float:
        mean = (members + others) / 2 - 1
        variance = value * (1 - value) * (1 + mean * ((1 - value) / (2 - value) + value / (1 + value)))
        return abs(auc - value) - z * math.sqrt(max(variance, 0) / (members * others))

    return _root(beyond, auc, 0.0), _root(beyond, auc, 1.0)


def wilson(share: float, total: int, z: float) -> Interval:
    """The score interval of a fraction (Wilson 1927)."""
    middle, scale = share + z * z / (2 * total), 1 + z * z / total
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)


def by_chance(others: int) -> float:
    """The true positives to be expected where members score as others do: who is above all but 1 % of so many."""
    allowed = math.floor(FALSE_POSITIVES * others + 1e-9)
    return (allowed + 1) / (others + 1)


def _root(beyond: Callable[[float], float], inside: float, end: float) -> float:
    """Where `beyond` becomes positive on the way from a value where it is not to the end, where it is 0 or more."""
    for _ in range(50):
        middle = (inside + end) / 2
        if beyond(middle) <= 0:
            inside = middle
        else:
            end = middle
    return (inside + end) / 2


def _pairs(members: Scored, others: Scored) -> Floats:
    """(members, others): for each pair of patients, how often an image of the first has the higher score; ties count
    half.
    """
    # Compared, not subtracted: a difference of two numbers may be too small for a number.
    higher, lower = (
        compare(members.scores[:, None], others.scores[None, :]).astype(np.float32)
        for compare in (np.greater, np.less)
    )
    one_hot = [np.eye(side.count, dtype=np.float32)[side.groups] for side in (members, others)]
    sums = (one_hot[0].T @ (higher - lower) @ one_hot[1]).astype(np.float64)
    pairs: Floats = 0.5 + sums / (2 * members.sizes[:, None] * others.sizes[None, :])
    return pairs


def _weights(count: int, seed: int) -> Floats:
    """(DRAWS, count) how often each patient was drawn."""
    drawn = resampling([f"{at:09d}" for at in range(count)], seed)
    weights = drawn.weights[:, drawn.groups]
    scaled: Floats = weights * (count / weights.sum(axis=1, keepdims=True))
    return scaled


def _true_positives(members: Scored, others: Scored, of_members: Floats, of_others: Floats) -> Floats:
    """(DRAWS,) weight of the members above the threshold. of_members, of_others: (DRAWS, count) weights of patients."""
    order = np.argsort(-others.scores, kind="stable")
    each = (of_others / others.count)[:, others.groups[order]] / others.sizes[others.groups[order]]
    # The first of the others, from the top, with whom the false positives are more than allowed.
    reached = np.cumsum(each, axis=1) > FALSE_POSITIVES + 1e-9
    threshold = others.scores[order][reached.argmax(axis=1)]
    weights = (of_members / members.count)[:, members.groups] / members.sizes[members.groups]
    above = (weights * (members.scores[None, :] > threshold[:, None])).sum(axis=1)
    found: Floats = np.minimum(above, 1.0)
    return found


def _wider(one: Interval, other: Interval) -> Interval:
    return max(min(one[0], other[0]), 0.0), min(max(one[1], other[1]), 1.0)
