"""The release gate as asset checks: green only where a rule judged and passed."""

from dataclasses import replace

import dagster as dg

from chestgan_assets.assets.evaluation import _rule_checks
from chestgan_core.config.release_checks import RELEASE_CHECKS, TUMOUR_CHECKS
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.evaluation.scoring.gate import apply_gate
from chestgan_core.evaluation.scoring.metric_rows import NOT_ASKED, FloorValue, Measurement, RowContext

ROWS = RowContext("pixels", (9, 9), "a split", "", 0).rows(
    lambda: {
        name: Measurement(value, "a note", floor=FloorValue(floor, "a floor", 9))
        for name, value, floor in (
            ("KID", 0.1, 0.05),
            ("coverage", 0.4, 0.8),
            ("pairwise distance", 30.0, 40.0),
            ("nearest other distance", 9.0, 5.0),
            ("memorized fraction", 0.5, 0.5),
            ("attack AUC", 0.5, 0.5),
            ("KS grey levels", 0.05, 0.02),
            ("placement", 0.7, 0.1),
            ("placement ceiling", 0.8, None),
            ("detection utility", 0.1, 0.0),
            ("detection utility ceiling", 0.5, 0.0),
        )
    }
)


def checks(rules: ReleaseRules, places_tumours: bool) -> dict[str, dg.AssetCheckResult]:
    found = {str(one.check_name): one for one in _rule_checks(apply_gate(ROWS, rules, places_tumours))}
    assert list(found) == list(RELEASE_CHECKS)
    return found


def test_rules_about_tumours_are_a_warning_and_never_green_where_none_is_placed() -> None:
    found = checks(ReleaseRules(), places_tumours=False)
    for name in TUMOUR_CHECKS:
        assert (found[name].passed, found[name].severity) == (False, dg.AssetCheckSeverity.WARN)
        assert found[name].description == "Not judged: this experiment places no tumours."
    assert all(found[name].passed for name in RELEASE_CHECKS if name not in TUMOUR_CHECKS)


def test_a_set_that_teaches_no_detector_is_blocked() -> None:
    found = checks(ReleaseRules(), places_tumours=True)
    assert found["placement"].passed
    blocked = found["detection_utility"]
    assert (blocked.passed, blocked.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert blocked.description == (
        "Detection utility divided by its ceiling is 0.2, at least 0.5 is required."
    )


def test_a_rule_about_tumours_that_is_off_is_called_so() -> None:
    off = ReleaseRules(min_placement_of_ceiling=None)
    found = checks(off, places_tumours=True)["placement"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == (
        "No rule: the experiment publishes whatever placement divided by its ceiling is."
    )


def test_a_rule_that_a_row_does_not_ask_for_is_a_warning_with_the_reason_and_blocks_nothing() -> None:
    note = f"{NOT_ASKED}of 2 held-out patients, fewer than 5, it is chance; a note"
    rows = [replace(row, note=note) if row.measure == "memorized fraction" else row for row in ROWS]
    gate = apply_gate(rows, ReleaseRules(), not_asked={"attacks": "nobody attacks"})
    found = {str(one.check_name): one for one in _rule_checks(gate)}
    for name, said in (
        ("memorization", "Not judged: of 2 held-out patients, fewer than 5, it is chance."),
        ("attacks", "Not judged: nobody attacks."),
    ):
        assert (found[name].passed, found[name].severity) == (False, dg.AssetCheckSeverity.WARN)
        assert found[name].description == said
    assert gate.passed
