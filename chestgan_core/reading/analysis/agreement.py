"""Agreement between readers, and of readers with themselves.

In: AnswerTable. Out: Fleiss' kappa of the verdicts with an interval over images, and how often a second answer to the
same image is the same.
"""

import numpy as np

from chestgan_core.reading.analysis.answer_table import AnswerTable
from chestgan_core.reading.analysis.multireader import RESAMPLES, ends
from chestgan_core.reading.analysis.proportions import cohen_kappa, fleiss, proportion
from chestgan_core.reading.analysis.result import Agreement, Estimate, SelfAgreement
from chestgan_core.reading.analysis.roc import interval, rounded


def agreement(table: AnswerTable, seed: int) -> Agreement:
    """Images with fewer than two verdicts cannot say anything and are left out, and counted."""
    verdict = table.first.verdict
    counts = np.stack([(verdict == answer).sum(axis=0) for answer in (0, 1)], axis=1).astype(np.float64)
    readers = counts.sum(axis=1)
    usable = readers >= 2
    left_out, images = int((readers == 1).sum()), int(usable.sum())
    if not images:
        return Agreement(kappa=None, observed=None, expected=None, images=0, left_out=left_out)
    counts = counts[usable]
    kappa, observed, expected = fleiss(counts)
    estimate = None
    if not np.isnan(kappa[0]):
        generator = np.random.default_rng(seed)
        at = generator.integers(images, size=(RESAMPLES, images)) + images * np.arange(RESAMPLES)[:, None]
        drawn = np.bincount(at.ravel(), minlength=images * RESAMPLES).reshape(RESAMPLES, images)
        found = ends(fleiss(counts, drawn.astype(np.float64))[0])
        estimate = Estimate(value=rounded(kappa[0]), interval=interval(found))
    return Agreement(
        kappa=estimate,
        observed=rounded(observed[0]),
        expected=rounded(expected[0]),
        images=images,
        left_out=left_out,
    )


def self_agreement(table: AnswerTable) -> SelfAgreement:
    """Over all readers together: single readers see too few images twice."""
    first, second = table.first, table.second
    twice = ~np.isnan(first.rating) & ~np.isnan(second.rating)
    difference = (second.rating - first.rating)[twice]
    judged = ~np.isnan(first.verdict) & ~np.isnan(second.verdict)
    before, after = first.verdict[judged] == 1, second.verdict[judged] == 1
    kappa = cohen_kappa(before, after)
    return SelfAgreement(
        pairs=int(twice.sum()),
        same_verdict=proportion(int((before == after).sum()), len(before)),
        kappa=None if kappa is None else rounded(kappa),
        same_rating=proportion(int((difference == 0).sum()), len(difference)),
        rating_difference=rounded(difference.mean()) if len(difference) else None,
        rating_difference_absolute=rounded(np.abs(difference).mean()) if len(difference) else None,
    )
