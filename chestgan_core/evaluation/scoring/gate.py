"""The release gate: whether what a report scored may be published, and if not, what falls short by how much.

In: the rows of a metric report as plain data, and the release rules of an experiment. Out: a verdict a rule. It is
computed from the stored rows whenever somebody asks, so that rules which were changed since hold at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from chestgan_core.config.experiment import ReleaseRules
from chestgan_core.evaluation.scoring.metric_rows import NOT_FINITE

Row = Mapping[str, Any]
# The rules by the names of their asset checks.
CHECKS = ("finite", "distance", "coverage", "memorization", "plausibility")


@dataclass(frozen=True)
class Verdict:
    """What one rule says. check: its name as an asset check. value: as the rule looks at it, None where it was not
    measured. bound: what it must keep; by: how far it is beyond, 0 where it passed. note: in words.
    """

    check: str
    measure: str
    value: float | None
    bound: float
    better: Literal["lower", "higher"]
    passed: bool
    by: float | None
    note: str


@dataclass(frozen=True)
class Gate:
    """All verdicts, of the rules that the experiment has."""

    rules: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether the set may be published."""
        return all(rule.passed for rule in self.rules)

    def line(self) -> str:
        """Which measures fall short, and by how much; or that none does."""
        return "; ".join(rule.note for rule in self.rules if not rule.passed) or "all rules are kept"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"passed": self.passed, "rules": [asdict(rule) for rule in self.rules]}


def judge(rows: Sequence[Row], rules: ReleaseRules) -> Gate:
    """The verdicts on the rows of a report. A measure that a rule asks for and that is None fails: what was not
    measured is not known to be good.
    """
    found = {row["measure"]: row for row in reversed(rows)}  # of several extractors the first one counts
    verdicts = [_finite(rows)]
    if rules.max_kid_above_floor is not None:
        row = found.get("KID")
        value = None if row is None else _above_floor(row)
        verdicts.append(
            _at_most("distance", "KID x 1000 above its floor", value, rules.max_kid_above_floor, row)
        )
    if rules.min_coverage_of_floor is not None:
        row = found.get("coverage")
        value = None if row is None else _of_floor(row)
        verdicts.append(
            _at_least("coverage", "coverage, of its floor", value, rules.min_coverage_of_floor, row)
        )
    if rules.max_memorized_fraction is not None:
        row = found.get("memorized share")
        value = None if row is None else row["value"]
        verdicts.append(_at_most("memorization", "memorized share", value, rules.max_memorized_fraction, row))
    if rules.grey_levels is not None:
        row = found.get("KS grey levels")
        value = None if row is None else row["value"]
        verdicts.append(_at_most("plausibility", "KS grey levels", value, rules.grey_levels, row))
    return Gate(tuple(verdicts))


def _finite(rows: Sequence[Row]) -> Verdict:
    wrong = sum(row[name].startswith(NOT_FINITE) for row in rows for name in ("note", "floor_note"))
    note = f"numbers that are not finite: {wrong}" if wrong else "all numbers are finite"
    return Verdict("finite", "numbers that are not finite", wrong, 0, "lower", not wrong, wrong, note)


def _above_floor(row: Row) -> float | None:
    """KID x 1000 above that between real patients."""
    value, floor = row["value"], row["floor"]
    return None if value is None or floor is None else 1000 * (value - max(floor, 0.0))


def _of_floor(row: Row) -> float | None:
    """Coverage as a share of that between real patients; all of it where that is none: nothing can be asked then."""
    value, floor = row["value"], row["floor"]
    if value is None or floor is None:
        return None
    return 1.0 if floor <= 0 else float(value / floor)


def _at_most(check: str, measure: str, value: float | None, bound: float, row: Row | None) -> Verdict:
    return _verdict(check, measure, value, bound, "lower", row)


def _at_least(check: str, measure: str, value: float | None, bound: float, row: Row | None) -> Verdict:
    return _verdict(check, measure, value, bound, "higher", row)


def _verdict(
    check: str,
    measure: str,
    value: float | None,
    bound: float,
    better: Literal["lower", "higher"],
    row: Row | None,
) -> Verdict:
    asked = f"at {'most' if better == 'lower' else 'least'} {bound:g} is asked"
    if value is None:
        why = "" if row is None else f" ({row['floor_note'] if row['value'] is not None else row['note']})"
        return Verdict(
            check, measure, None, bound, better, False, None, f"{measure} was not measured{why}; {asked}"
        )
    by = max(value - bound if better == "lower" else bound - value, 0.0)
    beyond = f": {by:.3g} too {'much' if better == 'lower' else 'little'}" if by else ""
    return Verdict(
        check, measure, value, bound, better, not by, by, f"{measure} is {value:.3g}, {asked}{beyond}"
    )
