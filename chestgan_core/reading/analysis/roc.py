"""The ROC part of a result: areas, curves and intervals, as plain data.

In: Scores of readers. Out: Roc, or None where no reader scored enough images of both sides.
"""

import numpy as np
from numpy.typing import NDArray

from chestgan_core.reading.analysis.multireader import (
    CURVES,
    GRID,
    LARGEST,
    SMALLEST,
    Draws,
    Floats,
    Scores,
    areas,
    curve,
    draw,
    ends,
    mean_curve,
    variance,
)
from chestgan_core.reading.analysis.result import (
    CrossCheck,
    Estimate,
    Interval,
    MeanCurve,
    ReaderCurve,
    Roc,
    Scale,
)

# Of each side a reader must have scored this share to be in a mean over readers, where all have the same weight.
ENOUGH = 0.5
DIGITS = 6


def rounded(value: float) -> float:
    """Digits that say something; and other processors round the rest otherwise."""
    return round(float(value), DIGITS)


def interval(found: tuple[float, float] | None) -> Interval | None:
    """Ends as plain data."""
    return None if found is None else Interval(low=rounded(found[0]), high=rounded(found[1]))


def enough(given: NDArray[np.bool_], synthetic: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(readers, images) to (readers,): who has answered enough of both sides for a mean over readers."""
    sides = [given[:, side] for side in (synthetic, ~synthetic)]
    found: NDArray[np.bool_] = np.logical_and.reduce(
        [side.any(axis=1) & (side.mean(axis=1) >= ENOUGH) if side.shape[1] else np.zeros(len(given), bool)
         for side in sides]
    )  # fmt: skip
    return found


def roc_of(scores: Scores, scale: Scale, finished: NDArray[np.bool_], seed: int) -> Roc | None:
    """finished: (readers,) who answered everything."""
    given = scores.values >= 0
    used = enough(given, scores.synthetic)
    if not used.any():
        return None
    chosen = scores.of(used)
    one_hot, side = chosen.one_hot(), chosen.synthetic
    synthetic, real = one_hot[:, side].sum(axis=1), one_hot[:, ~side].sum(axis=1)
    found = areas(synthetic, real)
    draws = draw(len(found), side, chosen.units, seed)
    drawn = None if draws is None else _Drawn(draws, one_hot, side)
    per_reader = [None if drawn is None else interval(ends(drawn.areas[:, at])) for at in range(len(found))]
    overall = None if drawn is None else interval(ends(draws.mean(drawn.areas)))  # type: ignore[union-attr]
    shown = given[used].any(axis=0)
    return Roc(
        scale=scale,
        area=Estimate(value=rounded(found.mean()), interval=overall),
        finished=_finished(chosen, finished[used], seed),
        cross_check=_cross_check(chosen),
        readers=len(found),
        left_out=int((given.any(axis=1) & ~used).sum()),
        synthetic_images=int((shown & side).sum()),
        real_images=int((shown & ~side).sum()),
        patients=len(np.unique(scores.units[shown & ~side])),
        curves=tuple(
            ReaderCurve(
                reader=int(number) + 1,
                area=Estimate(value=rounded(found[at]), interval=per_reader[at]),
                corners=tuple(
                    (rounded(x), rounded(y)) for x, y in zip(*curve(synthetic[at], real[at]), strict=True)
                ),
            )
            for at, number in enumerate(np.flatnonzero(used))
        ),
        mean_curve=_mean_curve(synthetic, real, drawn),
    )


class _Drawn:
    """synthetic, real: (resamples, readers, steps) counts. areas: (resamples, readers)."""

    def __init__(self, draws: Draws, one_hot: Floats, side: NDArray[np.bool_]) -> None:
        self.draws = draws
        self.synthetic, self.real = draws.counts(one_hot, side), draws.counts(one_hot, ~side)
        self.areas = areas(self.synthetic, self.real)


def _finished(chosen: Scores, finished: NDArray[np.bool_], seed: int) -> Estimate | None:
    if finished.all() or not finished.any():
        return None
    those = chosen.of(finished)
    one_hot, side = those.one_hot(), those.synthetic
    found = areas(one_hot[:, side].sum(axis=1), one_hot[:, ~side].sum(axis=1))
    draws = draw(len(found), side, those.units, seed)
    drawn = None if draws is None else ends(draws.mean(_Drawn(draws, one_hot, side).areas))
    return Estimate(value=rounded(found.mean()), interval=interval(drawn))


def _cross_check(chosen: Scores) -> CrossCheck | None:
    found = variance(chosen)
    if found is None:
        return None
    freedom = found.degrees_of_freedom
    return CrossCheck(
        standard_error=rounded(found.standard_error),
        degrees_of_freedom=rounded(freedom) if np.isfinite(freedom) else None,
        interval=Interval(low=rounded(found.low), high=rounded(found.high)),
    )


def _mean_curve(synthetic: Floats, real: Floats, drawn: _Drawn | None) -> MeanCurve:
    bands: tuple[tuple[float, ...], ...] = ((), ())
    if drawn is not None:
        curves = np.array(
            [
                mean_curve(drawn.synthetic[at], drawn.real[at], drawn.draws.readers[at])
                for at in range(min(CURVES, len(drawn.areas)))
            ]
        )
        curves = curves[~np.isnan(curves).any(axis=1)]
        if len(curves):
            low, high = np.percentile(curves, [SMALLEST, LARGEST], axis=0)
            bands = tuple(map(rounded, low)), tuple(map(rounded, high))
    return MeanCurve(
        false_fractions=tuple(map(rounded, GRID)),
        true_fractions=tuple(map(rounded, mean_curve(synthetic, real))),
        low=bands[0],
        high=bands[1],
    )
