"""Comparisons crown nobody by chance: an order is shown only where intervals are known and do not overlap."""

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.documents.blocks import Paragraph, Table, Tile
from chestgan_core.evaluation.comparison.comparison import ComparedExperiment, Comparison
from chestgan_core.evaluation.comparison.page import _best, _verdict
from chestgan_core.evaluation.comparison.tables import measures_tables
from chestgan_core.evaluation.scoring.metric_rows import (
    FloorValue,
    Measurement,
    MetricRow,
    RowContext,
    difference_shown,
)
from chestgan_core.evaluation.scoring.read_report import ReadReport
from chestgan_core.evaluation.scoring.standing import shown_better, standing
from tests.evaluation.reports import ALIEN, COUSIN, kid, near, report


def compared(*rows: MetricRow, passed: bool = True) -> Comparison:
    """e0, e1 and so on, with a row each."""
    return of(*(report(f"e{number}", row, passed=passed) for number, row in enumerate(rows)))


def of(*reports: ReadReport) -> Comparison:
    return Comparison(cast("tuple[ComparedExperiment, ...]", reports), (), {})


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
    assert [(tile.label, tile.value) for tile in tiles(comparison)] == [("best KID", "e1")]


def test_what_the_gate_refused_is_never_named_as_nearest() -> None:
    low, high, higher = near(), near(away=0.2), near(away=0.5)
    refused = report("refused", low, passed=False)
    alone = _verdict(of(refused, report("passed", high)))
    assert alone.title == "Only passed passed the release gate"
    assert alone.lines[-1] == "KID 100.0 x 1000 (refused): lower, but the release gate refused refused."
    beside = of(report("last", higher), refused, report("passed", high))
    assert _verdict(beside).title == "Nearest to held-out patients: passed"
    assert "the release gate refused refused" in _verdict(beside).lines[1]
    assert [(tile.label, tile.value) for tile in tiles(beside)] == [("best KID", "passed")]
    nobody = compared(high, low, passed=False)
    assert _verdict(nobody).title == "The release gate refused both"
    assert tiles(nobody) == ()
    tie = of(refused, report("a", high), report("b", near(away=0.21)))
    assert _verdict(tie).title == "No difference shown between a and b"
    assert "refused refused" in _verdict(tie).lines[1]


def test_a_name_is_given_where_all_extractors_have_it_first() -> None:
    a = report("a", near(), near(COUSIN), near(ALIEN))
    b = report("b", near(away=0.2), near(COUSIN, 0.2), near(ALIEN, 0.01))
    verdict = _verdict(of(b, a))
    assert verdict.title == "Nearest to held-out patients: a"
    assert "the nearest by efficientnet-lite2 and radiomics (within the intervals) too" in verdict.lines[0]
    denied = report("a", near(), near(COUSIN), near(ALIEN, 0.02))
    other = _verdict(of(b, denied))
    assert other.title == "The extractors do not agree about who is nearest to held-out patients"
    assert other.lines == (
        "efficientnet-lite0: a.",
        "efficientnet-lite2: a.",
        "radiomics: b, within the intervals.",
    )
    assert [(tile.label, tile.value) for tile in tiles(of(b, denied))] == [("KID", "extractors disagree")]
    # One that has not judged both says nothing of them.
    assert _verdict(of(b, report("a", near(), near(COUSIN)))).title == "Nearest to held-out patients: a"


def test_relatives_of_the_network_that_it_was_trained_against_do_not_name_a_generator() -> None:
    plain = report("plain", near(away=0.2), near(COUSIN, 0.2), near(ALIEN, 0.2))

    def projected(*rows: MetricRow) -> ReadReport:
        return report("projected", *rows, against="efficientnet-lite1")

    flattered = _verdict(of(plain, projected(near(), near(COUSIN))))
    assert flattered.title == "No difference shown between projected and plain"
    assert (
        "projected was trained against efficientnet-lite1, a relative of efficientnet-lite0"
        in flattered.lines[0]
    )
    within = _verdict(of(plain, projected(near(), near(COUSIN), near(ALIEN, 0.19))))
    assert within.title == "No difference shown between projected and plain"
    shown = _verdict(of(plain, projected(near(), near(COUSIN), near(ALIEN))))
    assert shown.title == "Nearest to held-out patients: projected"
    assert "it was trained against efficientnet-lite1" in shown.lines[0]
    # What a relative says against it counts.
    farther = _verdict(of(plain, projected(near(away=0.4), near(COUSIN, 0.4), near(ALIEN, 0.4))))
    assert farther.title == "Nearest to held-out patients: plain"


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
    assert [tile.value for tile in tiles(comparison)] == ["no difference shown"]


