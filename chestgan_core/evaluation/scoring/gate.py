"""The release gate: whether the images of a report may be published, and if not, which limits are exceeded.

In: the rows of a metric report, and the release rules of an experiment. Out: one result per rule. The gate needs no
images: when rules change, it is computed again from the stored rows (stored_report.py). Imports nothing heavy.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from chestgan_core.config.experiment import ReleaseRules
from chestgan_core.evaluation.scoring.metric_rows import NOT_FINITE, MetricRow


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule.

    check: its name as an asset check. value: of what the rule limits, None where it was not measured. limit: the
    highest allowed value where lower is better, else the lowest. exceeded_by: how far the value is beyond the limit, 0
    where the rule passed, None where there is no value. note: the same in words.
    """

    check: str
    measure: str
    value: float | None
    limit: float
    better: Literal["lower", "higher"]
    passed: bool
    exceeded_by: float | None
    note: str


@dataclass(frozen=True)
class GateResult:
    """The results of all rules that the experiment has. passed: whether the set may be published."""

    passed: bool
    rules: tuple[RuleResult, ...]

    def line(self) -> str:
        """What exceeds its limit, and by how much, in one line."""
        return "; ".join(rule.note for rule in self.rules if not rule.passed) or "all rules passed"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def apply_gate(rows: Sequence[MetricRow], rules: ReleaseRules) -> GateResult:
    """The gate for the rows of a report. A rule whose measure has no value fails: it is not known to be good."""
    known = {row.measure: row for row in reversed(rows)}  # of several extractors, the first one counts
    results = [_finite(rows)]
    if rules.max_kid_above_floor is not None:
        row = known.get("KID")
        value = None if row is None else _above_floor(row)
        results.append(
            _at_most("distance", "KID x 1000 above its floor", value, rules.max_kid_above_floor, row)
        )
    if rules.min_coverage_of_floor is not None:
        row = known.get("coverage")
        value = None if row is None else _of_floor(row)
        results.append(
            _at_least("coverage", "coverage divided by its floor", value, rules.min_coverage_of_floor, row)
        )
    if rules.max_memorized_fraction is not None:
        row = known.get("memorized fraction")
        value = None if row is None else row.value
        results.append(
            _at_most("memorization", "memorized fraction", value, rules.max_memorized_fraction, row)
        )
    if rules.grey_levels is not None:
        row = known.get("KS grey levels")
        value = None if row is None else row.value
        results.append(_at_most("plausibility", "KS grey levels", value, rules.grey_levels, row))
    return GateResult(all(result.passed for result in results), tuple(results))


def _finite(rows: Sequence[MetricRow]) -> RuleResult:
    wrong = sum(note.startswith(NOT_FINITE) for row in rows for note in (row.note, row.floor_note))
    note = f"numbers that are not finite: {wrong}" if wrong else "all numbers are finite"
    return RuleResult("finite", "numbers that are not finite", wrong, 0, "lower", not wrong, wrong, note)


def _above_floor(row: MetricRow) -> float | None:
    """KID x 1000 above that between real patients."""
    return None if row.value is None or row.floor is None else 1000 * (row.value - max(row.floor, 0.0))


def _of_floor(row: MetricRow) -> float | None:
    """Coverage as a fraction of that between real patients; 1 where that is 0, so that nothing can be required."""
    if row.value is None or row.floor is None:
        return None
    return 1.0 if row.floor <= 0 else row.value / row.floor


def _at_most(
    check: str, measure: str, value: float | None, limit: float, row: MetricRow | None
) -> RuleResult:
    return _result(check, measure, value, limit, "lower", row)


def _at_least(
    check: str, measure: str, value: float | None, limit: float, row: MetricRow | None
) -> RuleResult:
    return _result(check, measure, value, limit, "higher", row)


def _result(
    check: str,
    measure: str,
    value: float | None,
    limit: float,
    better: Literal["lower", "higher"],
    row: MetricRow | None,
) -> RuleResult:
    bound = f"{'maximum' if better == 'lower' else 'minimum'} {limit:g}"
    if value is None:
        why = "" if row is None else f" ({row.floor_note if row.value is not None else row.note})"
        return RuleResult(
            check, measure, None, limit, better, False, None, f"{measure} has no value{why}; {bound}"
        )
    exceeded_by = max(value - limit if better == "lower" else limit - value, 0.0)
    beyond = f", {exceeded_by:.3g} too {'high' if better == 'lower' else 'low'}" if exceeded_by else ""
    note = f"{measure} is {value:.3g}; {bound}{beyond}"
    return RuleResult(check, measure, value, limit, better, not exceeded_by, exceeded_by, note)
