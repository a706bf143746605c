"""The analysis of a reader study.

In: the design, the key and the answers of one frozen study. Out: StudyResult. The same input and seed give the same
result. Which answers count: docs/reading.md, "Analysis"; in short, warm-ups never, second answers to an image only for
the agreement of readers with themselves, unfinished readers image by image.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chestgan_core.reading.analysis.agreement import agreement, self_agreement
from chestgan_core.reading.analysis.answer_table import STEPS, AnswerTable, answer_table
from chestgan_core.reading.analysis.drift import drift
from chestgan_core.reading.analysis.finding import finding, notes
from chestgan_core.reading.analysis.groups import groups
from chestgan_core.reading.analysis.multireader import Floats, draw, ends
from chestgan_core.reading.analysis.proportions import proportion
from chestgan_core.reading.analysis.result import (
    Confusion,
    Estimate,
    Ratings,
    RatingSide,
    ReaderRow,
    StudyResult,
)
from chestgan_core.reading.analysis.roc import enough, interval, roc_of, rounded
from chestgan_core.reading.analysis.tumours import tumours
from chestgan_core.reading.answers import StudyAnswers
from chestgan_core.reading.design import StudyDesign, Truth
from chestgan_core.reading.study_key import StudyKey

# Raise when numbers or the page change: results are then computed again.
VERSION = "1"
LEVELS = ("lower third", "middle third", "upper third")


def analyse(design: StudyDesign, key: StudyKey, answers: StudyAnswers, seed: int = 0) -> StudyResult:
    """All numbers of a study.

    Args:
        design: What was asked.
        key: Which images are real.
        answers: Of all readers, also of those who did not finish.
        seed: Of the resamples behind the intervals.

    Returns:
        The result as plain data. What cannot be computed is None, also where there is no answer at all.

    Raises:
        BadInput: design, key and answers are not of one frozen study; an answer to an image that the key does not have;
            an answer twice, or of a reader who is not listed.
    """
    table = answer_table(design, key, answers)
    finished = np.array([one.finished for one in table.readers], dtype=np.bool_)
    ratings_roc = roc_of(table.scores_of_ratings(), "rating", finished, seed)
    verdict_roc = roc_of(table.scores_of_verdicts(), "verdict and confidence", finished, seed)
    roc = verdict_roc if design.ask_verdict else ratings_roc
    confusions = _by_reader(table)
    reached = _reached(confusions)
    readers = _reader_rows(table)
    seconds = table.first.seconds[table.given]
    return StudyResult(
        design=design,
        version=key.version,
        seed=seed,
        readers=readers,
        answers=int(table.given.sum()),
        repeated=int((~np.isnan(table.second.seconds)).sum()),
        warm_up=table.warm_up,
        confusion=_confusion("all readers", table, np.ones(table.given.shape, dtype=np.bool_)),
        confusion_by_reader=confusions,
        confusion_by_class=_by_class(table),
        confusion_by_level=_by_level(table),
        accuracy_over_readers=_accuracy(table, seed),
        planned=rounded(design.half_width),
        reached=reached,
        roc=roc,
        roc_of_ratings=ratings_roc if design.ask_verdict else None,
        ratings=_ratings(table, seed),
        agreement=agreement(table, seed),
        self_agreement=self_agreement(table),
        drift=drift(table),
        seconds=rounded(np.median(seconds)) if len(seconds) else None,
        tumours=tumours(table) if design.ask_tumour else None,
        groups=groups(table),
        finding=finding(roc, design.half_width, reached),
        notes=notes(design, table, readers, roc),
    )


def _reader_rows(table: AnswerTable) -> tuple[ReaderRow, ...]:
    rows = []
    for at, reader in enumerate(table.readers):
        own = table.first.seconds[at][table.given[at]]
        rows.append(
            ReaderRow(
                reader=at + 1,
                standing="no answer" if not len(own) else "finished" if reader.finished else "unfinished",
                answered=len(own),
                of=len(table.rows),
                seconds=rounded(np.median(own)) if len(own) else None,
                minutes=rounded(table.seconds_in_all[at] / 60),
            )
        )
    return tuple(rows)


def _confusion(label: str, table: AnswerTable, chosen: NDArray[np.bool_]) -> Confusion:
    """chosen: (readers, images)."""
    verdict = np.where(chosen, table.first.verdict, np.nan)
    side = table.synthetic
    hits, misses = int((verdict[:, side] == 1).sum()), int((verdict[:, side] == 0).sum())
    rejections, alarms = int((verdict[:, ~side] == 0).sum()), int((verdict[:, ~side] == 1).sum())
    return Confusion(
        label=label,
        synthetic_called_synthetic=hits,
        synthetic_called_real=misses,
        real_called_real=rejections,
        real_called_synthetic=alarms,
        accuracy=proportion(hits + rejections, hits + misses + rejections + alarms),
        sensitivity=proportion(hits, hits + misses),
        specificity=proportion(rejections, rejections + alarms),
    )


def _by_reader(table: AnswerTable) -> tuple[Confusion, ...]:
    """Of readers with a verdict."""
    rows = np.arange(len(table.readers))[:, None] == np.arange(len(table.readers))
    return tuple(
        _confusion(f"reader {at + 1}", table, np.broadcast_to(rows[at][:, None], table.given.shape))
        for at in range(len(table.readers))
        if (~np.isnan(table.first.verdict[at])).any()
    )


def _by_class(table: AnswerTable) -> tuple[Confusion, ...]:
    """None where the set has no classes."""
    names = np.array([row.image_class for row in table.rows])
    if not names.any():
        return ()
    return tuple(
        _confusion(str(name) or "no class", table, np.broadcast_to(names == name, table.given.shape))
        for name in sorted(set(names))
    )


def _by_level(table: AnswerTable) -> tuple[Confusion, ...]:
    """Only real slices have a known level; none where no slice has one."""
    level = np.array([np.nan if row.level is None else row.level for row in table.rows])
    third = np.minimum(np.floor(3 * level), 2)
    if np.isnan(third).all():
        return ()
    return tuple(
        _confusion(name, table, np.broadcast_to(third == number, table.given.shape))
        for number, name in enumerate(LEVELS)
    )


def _reached(confusions: Sequence[Confusion]) -> float | None:
    """Median over readers of the half-width of the interval of their accuracy."""
    ends_of = [one.accuracy.interval for one in confusions]
    widths = [one.high - one.low for one in ends_of if one is not None]
    return rounded(np.median(widths) / 2) if widths else None


def _accuracy(table: AnswerTable, seed: int) -> Estimate | None:
    """Mean over readers who gave enough verdicts, with an interval over readers and images."""
    used = enough(~np.isnan(table.first.verdict), table.synthetic)
    if not used.any():
        return None
    right = table.right[used]
    draws = draw(len(right), table.synthetic, table.units, seed)
    drawn = None
    if draws is not None:
        counts = draws.counts(
            (right[..., None] == np.arange(2)).astype(np.float64), np.ones(right.shape[1], bool)
        )
        drawn = ends(draws.mean(_mean_step(counts)))
    return Estimate(value=rounded(np.nanmean(right, axis=1).mean()), interval=interval(drawn))


def _ratings(table: AnswerTable, seed: int) -> Ratings:
    rating, side = table.first.rating, table.synthetic
    return Ratings(
        real=_side("real", rating[:, ~side]),
        synthetic=_side("synthetic", rating[:, side]),
        difference=_difference(table, seed),
    )


def _side(truth: Truth, ratings: Floats) -> RatingSide:
    known = ratings[~np.isnan(ratings)].astype(np.int64)
    counts = np.bincount(known, minlength=STEPS + 1)[1:].tolist()
    return RatingSide(
        truth=truth,
        counts=tuple(counts),
        mean=rounded(known.mean()) if len(known) else None,
        median=rounded(np.median(known)) if len(known) else None,
    )


def _difference(table: AnswerTable, seed: int) -> Estimate | None:
    """Real minus synthetic: in each reader, then the mean over readers."""
    used, side = enough(~np.isnan(table.first.rating), table.synthetic), table.synthetic
    if not used.any():
        return None
    ratings = table.first.rating[used]
    value = np.nanmean(ratings[:, ~side], axis=1) - np.nanmean(ratings[:, side], axis=1)
    draws, drawn = draw(len(ratings), side, table.units, seed), None
    if draws is not None:
        one_hot = (ratings[..., None] == np.arange(STEPS + 1)).astype(np.float64)
        apart = _mean_step(draws.counts(one_hot, ~side)) - _mean_step(draws.counts(one_hot, side))
        drawn = ends(draws.mean(apart))
    return Estimate(value=rounded(value.mean()), interval=interval(drawn))


def _mean_step(counts: Floats) -> Floats:
    """(..., steps) to the mean step (...); NaN where nothing was counted."""
    total = counts.sum(axis=-1)
    found: Floats = np.divide(
        counts @ np.arange(counts.shape[-1]), total, out=np.full(np.shape(total), math.nan), where=total > 0
    )
    return found