def tiles(comparison: Comparison) -> tuple[Tile, ...]:
    return tuple(tile for block in _best(comparison) for tile in block.items)


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
    comparison = of(report("asking", kid(0.3), placed), report("plain", kid(0.2)))
    of_images, about, asked = measures_tables(comparison)
    assert isinstance(of_images, Table)
    assert isinstance(asked, Table)
    assert isinstance(about, Paragraph)
    assert of_images.head[-1] == "real against real"
    assert [line[0] for line in of_images.rows] == ["KID x 1000, lower is better"]
    assert asked.head == ("measure", "asking", "plain", "floor")
    assert asked.rows == (("placement, higher is better", "70%", "none", "10%"),)


def test_other_extractors_have_a_table_of_their_own() -> None:
    rows = (near(), near(ALIEN, 0.2))
    of_first, about, others = measures_tables(of(report("both", *rows), report("first", near())))
    assert isinstance(of_first, Table)
    assert isinstance(about, Paragraph)
    assert isinstance(others, Table)
    assert [line[:2] for line in of_first.rows] == [("KID x 1000, lower is better", "100.0 (50.0 to 150.0)")]
    assert others.rows == (("KID x 1000, lower is better, by radiomics", "300.0 (250.0 to 350.0)", "none"),)


def test_places_count_who_is_shown_to_be_nearer_and_overlap_is_not_transitive() -> None:
    def wide(value: float, half: float) -> MetricRow:
        return kid(value, (value - half, value + half))

    a, b, c, d = (
        report("a", wide(0.10, 0.02)),
        report("b", wide(0.13, 0.02)),  # tied with a and with c
        report("c", wide(0.16, 0.02)),  # not with a
        report("d", wide(0.30, 0.19)),  # with nobody: its interval is as wide as all others together
    )
    places = standing([c, d, b, a])
    assert [(one.report.name, one.rank, one.tied) for one in places] == [
        ("a", 1, True), ("b", 1, True), ("d", 1, True), ("c", 2, False),
    ]  # fmt: skip


def test_what_has_no_rank_comes_last_with_the_reason() -> None:
    found = [
        report("refused", near(), passed=False),
        report("unknown", kid(0.05)),
        report("absent", replace(near(), value=None, low=None, high=None)),
        report("flattered", near(), near(COUSIN), against="efficientnet-lite1"),
        report("ranked", near(away=0.4)),
    ]
    places = {one.report.name: one for one in standing(found)}
    assert list(places) == ["ranked", "unknown", "flattered", "refused", "absent"]
    assert places["ranked"].rank == 1
    assert {name: one.why for name, one in places.items() if one.rank is None} == {
        "unknown": "the interval of its KID is not known",
        "flattered": "judged by relatives of efficientnet-lite1 alone, against which it was trained",
        "refused": "refused by the release gate",
        "absent": "KID was not measured",
    }


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(range(6)),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=6, max_size=6),
)
def test_ranks_do_not_depend_on_the_order_and_nobody_is_shown_to_be_nearer_than_a_first(
    order: list[int], values: list[tuple[int, int]]
) -> None:
    reports = [
        report(f"e{at}", kid(value / 10, ((value - half) / 10, (value + half) / 10)))
        for at, (value, half) in enumerate(values)
    ]
    places = standing(reports)
    again = standing([reports[at] for at in order])
    assert [(one.report.name, one.rank) for one in places] == [(one.report.name, one.rank) for one in again]
    assert places[0].rank == 1
    for one in places:
        beaten = [other.report.name for other in places if shown_better(other.report, one.report)]
        assert one.rank == 1 + len(beaten)
        assert places[0].report.name == one.report.name or not shown_better(one.report, places[0].report)
