"""The release gate: whether the images of a report may be published, and if not, which limits are exceeded.

In: the rows of a metric report, and the release rules of an experiment. Out: one result per rule. The gate needs no
images: when rules change, it is computed again from the stored rows (stored_report.py). A rule that cannot be judged
does not pass: who wants to publish nevertheless turns it off, and card and report say so. What is not asked for,
because there is nothing to judge or too little to judge by, neither passes nor refuses, and is named with the reason.
Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from chestgan_core.config.release_checks import RELEASE_CHECKS, TUMOUR_CHECKS
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.evaluation.scoring.metric_rows import NOT_FINITE, MetricRow, not_asked_for

if TYPE_CHECKING:
    from chestgan_core.config.experiment import Experiment

# What each rule of RELEASE_CHECKS limits.
RULE_MEASURES = {
    "finite": "numbers that are not finite",
    "distance": "KID x 1000 above its floor",
    "coverage": "coverage divided by its floor",
    "diversity": "distance between images divided by that between real ones",
    "memorization": "memorized fraction above its floor",
    "attacks": "lower end of the attack AUC",
    "plausibility": "KS grey levels",
    "placement": "placement divided by its ceiling",
    "detection_utility": "detection utility divided by its ceiling",
}
NO_TUMOURS = "this experiment places no tumours"
NO_ATTACKS = "this experiment lets nobody attack its images (evaluation.attacks)"
DIVERSITY = ("pairwise distance", "nearest other distance")


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
class NotAsked:
    """A rule that does not apply to a report. check: its name as an asset check. open: whether something stays unknown
    that would matter; False where there is nothing to judge.
    """

    check: str
    measure: str
    reason: str
    open: bool

    @property
    def note(self) -> str:
        """The same in words."""
        return f"{self.measure} is not judged: {self.reason}"


@dataclass(frozen=True)
class GateResult:
    """The results of all rules that the experiment has. passed: whether the set may be published.

    not_asked: the rules that do not apply to this report; they neither pass nor refuse.
    """

    passed: bool
    rules: tuple[RuleResult, ...]
    not_asked: tuple[NotAsked, ...] = ()

    @property
    def off(self) -> tuple[str, ...]:
        """What no rule of the experiment limits."""
        known = {rule.check for rule in self.rules} | {one.check for one in self.not_asked}
        return tuple(RULE_MEASURES[check] for check in RELEASE_CHECKS if check not in known)

    @property
    def unknown(self) -> tuple[NotAsked, ...]:
        """Rules that were not asked for although there is something to judge."""
        return tuple(one for one in self.not_asked if one.open)

    @property
    def complete(self) -> bool:
        """Whether every rule was on and could be judged, as far as there is something to judge."""
        return not self.off and not self.unknown

    def line(self) -> str:
        """Why the gate refuses, in one line; where it does not, how many rules passed, and what was not judged."""
        refused = "; ".join(rule.note for rule in self.rules if not rule.passed)
        return refused or "; ".join([self.passed_line(), *self.open_lines()])

    def open_lines(self) -> tuple[str, ...]:
        """What no rule limits, and what was not asked for, a line each; none where nothing stays open."""
        return tuple(filter(None, [self.off_line(), *(one.note for one in self.unknown)]))

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


def experiment_gate(rows: Sequence[MetricRow], experiment: "Experiment") -> GateResult:
    """The gate of an experiment for the rows of its report."""
    not_asked = {} if experiment.evaluation.attacks else {"attacks": NO_ATTACKS}
    return apply_gate(rows, experiment.release, experiment.conditions.tumour is not None, not_asked)


def apply_gate(
    rows: Sequence[MetricRow],
    rules: ReleaseRules,
    places_tumours: bool = False,
    not_asked: Mapping[str, str] | None = None,
) -> GateResult:
    """The gate for the rows of a report. A rule that cannot be judged does not pass: it is not known to be good.

    places_tumours: whether the experiment does (conditions.tumour); else the rules about tumours do not apply.
    not_asked: other checks that do not apply, with the reason. Nor do rules on a row whose note says that it is not
    asked for (metric_rows.NOT_ASKED).
    """
    known = {row.measure: row for row in reversed(rows)}  # of several extractors, the first one counts
    reasons = dict(not_asked or {}) | ({} if places_tumours else dict.fromkeys(TUMOUR_CHECKS, NO_TUMOURS))
    limits: dict[str, tuple[float | None, Literal["lower", "higher"]]] = {
        "distance": (rules.max_kid_above_floor, "lower"),
        "coverage": (rules.min_coverage_of_floor, "higher"),
        "diversity": (rules.min_diversity_of_real, "higher"),
        "memorization": (rules.max_memorized_above_floor, "lower"),
        "attacks": (rules.max_attack_auc, "lower"),
        "plausibility": (rules.grey_levels, "lower"),
        "placement": (rules.min_placement_of_ceiling, "higher"),
        "detection_utility": (rules.min_detection_utility_of_ceiling, "higher"),
    }
    results, apart = [_finite(rows)], []
    for check, (limit, better) in limits.items():
        if check in reasons:
            is_open = check not in TUMOUR_CHECKS
            apart.append(NotAsked(check, RULE_MEASURES[check], reasons[check], is_open))
        elif limit is not None:
            row = known.get(_ASKED.get(check, ""))
            if row is not None and (reason := not_asked_for(row)):
                apart.append(NotAsked(check, RULE_MEASURES[check], reason, open=True))
            else:
                results.append(_result(check, _judged(check, known, limit), limit, better))
    return GateResult(all(result.passed for result in results), tuple(results), tuple(apart))


# Checks that a row may say are not asked for.
_ASKED = {"memorization": "memorized fraction", "attacks": "attack AUC"}

# A value, or the reason why there is none that a limit could be applied to.
Judged: TypeAlias = float | str


def _finite(rows: Sequence[MetricRow]) -> RuleResult:
    wrong = sum(note.startswith(NOT_FINITE) for row in rows for note in (row.note, row.floor_note))
    note = f"numbers that are not finite: {wrong}" if wrong else "all numbers are finite"
    return RuleResult("finite", RULE_MEASURES["finite"], wrong, 0, "lower", not wrong, wrong, note)


def _judged(check: str, known: Mapping[str, MetricRow], limit: float) -> Judged:
    """What the rule of a check limits, of the rows by measure."""
    match check:
        case "distance":
            return _above_floor(known.get("KID"))
        case "coverage":
            return _of_floor(known.get("coverage"))
        case "diversity":
            return _smallest([known.get(measure) for measure in DIVERSITY])
        case "memorization":
            return _beyond_floor(known.get("memorized fraction"))
        case "attacks":
            return _at_least(known.get("attack AUC"))
        case "plausibility":
            return _at_most(known.get("KS grey levels"), limit)
    measure = check.replace("_", " ")
    return _of_ceiling(known.get(measure), known.get(f"{measure} ceiling"))


def _smallest(rows: Sequence[MetricRow | None]) -> Judged:
    """The smaller of two distances between images, each divided by that between real images. Larger is never worse:
    real slices of one patient are near copies of each other, and images need not be.
    """
    ratios = []
    for row in rows:
        if row is None or row.value is None or row.floor is None:
            return _unknown(row)
        if row.floor <= 0:
            return "real images do not differ from each other"
        ratios.append(row.value / row.floor)
    return min(ratios)


def _at_least(row: MetricRow | None) -> Judged:
    """The lower end of an interval: what an attack does at least; the value where no interval is known."""
    if row is None or row.value is None:
        return _unknown(row)
    return row.value if row.low is None else row.low


def _above_floor(row: MetricRow | None) -> Judged:
    """KID x 1000 above that between real patients."""
    if row is None or row.value is None or row.floor is None:
        return _unknown(row)
    return 1000 * (row.value - max(row.floor, 0.0))


def _beyond_floor(row: MetricRow | None) -> Judged:
    """A fraction minus that of real patients, on a scale on which that is one half.

    The floor is one half where both sides have equally many patients who are equally like others; with more patients on
    the side of the training it is larger, and copies, which have 1, are no longer far above it.
    """
    if row is None or row.value is None or row.floor is None:
        return _unknown(row)
    if row.floor >= 1:
        return "all images of other real patients are nearer to training images themselves"
    return (row.value - row.floor) / (2 * (1 - row.floor))


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
