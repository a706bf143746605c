"""The release gate: what is refused, by how much, and what cannot be known is not let through."""

import json
import math
from dataclasses import asdict
from typing import Any

import pytest

from chestgan_core.config.experiment import ReleaseRules
from chestgan_core.evaluation.scoring.gate import CHECKS, judge
from chestgan_core.evaluation.scoring.metric_rows import Found, Measured, Under

GOOD = {
    "KID": (0.120, 0.030),
    "coverage": (0.40, 0.80),
    "memorized share": (0.55, 0.50),
    "KS grey levels": (0.05, 0.02),
}
RULES = ReleaseRules(
    max_kid_above_floor=100, min_coverage_of_floor=0.25, max_memorized_fraction=0.8, grey_levels=0.1
)


def rows(**changed: tuple[float | None, float | None] | None) -> list[dict[str, Any]]:
    """Rows of a report; a measure that is None is not in it."""
    told = {**GOOD, **{name.replace("_", " "): found for name, found in changed.items()}}
    return [
        {
            "measure": name,
            "value": found[0],
            "floor": found[1],
            "note": "no extractor",
            "floor_note": "one patient",
        }
        for name, found in told.items()
        if found is not None
    ]


def test_a_report_that_keeps_all_rules_passes() -> None:
    gate = judge(rows(), RULES)
    assert gate.passed
    assert tuple(rule.check for rule in gate.rules) == CHECKS
    assert gate.line() == "all rules are kept"


@pytest.mark.parametrize(
    ("measure", "found", "check", "by", "said"),
    [
        ("KID", (0.180, 0.030), "distance", 50, "KID x 1000 above its floor is 150, at most 100 is asked: 50 too much"),
        ("coverage", (0.10, 0.80), "coverage", 0.125, "coverage, of its floor is 0.125, at least 0.25 is asked"),
        ("memorized share", (0.9, 0.5), "memorization", 0.1, "share is 0.9, at most 0.8 is asked: 0.1 too much"),
        ("KS grey levels", (0.35, 0.02), "plausibility", 0.25, "KS grey levels is 0.35, at most 0.1 is asked"),
    ],
)  # fmt: skip
def test_what_falls_short_is_told_with_how_much(
    measure: str, found: tuple[float, float], check: str, by: float, said: str
) -> None:
    gate = judge(rows(**{measure: found}), RULES)
    assert [rule.check for rule in gate.rules if not rule.passed] == [check]
    assert next(rule.by for rule in gate.rules if not rule.passed) == pytest.approx(by)
    assert said in gate.line()
    assert gate.as_json()["passed"] is False


@pytest.mark.parametrize("found", [(None, None), (0.1, None)])
def test_what_was_not_measured_is_not_known_to_be_good(found: tuple[float | None, float | None]) -> None:
    gate = judge(rows(KID=found), RULES)
    assert not gate.passed
    why = "no extractor" if found[0] is None else "one patient"
    assert gate.line() == f"KID x 1000 above its floor was not measured ({why}); at most 100 is asked"


def test_a_number_that_is_not_finite_is_refused_even_without_rules() -> None:
    none = ReleaseRules(
        max_kid_above_floor=None, min_coverage_of_floor=None, max_memorized_fraction=None, grey_levels=None
    )
    assert judge(rows(KID=(None, None), coverage=None), none).passed
    measured = Measured("pixels", (9, 9), "a split", "", 0)
    broken = measured.rows(
        lambda: {"KID": Found(math.nan, "a note", interval=(0, 1), floor=Under(0.03, "", 9))}
    )
    told = [json.loads(json.dumps(asdict(row), allow_nan=False)) for row in broken]
    assert (told[0]["value"], told[0]["low"], told[0]["floor"]) == (None, None, 0.03)
    gate = judge(told, none)
    assert not gate.passed
    assert gate.line() == "numbers that are not finite: 1"


def test_a_floor_below_zero_counts_as_zero_and_one_of_no_coverage_asks_for_none() -> None:
    assert judge(rows(KID=(0.1, -0.003), coverage=(0.0, 0.0)), RULES).passed
    assert not judge(rows(KID=(0.101, -0.003)), RULES).passed


@pytest.mark.parametrize("measure", list(GOOD))
def test_a_measure_that_the_report_has_not_is_refused(measure: str) -> None:
    gate = judge(rows(**{measure: None}), RULES)
    assert "was not measured; at" in gate.line()
