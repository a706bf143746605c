"""The release gate: whether the images of a report may be published, and if not, which limits are exceeded.

In: the rows of a metric report, and the release rules of an experiment. Out: one result per rule. The gate needs no
images: when rules change, it is computed again from the stored rows (stored_report.py). A rule that cannot be judged
does not pass: who wants to publish nevertheless turns it off, and card and report say so. Imports nothing heavy.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from chestgan_core.config.release_rules import RELEASE_CHECKS, TUMOUR_CHECKS, ReleaseRules
from chestgan_core.evaluation.scoring.metric_rows import NOT_FINITE, MetricRow

# What each rule of RELEASE_CHECKS limits.
RULE_MEASURES = {
    "finite": "numbers that are not finite",
    "distance": "KID x 1000 above its floor",
    "coverage": "coverage divided by its floor",
    "diversity": "diversity divided by that of real images",
    "memorization": "memorized fraction above its floor",
    "attacks": "AUC of the best membership attack",
    "plausibility": "KS grey levels",
    "placement": "placement divided by its ceiling",
    "detection_utility": "detection utility divided by its ceiling",
}
NO_TUMOURS = "this experiment places no tumours"


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule.

    check: its name as an asset check. value: of what the rule limits, None where it was not measured. limit: the
    highest allowed value where lower is better, else the lowest. exceeded_by: how far the value is beyond the limit, 0
    where the rule passed, None where it was not judged. note: the same in words.
    """

    check: str
    measure: str
    value: float | None
    limit: float
    better: Literal["lower", "higher"]
    passed: bool
    exceeded_by: float | None
    note: str

    @property
    def state(self) -> Literal["passed", "failed", "not judged"]:
        """The result in a word or two."""
        return "passed" if self.passed else "not judged" if self.exceeded_by is None else "failed"


@dataclass(frozen=True)
class GateResult:
    """The results of all rules that the experiment has. passed: whether the set may be published.

    places_tumours: whether the rules of TUMOUR_CHECKS have anything to judge.
    """

    passed: bool
    rules: tuple[RuleResult, ...]
    places_tumours: bool = False

    @property
    def off(self) -> tuple[str, ...]:
        """What no rule of the experiment limits."""
        known = {rule.check for rule in self.rules}
        if not self.places_tumours:
            known |= set(TUMOUR_CHECKS)
        return tuple(RULE_MEASURES[check] for check in RELEASE_CHECKS if check not in known)

    def line(self) -> str:
        """Why the gate refuses, in one line; where it does not, how many rules passed and what no rule limits."""
        refused = "; ".join(rule.note for rule in self.rules if not rule.passed)
        return refused or "; ".join(filter(None, [self.passed_line(), self.off_line()]))

    def passed_line(self) -> str:
        """`4 rules passed`."""
        passed = sum(rule.passed for rule in self.rules)
        return f"{passed} rule{'' if passed == 1 else 's'} passed"

    def off_line(self) -> str:
        """`no rule for coverage divided by its floor`; "" where every rule is on."""
        return f"no rule for {', '.join(self.off)}" if self.off else ""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def apply_gate(rows: Sequence[MetricRow], rules: ReleaseRules, places_tumours: bool = False) -> GateResult:
    """The gate for the rows of a report. A rule that cannot be judged does not pass: it is not known to be good.

    places_tumours: whether the experiment does (conditions.tumour); else the rules about tumours do not apply.
    """
    known = {row.measure: row for row in reversed(rows)}  # of several extractors, the first one counts
    results = [_finite(rows)]
    if (limit := rules.max_kid_above_floor) is not None:
        results.append(_result("distance", _above_floor(known.get("KID")), limit, "lower"))
    if (limit := rules.min_coverage_of_floor) is not None:
        results.append(_result("coverage", _of_floor(known.get("coverage")), limit, "higher"))
    if (limit := rules.max_memorized_above_floor) is not None:
        results.append(
            _result("memorization", _beyond_floor(known.get("memorized fraction")), limit, "lower")
        )
    if (limit := rules.grey_levels) is not None:
        results.append(_result("plausibility", _at_most(known.get("KS grey levels"), limit), limit, "lower"))
    of_ceiling = {
        "placement": rules.min_placement_of_ceiling,
        "detection_utility": rules.min_detection_utility_of_ceiling,
    }
    for check, least in of_ceiling.items():
        if places_tumours and least is not None:
            measure = check.replace("_", " ")
            found = _of_ceiling(known.get(measure), known.get(f"{measure} ceiling"))
            results.append(_result(check, found, least, "higher"))
    return GateResult(all(result.passed for result in results), tuple(results), places_tumours)


