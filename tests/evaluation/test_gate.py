"""The release gate: what is refused, by how much, and that unknown values do not pass."""

import json
import math
from dataclasses import asdict, replace

import pytest

from chestgan_core.config.experiment import Experiment
from chestgan_core.config.release_checks import RELEASE_CHECKS, TUMOUR_CHECKS
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.evaluation.pages.verdict import gate_table
from chestgan_core.evaluation.scoring.gate import apply_gate, experiment_gate
from chestgan_core.evaluation.scoring.metric_rows import (
    FloorValue,
    Measurement,
    MetricRow,
    RowContext,
)

GOOD = {
    "KID": (0.120, 0.030),
    "coverage": (0.40, 0.80),
    "pairwise distance": (36.0, 40.0),
    "nearest other distance": (9.0, 5.0),
    "memorized fraction": (0.55, 0.50),
    "attack AUC": (0.55, 0.5),
    "KS grey levels": (0.05, 0.02),
}
RULES = ReleaseRules(
    max_kid_above_floor=100, min_coverage_of_floor=0.25, max_memorized_above_floor=0.3, grey_levels=0.1
)
NO_RULES = ReleaseRules(
    max_kid_above_floor=None,
    min_coverage_of_floor=None,
    min_diversity_of_real=None,
    max_memorized_above_floor=None,
    max_attack_auc=None,
    grey_levels=None,
)
EXPERIMENT = Experiment.model_validate(
    {
        "name": "one",
        "dataset": "phantom",
        "training": {"images": 64},
        "evaluation": {"attacks": False},
        "release": RULES.model_dump(),
    }
)
CONTEXT = RowContext("pixels", (9, 9), "a split", "", 0)


def rows(**changed: tuple[float | None, float | None] | None) -> list[MetricRow]:
    """Rows of a report; a measure that is None is not in it."""
    numbers = GOOD | {name.replace("_", " "): pair for name, pair in changed.items()}
    return CONTEXT.rows(
        lambda: {
            name: Measurement(pair[0], "no extractor", floor=FloorValue(pair[1], "one patient"))
            for name, pair in numbers.items()
            if pair is not None
        }
    )


def test_a_report_that_keeps_all_rules_passes() -> None:
    gate = apply_gate(rows(), RULES)
    assert gate.passed
    assert tuple(rule.check for rule in gate.rules) == tuple(
        check for check in RELEASE_CHECKS if check not in TUMOUR_CHECKS
    )
    assert gate.line() == "7 rules passed"


TUMOURS = {
    "placement": (0.6, 0.1),
    "placement ceiling": (0.8, None),
    "detection utility": (0.3, 0.05),
    "detection utility ceiling": (0.5, 0.05),
}


def test_an_experiment_that_places_tumours_has_two_more_rules() -> None:
    gate = apply_gate(rows(**TUMOURS), RULES, places_tumours=True)
    assert gate.passed
    assert tuple(rule.check for rule in gate.rules) == tuple(RELEASE_CHECKS)
    assert [rule.value for rule in gate.rules if rule.check in TUMOUR_CHECKS] == pytest.approx([0.75, 0.6])
    assert gate.line() == "9 rules passed"


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"placement": (0.3, 0.1)}, "placement divided by its ceiling is 0.375, at least 0.5 is required"),
        ({"detection utility": (0.1, 0.05)}, "detection utility divided by its ceiling is 0.2, at least 0.5"),
        ({"placement": (None, None)}, "placement divided by its ceiling is not judged: no extractor; at least"),
        ({"placement ceiling": (None, None)}, "its ceiling is not judged: no extractor; at least 0.5"),
        ({"placement ceiling": None}, "its ceiling is not judged: it was not measured; at least 0.5"),
        ({"placement ceiling": (0.1, None)}, "not judged: its ceiling is 10%, which may be chance (10%)"),
        ({"detection utility ceiling": (0.0, 0.0)}, "its ceiling is 0.00, which may be chance (0.05)"),
    ],
)  # fmt: skip
def test_tumours_that_are_misplaced_teach_nothing_or_cannot_be_judged_are_refused(
    changed: dict[str, tuple[float | None, float | None] | None], note: str
) -> None:
    gate = apply_gate(rows(**{**TUMOURS, **changed}), RULES, places_tumours=True)
    assert not gate.passed
    assert note in gate.line()
    assert sum(not rule.passed for rule in gate.rules) == 1


