"""Each number of a card beside the one that was computed again, and what can be said of the two.

In: rows of the card, rows computed again (or why there are none). Out: Comparison, one for each value and each floor.

- equal: they differ by less than half of the last digit that the card prints.
- within the interval: not equal, and the new one lies in the interval of the card's. A floor has none of its own; it is
  given that of its value, moved to the floor. A value without interval and without standard error is given what ALLOWED
  images out of all change, or ALLOWED percent of it, as other processors and libraries compute other last digits.
- differs: anything else.
- not recomputed: with the reason. Never counted as good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from chestgan_core.evaluation.scoring.metric_rows import MEASURES, MetricRow

Verdict: TypeAlias = Literal["equal", "within the interval", "differs", "not recomputed"]
VERDICTS: tuple[Verdict, ...] = ("equal", "within the interval", "differs", "not recomputed")
HEADLINE = "KID"
ALLOWED = 2
"""Images, and percent."""
_DIGIT = {"x 1000": 1e-4, "percent": 1e-2}


@dataclass(frozen=True)
class Comparison:
    """One number. part: `value` or `floor`. low, high: what counts as the interval of the card's number. why: of
    `not recomputed`, or where the interval comes from.
    """

    measure: str
    part: str
    extractor: str
    card: float
    again: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    why: str
    shown: tuple[str, str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: value for name, value in asdict(self).items() if name != "shown"}


def compare(
    card: Sequence[MetricRow], again: Mapping[tuple[str, str], MetricRow], reasons: Mapping[str, str]
) -> list[Comparison]:
    """Every number that the card has.

    again: (extractor, measure) -> row. reasons: extractor or measure -> why it has none; "" is that of all.
    """
    found = []
    for row in card:
        new = again.get((row.extractor, row.measure))
        reason = next((reasons[name] for name in (row.extractor, row.measure, "") if name in reasons), "")
        if not reason and new is None:
            reason = "this version of chestgan has no such measure"
        for part in ("value", "floor"):
            old, other = _number(row, part), None if reason or new is None else _number(new, part)
            if old is None:
                continue  # the card says itself that it was not measured
            why = reason or ("" if other is not None or new is None else _why_absent(new, part))
            found.append(_comparison(row, part, old, other, why))
    return found


def _number(row: MetricRow, part: str) -> float | None:
    return row.value if part == "value" else row.floor


def _why_absent(row: MetricRow, part: str) -> str:
    return (row.note if part == "value" else row.floor_note).removeprefix("not measured: ")


def _comparison(row: MetricRow, part: str, old: float, new: float | None, why: str) -> Comparison:
    low, high, about = _interval(row, part, old)
    if row.measure in MEASURES and MEASURES[row.measure].display == "percent":
        low, high = max(low, 0.0), min(high, 1.0)
    if new is None:
        verdict: Verdict = "not recomputed"
    elif abs(new - old) <= _half_digit(row, old):
        verdict = "equal"
    else:
        verdict = "within the interval" if low <= new <= high else "differs"
    return Comparison(
        measure=row.measure,
        part=part,
        extractor=row.extractor,
        card=old,
        again=new,
        low=low,
        high=high,
        verdict=verdict,
        why=why if new is None else about if verdict != "equal" else "",
        shown=(
            _shown(row, old),
            "none" if new is None else _shown(row, new),
            f"{_shown(row, low)} to {_shown(row, high)}",
        ),
    )


def _interval(row: MetricRow, part: str, old: float) -> tuple[float, float, str]:
    """Ends, and where they come from unless they are the card's 95 % interval."""
    if part == "floor" and row.floor_sd is not None:
        return old - 2 * row.floor_sd, old + 2 * row.floor_sd, "two standard errors"
    if row.ends is not None:
        below, above = (row.value or 0.0) - row.ends[0], row.ends[1] - (row.value or 0.0)
        if part == "floor":
            return old - max(below, 0.0), old + max(above, 0.0), "the interval of the value, at the floor"
        about = "" if row.low is not None else "two standard errors"
        return row.ends[0], row.ends[1], about
    percent = row.measure in MEASURES and MEASURES[row.measure].display == "percent"
    allowed = ALLOWED / max(row.n_fake, 1) if percent else ALLOWED / 100 * abs(old)
    about = f"no interval: {ALLOWED} images" if percent else f"no interval: {ALLOWED} %"
    return old - allowed, old + allowed, about


def _half_digit(row: MetricRow, value: float) -> float:
    """Half of the last digit that `MetricRow.number` prints."""
    display = MEASURES[row.measure].display if row.measure in MEASURES else "number"
    if display == "number":
        return 0.005 if abs(value) < 10 else 0.05
    if display == "percent" and row.group == "plausibility":
        return _DIGIT[display] / 20
    return _DIGIT[display] / 2


def _shown(row: MetricRow, value: float) -> str:
    return row.number(value) if row.measure in MEASURES else f"{value:g}"


def headline(rows: Sequence[Comparison]) -> Comparison | None:
    """The number that must be recomputed: KID where the card has one, else its first value."""
    values = [row for row in rows if row.part == "value"]
    return next((row for row in values if row.measure == HEADLINE), values[0] if values else None)
