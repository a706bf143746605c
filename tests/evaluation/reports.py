"""Reports of a few rows, for tests of what compares them."""

from types import SimpleNamespace
from typing import cast

from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement, MetricRow, RowContext
from chestgan_core.evaluation.scoring.read_report import ReadReport
from chestgan_core.evaluation.scoring.report_payload import RunReport

Ends = tuple[float, float] | None
FIRST, COUSIN, ALIEN = "efficientnet-lite0:a", "efficientnet-lite2:b", "radiomics:1"


def kid(value: float, ends: Ends = None, sd: float | None = None, extractor: str = FIRST) -> MetricRow:
    context = RowContext(extractor, (9, 9), "a split", "", 0)
    found = Measurement(value, "", sd=sd, interval=ends, floor=FloorValue(0.03, "", 9))
    (row,) = context.rows(lambda: {"KID": found})
    return row


def near(extractor: str = FIRST, away: float = 0.0) -> MetricRow:
    """A KID of 0.1, or farther away, whose interval is 0.1 wide."""
    value = 0.1 + away
    return kid(value, (value - 0.05, value + 0.05), extractor=extractor)


def report(name: str, *rows: MetricRow, passed: bool = True, against: str = "") -> ReadReport:
    network = {"family": "projected", "projection": {"features": against}} if against else {"family": "r3"}
    payload = SimpleNamespace(
        image_kind="real",
        gate=SimpleNamespace(passed=passed),
        rows=rows,
        run=SimpleNamespace(experiment={"network": network}),
        row=lambda measure: next((row for row in rows if row.measure == measure), None),
    )
    return ReadReport(name, "v", cast("RunReport", payload))
