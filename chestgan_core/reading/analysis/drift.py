"""Whether readers became better, stricter or faster from their first image to their last.

In: AnswerTable. Out: quarters of each reader's order, and slopes. Images come in a random order, so what changes along
it is the reader. Each reader's slope counts once; its interval is Student's over readers, hence none for one or two.
"""

import math

import numpy as np
from numpy.typing import NDArray

from chestgan_core.reading.analysis.answer_table import AnswerTable, Floats
from chestgan_core.reading.analysis.multireader import t_quantile
from chestgan_core.reading.analysis.proportions import proportion
from chestgan_core.reading.analysis.result import Drift, Estimate, Interval, Quarter
from chestgan_core.reading.analysis.roc import rounded

QUARTERS = 4
FEWEST_ANSWERS, FEWEST_READERS = 8, 3
SHORTEST = 0.1  # seconds: what a logarithm takes for 0


def drift(table: AnswerTable) -> Drift:
    """Second answers and warm-ups do not count."""
    rating, order = table.first.rating, table.first.order
    real, synthetic = np.where(table.synthetic, np.nan, rating), np.where(table.synthetic, rating, np.nan)
    seconds = np.log(np.maximum(table.first.seconds, SHORTEST))
    factor = _slope(seconds, order)
    return Drift(
        quarters=tuple(_quarter(table, number, real, synthetic) for number in range(QUARTERS)),
        accuracy=_slope(table.right, order),
        rating_real=_slope(real, order),
        rating_synthetic=_slope(synthetic, order),
        seconds_factor=None if factor is None else _exponential(factor),
    )


def _quarter(table: AnswerTable, number: int, real: Floats, synthetic: Floats) -> Quarter:
    # The last image is in the last quarter; NaN compares as false.
    inside: NDArray[np.bool_] = np.minimum(np.floor(QUARTERS * table.first.order), QUARTERS - 1) == number
    right = table.right[inside]
    right = right[~np.isnan(right)]
    return Quarter(
        quarter=number + 1,
        answers=int(inside.sum()),
        accuracy=proportion(int(right.sum()), len(right)),
        rating_real=_mean(real[inside]),
        rating_synthetic=_mean(synthetic[inside]),
        seconds=rounded(np.median(table.first.seconds[inside])) if inside.any() else None,
    )


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return rounded(known.mean()) if len(known) else None


def _slope(values: Floats, order: Floats) -> Estimate | None:
    """Mean over readers of the least squares slope along the order; the order goes from 0 to 1."""
    slopes = []
    for own, places in zip(values, order, strict=True):
        known = ~np.isnan(own) & ~np.isnan(places)
        if known.sum() >= FEWEST_ANSWERS and np.ptp(places[known]) > 0:
            x = places[known] - places[known].mean()
            slopes.append(float((x * own[known]).sum() / (x * x).sum()))
    if not slopes:
        return None
    mean = float(np.mean(slopes))
    if len(slopes) < FEWEST_READERS:
        return Estimate(value=rounded(mean))
    half = t_quantile(len(slopes) - 1) * float(np.std(slopes, ddof=1)) / math.sqrt(len(slopes))
    return Estimate(
        value=rounded(mean), interval=Interval(low=rounded(mean - half), high=rounded(mean + half))
    )


def _exponential(found: Estimate) -> Estimate:
    ends = found.interval
    return Estimate(
        value=rounded(math.exp(found.value)),
        interval=None
        if ends is None
        else Interval(low=rounded(math.exp(ends.low)), high=rounded(_bounded(ends.high))),
    )


def _bounded(exponent: float) -> float:
    return math.exp(min(exponent, 50.0))
