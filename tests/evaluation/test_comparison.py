"""Comparisons crown nobody by chance: an order is shown only where intervals are known and do not overlap."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from chestgan_core.documents.blocks import Paragraph, Table
from chestgan_core.evaluation.comparison.comparison import Comparison
from chestgan_core.evaluation.comparison.page import _best, _verdict
from chestgan_core.evaluation.comparison.tables import measures_tables
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


def test_detectors_of_different_budgets_show_no_difference() -> None:
    def utility(budget: int, value: float) -> MetricRow:
        context = RowContext(f"tumour-detector:1:{budget}", (9, 9), "a split", "", 0)
        (row,) = context.rows(
            lambda: {"detection utility": Measurement(value, "", interval=(value - 0.01, value))}
        )
        return row

    assert difference_shown(utility(6400, 0.9), utility(6400, 0.1))
    assert not difference_shown(utility(6400, 0.9), utility(24000, 0.1))


def test_what_was_asked_of_images_has_a_table_of_its_own_without_a_floor_of_patients() -> None:
    context = RowContext("pixels", (9, 9), "a split", "", 0)
    (placed,) = context.rows(lambda: {"placement": Measurement(0.7, "", floor=FloorValue(0.1, "chance", 9))})
    rows = {"KID": kid(0.3), "placement": placed}
    conditional, plain = (
        SimpleNamespace(
            name=name, payload=SimpleNamespace(image_kind="real", rows=tuple(some.values())), row=some.get
        )
        for name, some in (("asking", rows), ("plain", {"KID": kid(0.2)}))
    )
    comparison = cast("Comparison", Comparison((conditional, plain), (), {}))  # type: ignore[arg-type]
    of_images, about, asked = measures_tables(comparison)
    assert isinstance(of_images, Table)
    assert isinstance(asked, Table)
    assert isinstance(about, Paragraph)
    assert of_images.head[-1] == "real against real"
    assert [line[0] for line in of_images.rows] == ["KID x 1000, lower is better"]
    assert asked.head == ("measure", "asking", "plain", "floor")
    assert asked.rows == (("placement, higher is better", "70%", "none", "10%"),)