def test_rules_about_tumours_say_nothing_of_an_experiment_that_places_none() -> None:
    gate = apply_gate(rows(**TUMOURS), RULES)
    assert not {rule.check for rule in gate.rules} & set(TUMOUR_CHECKS)
    assert gate.off == ()
    off = RULES.model_copy(
        update={"min_placement_of_ceiling": None, "min_detection_utility_of_ceiling": None}
    )
    assert apply_gate(rows(), off).off == ()
    assert apply_gate(rows(**TUMOURS), off, places_tumours=True).off == (
        "placement divided by its ceiling",
        "detection utility divided by its ceiling",
    )


@pytest.mark.parametrize(
    ("measure", "numbers", "check", "by", "note"),
    [
        ("KID", (0.180, 0.030), "distance", 50, "KID x 1000 above its floor is 150, at most 100 is allowed"),
        ("coverage", (0.10, 0.80), "coverage", 0.125, "coverage divided by its floor is 0.125, at least 0.25"),
        ("pairwise distance", (20.0, 40.0), "diversity", 0.2, "between real ones is 0.5, at least 0.7 is required"),
        ("nearest other distance", (1.0, 5.0), "diversity", 0.5, "between real ones is 0.2, at least 0.7"),
        ("memorized fraction", (0.9, 0.5), "memorization", 0.1, "above its floor is 0.4, at most 0.3 is allowed"),
        ("attack AUC", (0.75, 0.5), "attacks", 0.15, "lower end of the attack AUC is 0.75, at most 0.6 is allowed"),
        ("KS grey levels", (0.35, 0.02), "plausibility", 0.25, "KS grey levels is 0.35, at most 0.1 is allowed"),
    ],
)  # fmt: skip
def test_a_failed_rule_says_by_how_much(
    measure: str, numbers: tuple[float, float], check: str, by: float, note: str
) -> None:
    gate = apply_gate(rows(**{measure: numbers}), RULES)
    assert [rule.check for rule in gate.rules if not rule.passed] == [check]
    assert next(rule.exceeded_by for rule in gate.rules if not rule.passed) == pytest.approx(by)
    assert note in gate.line()
    assert gate.as_json()["passed"] is False


@pytest.mark.parametrize("numbers", [(None, None), (0.1, None)])
def test_what_was_not_measured_is_not_known_to_be_good(numbers: tuple[float | None, float | None]) -> None:
    gate = apply_gate(rows(KID=numbers), RULES)
    assert not gate.passed
    why = "no extractor" if numbers[0] is None else "one patient"
    assert gate.line() == f"KID x 1000 above its floor is not judged: {why}; at most 100 is allowed"
    assert [rule.state for rule in gate.rules].count("not judged") == 1


def test_a_number_that_is_not_finite_is_refused_even_without_rules() -> None:
    assert apply_gate(rows(KID=(None, None), coverage=None), NO_RULES).passed
    broken = CONTEXT.rows(
        lambda: {"KID": Measurement(math.nan, "a note", interval=(0, 1), floor=FloorValue(0.03, "", 9))}
    )
    json.dumps([asdict(row) for row in broken], allow_nan=False)
    assert (broken[0].value, broken[0].low, broken[0].floor) == (None, None, 0.03)
    gate = apply_gate(broken, NO_RULES)
    assert not gate.passed
    assert gate.line() == "numbers that are not finite: 1"


def test_a_floor_below_zero_counts_as_zero() -> None:
    assert apply_gate(rows(KID=(0.1, -0.003)), RULES).passed
    assert not apply_gate(rows(KID=(0.101, -0.003)), RULES).passed


@pytest.mark.parametrize("measure", list(GOOD))
def test_a_report_that_lacks_a_measure_is_refused(measure: str) -> None:
    gate = apply_gate(rows(**{measure: None}), RULES)
    assert "is not judged: it was not measured; at " in gate.line()


@pytest.mark.parametrize(
    ("measure", "numbers", "why"),
    [
        ("coverage", (0.0, 0.0), "two groups of real patients do not cover each other at all"),
        ("memorized fraction", (1.0, 1.0), "all images of other real patients are nearer to training images"),
        ("nearest other distance", (0.5, 0.0), "real images do not differ from each other"),
        ("KS grey levels", (0.05, 0.2), "images of other real patients have 0.2 themselves"),
    ],
)
def test_a_limit_that_real_patients_exceed_judges_nothing_and_lets_nothing_pass(
    measure: str, numbers: tuple[float, float], why: str
) -> None:
    gate = apply_gate(rows(**{measure: numbers}), RULES)
    assert not gate.passed
    (rule,) = [rule for rule in gate.rules if not rule.passed]
    assert (rule.state, rule.value, rule.exceeded_by) == ("not judged", None, None)
    assert why in gate.line()