# A value, or the reason why there is none that a limit could be applied to.
Judged: TypeAlias = float | str


def _finite(rows: Sequence[MetricRow]) -> RuleResult:
    wrong = sum(note.startswith(NOT_FINITE) for row in rows for note in (row.note, row.floor_note))
    note = f"numbers that are not finite: {wrong}" if wrong else "all numbers are finite"
    return RuleResult("finite", RULE_MEASURES["finite"], wrong, 0, "lower", not wrong, wrong, note)


def _above_floor(row: MetricRow | None) -> Judged:
    """KID x 1000 above that between real patients."""
    if row is None or row.value is None or row.floor is None:
        return _unknown(row)
    return 1000 * (row.value - max(row.floor, 0.0))


def _beyond_floor(row: MetricRow | None) -> Judged:
    """A fraction minus that of real patients."""
    if row is None or row.value is None or row.floor is None:
        return _unknown(row)
    return row.value - row.floor


def _of_floor(row: MetricRow | None) -> Judged:
    """Coverage as a fraction of that between real patients."""
    if row is None or row.value is None or row.floor is None:
        return _unknown(row)
    if row.floor <= 0:
        return "images of two groups of real patients do not cover each other at all"
    return row.value / row.floor


def _of_ceiling(row: MetricRow | None, ceiling: MetricRow | None) -> Judged:
    """The value as a fraction of that with real images, unless real tumours are not found either."""
    if row is None or row.value is None:
        return _unknown(row)
    if ceiling is None or ceiling.value is None:
        return _unknown(ceiling)
    chance = max(one.floor or 0.0 for one in (row, ceiling))
    # A ceiling that may itself be chance says nothing about what is below it.
    least = ceiling.value if ceiling.low is None else ceiling.low
    if least <= chance:
        interval = f" ({ceiling.interval})" if ceiling.interval else ""
        found = ceiling.number(ceiling.value)
        return f"its ceiling is {found}{interval}, which may be chance ({ceiling.number(chance)})"
    return row.value / ceiling.value


def _at_most(row: MetricRow | None, limit: float) -> Judged:
    """The value, unless images of other real patients would not be allowed either."""
    if row is None or row.value is None:
        return _unknown(row)
    if row.floor is not None and row.floor > limit:
        return f"images of other real patients have {row.floor:.3g} themselves"
    return row.value


def _unknown(row: MetricRow | None) -> str:
    if row is None:
        return "it was not measured"
    return row.note if row.value is None else row.floor_note


def _result(check: str, found: Judged, limit: float, better: Literal["lower", "higher"]) -> RuleResult:
    measure = RULE_MEASURES[check]
    bound = f"at most {limit:g} is allowed" if better == "lower" else f"at least {limit:g} is required"
    if isinstance(found, str):
        note = f"{measure} is not judged: {found}; {bound}"
        return RuleResult(check, measure, None, limit, better, False, None, note)
    exceeded_by = max(found - limit if better == "lower" else limit - found, 0.0)
    note = f"{measure} is {shown(found)}, {bound}"
    return RuleResult(check, measure, found, limit, better, not exceeded_by, exceeded_by, note)


def shown(value: float) -> str:
    """Three digits, without an exponent: 841, 0.55."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
