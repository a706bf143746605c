"""Comparisons crown nobody by chance: an order is shown only where intervals are known and do not overlap."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from chestgan_core.evaluation.comparison.comparison import Comparison
from chestgan_core.evaluation.comparison.page import _best, _verdict
from chestgan_core.evaluation.scoring.metric_rows import (
    FloorValue,
    Measurement,
    MetricRow,
    RowContext,
    difference_shown,
)

Ends = tuple[float, float] | None


def kid(value: float, ends: Ends = None, sd: float | None = None) -> MetricRow:
    context = RowContext("an extractor", (9, 9), "a split", "", 0)
    found = Measurement(value, "", sd=sd, interval=ends, floor=FloorValue(0.03, "", 9))
    (row,) = context.rows(lambda: {"KID": found})
    return row


def compared(*rows: MetricRow, passed: bool = True) -> Comparison:
    experiments = tuple(
        SimpleNamespace(
            name=f"e{number}",
            payload=SimpleNamespace(image_kind="real", gate=SimpleNamespace(passed=passed)),
            row=lambda measure, row=row: row if measure == "KID" else None,
        )
        for number, row in enumerate(rows)
    )
    return cast("Comparison", Comparison(experiments, (), {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (kid(0.1, (0.05, 0.15)), kid(0.3, (0.25, 0.35)), True),
        (kid(0.3, (0.25, 0.35)), kid(0.1, (0.05, 0.15)), True),
        (kid(0.1, (0.05, 0.26)), kid(0.3, (0.25, 0.35)), False),
        (kid(0.1, sd=0.01), kid(0.3, sd=0.01), True),
        (kid(0.1, sd=0.06), kid(0.3, sd=0.06), False),
        (kid(0.1), kid(0.3), False),  # nothing says how much is chance
        (kid(0.1, (0.05, 0.15)), kid(0.3), False),
        (kid(0.1, (0.1, 0.1)), kid(0.1, (0.1, 0.1)), False),
    ],
)
def test_a_difference_is_shown_where_intervals_are_known_and_apart(
    one: MetricRow, other: MetricRow, shown: bool
) -> None:
    assert difference_shown(one, other) is shown


def test_the_nearest_is_named_where_no_other_interval_overlaps_with_its_own() -> None:
    comparison = compared(kid(0.3, (0.25, 0.35)), kid(0.1, (0.05, 0.15)))
    assert _verdict(comparison).title == "Nearest to held-out patients: e1"
    (tile,) = _best(comparison).items
    assert (tile.label, tile.value) == ("best KID", "e1")
    refused = compared(kid(0.3, (0.25, 0.35)), kid(0.1, (0.05, 0.15)), passed=False)
    assert "gate refused it" in _verdict(refused).lines[1]


@pytest.mark.parametrize(
    "rows",
    [
        (kid(0.12, (0.05, 0.15)), kid(0.1, (0.04, 0.15)), kid(0.9, (0.8, 1.0))),
        (kid(0.12), kid(0.1), kid(0.1)),
        (kid(0.1, (0.1, 0.1)), kid(0.1, (0.1, 0.1)), kid(0.9, (0.8, 1.0))),
    ],
)
def test_ties_and_chance_crown_nobody(rows: tuple[MetricRow, ...]) -> None:
    comparison = compared(*rows)
    title = _verdict(comparison).title
    assert title.startswith("No difference shown between ")
    assert "e0" in title
    assert "e1" in title
    assert ("e2" in title) == (rows[2].ends is None)
    (tile,) = _best(comparison).items
    assert tile.value == "no difference shown"


def test_one_value_has_no_rank() -> None:
    comparison = compared(kid(0.1, (0.05, 0.15)), replace(kid(0.2), value=None, low=None, high=None))
    assert _verdict(comparison).title == "Only e0 has a KID"