def test_a_rule_that_is_off_is_named_and_never_counts_as_passed() -> None:
    gate = apply_gate(rows(), NO_RULES.model_copy(update={"grey_levels": 0.1}))
    assert gate.passed
    assert gate.passed_line() == "2 rules passed"
    assert gate.off == (
        "KID x 1000 above its floor",
        "coverage divided by its floor",
        "distance between images divided by that between real ones",
        "memorized fraction above its floor",
        "lower end of the attack AUC",
    )
    assert gate.line() == f"2 rules passed; no rule for {', '.join(gate.off)}"
    lines = gate_table(gate).rows
    judged = ["passed", "passed", *["no rule"] * 5]
    assert [line[-1] for line in lines[:7]] == judged
    assert all(line[-1] == "not judged: this experiment places no tumours" for line in lines[7:])
    assert not gate.complete


def noted(measure: str, note: str, low: float | None = None, value: float | None = 0.9) -> list[MetricRow]:
    """Rows of a good report in which that of a measure has this note, and an interval from `low` on."""
    return [
        replace(row, value=value, note=note, low=low, high=None if low is None else 1.0)
        if row.measure == measure
        else row
        for row in rows()
    ]


FEW = "not asked for: of 2 held-out patients, fewer than 5, it is chance; 95 % over patients"


@pytest.mark.parametrize(
    ("measure", "check"), [("memorized fraction", "memorization"), ("attack AUC", "attacks")]
)
@pytest.mark.parametrize("value", [None, 0.99])
def test_what_a_row_does_not_ask_for_neither_passes_nor_refuses_and_is_named(
    measure: str, check: str, value: float | None
) -> None:
    gate = apply_gate(noted(measure, FEW, value=value), RULES)
    assert gate.passed
    assert not gate.complete
    assert check not in {rule.check for rule in gate.rules}
    (one,) = gate.unknown
    assert (one.check, one.reason) == (check, "of 2 held-out patients, fewer than 5, it is chance")
    assert gate.off == ()
    assert gate.line().startswith("6 rules passed; ")
    assert gate.line().endswith("is not judged: of 2 held-out patients, fewer than 5, it is chance")
    (line,) = [line for line in gate_table(gate).rows if "chance" in line[-1]]
    assert line[1:] == ("", "none", "not judged: of 2 held-out patients, fewer than 5, it is chance")
    # A rule that is off is off, whatever the row says.
    off = RULES.model_copy(update={"max_memorized_above_floor": None, "max_attack_auc": None})
    assert apply_gate(noted(measure, FEW), off).unknown == ()


def test_the_whole_gate_is_complete_without_tumours_and_not_without_attacks() -> None:
    assert apply_gate(rows(), RULES).complete
    without = experiment_gate(rows(attack_AUC=None), EXPERIMENT)
    assert without.passed
    assert not without.complete
    assert "attacks" in {one.check for one in without.unknown}
    asked = EXPERIMENT.model_copy(
        update={"evaluation": EXPERIMENT.evaluation.model_copy(update={"attacks": True})}
    )
    assert experiment_gate(rows(attack_AUC=None), asked).line() == (
        "lower end of the attack AUC is not judged: it was not measured; at most 0.6 is allowed"
    )


def test_an_attack_is_judged_by_the_lower_end_of_its_interval() -> None:
    assert apply_gate(noted("attack AUC", "a note", low=0.55), RULES).passed
    gate = apply_gate(noted("attack AUC", "a note", low=0.7), RULES)
    assert [rule.check for rule in gate.rules if not rule.passed] == ["attacks"]


@pytest.mark.parametrize("floor", [0.2, 0.5, 0.75, 0.95])
def test_copies_are_refused_and_images_like_others_are_not_whatever_the_floor(floor: float) -> None:
    copies, like_others = (
        apply_gate(rows(memorized_fraction=(value, floor)), RULES) for value in (1.0, floor + 0.02)
    )
    assert [rule.check for rule in copies.rules if not rule.passed] == ["memorization"]
    assert next(rule.value for rule in copies.rules if rule.check == "memorization") == pytest.approx(0.5)
    assert like_others.passed


def test_images_may_differ_more_than_real_slices_do() -> None:
    gate = apply_gate(rows(pairwise_distance=(80.0, 40.0), nearest_other_distance=(50.0, 5.0)), RULES)
    assert gate.passed
    assert next(rule.value for rule in gate.rules if rule.check == "diversity") == 2


def test_the_first_extractor_is_judged_even_where_it_measured_nothing() -> None:
    absent = CONTEXT.rows(lambda: {"KID": Measurement(None, "no weights")})
    gate = apply_gate([*absent, *rows()], RULES)
    assert gate.line() == "KID x 1000 above its floor is not judged: no weights; at most 100 is allowed"
