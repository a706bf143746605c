"""The words of a month beside earlier ones: nearer is what is shown, by no extractor denied, and not refused."""

from dataclasses import replace

import pytest

from chestgan_core.evaluation.monthly.month import MonthReport
from chestgan_core.evaluation.monthly.page import OUTCOMES, _outcome
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.read_report import ReadReport
from tests.evaluation.reports import ALIEN, COUSIN, near, report

NEARER, REFUSED, DENIED, FARTHER, NO_DIFFERENCE, FIRST, UNLIKE, UNMEASURED = OUTCOMES


def outcome(now: ReadReport, before: ReadReport | None, *reasons: str) -> str:
    return _outcome(MonthReport(now, "2026-02-01", before, "2026-01-01", reasons, b""))


def then(*rows: MetricRow) -> ReadReport:
    return report("e", *(rows or (near(away=0.2),)))


def test_a_month_says_nearer_only_beyond_the_intervals_and_of_nothing_that_was_refused() -> None:
    assert outcome(report("e", near()), then()) == NEARER
    assert outcome(report("e", near(away=0.15)), then()) == NO_DIFFERENCE
    assert outcome(report("e", near(), passed=False), then()) == REFUSED
    assert outcome(report("e", near(away=0.5), passed=False), then()) == FARTHER
    assert outcome(report("e", near()), None) == FIRST
    assert outcome(report("e", near()), then(), "The resolution is not the same") == UNLIKE
    absent = replace(near(), value=None, low=None, high=None)
    assert outcome(report("e", absent), then()) == UNMEASURED


@pytest.mark.parametrize(
    ("away", "against", "expected"),
    [
        (0.0, "", NEARER),
        (0.19, "", NEARER),  # within the intervals of the other extractor, which does not deny it
        (0.21, "", DENIED),
        (0.0, "efficientnet-lite1", NEARER),
        (0.19, "efficientnet-lite1", NO_DIFFERENCE),  # relatives alone say so
    ],
)
def test_a_month_says_where_extractors_do_not_agree(away: float, against: str, expected: str) -> None:
    before = then(near(away=0.2), near(COUSIN, 0.2), near(ALIEN, 0.2))
    assert outcome(report("e", near(), near(COUSIN), near(ALIEN, away), against=against), before) == expected
