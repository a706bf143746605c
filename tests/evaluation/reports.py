"""Reports of a few rows, for tests of what compares them: as they are in memory, or whole and in a store."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import torch

from chestgan_core.evaluation.pages.figures import COLUMNS, GAP, SYNTHETIC_GRID
from chestgan_core.evaluation.scoring.gate import GateResult, RuleResult
from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement, MetricRow, RowContext
from chestgan_core.evaluation.scoring.provenance import DataFacts, RunFacts
from chestgan_core.evaluation.scoring.read_report import ReadReport
from chestgan_core.evaluation.scoring.report_payload import RunReport
from chestgan_core.imaging.pictures import image_grid, png_of
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json
from chestgan_core.store.store import Store

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


FAILED = RuleResult(
    "distance",
    "KID x 1000 above its floor",
    841.0,
    300.0,
    "lower",
    False,
    541.0,
    "KID is 841, at most 300 is allowed",
)
UNJUDGED = RuleResult(
    "coverage", "coverage", None, 0.1, "higher", False, None, "coverage is not judged: no floor"
)


def whole(name: str, *rows: MetricRow, gate: GateResult | None = None, against: str = "") -> RunReport:
    """A report as report.json has it, of 32 pixels."""
    network: dict[str, object] = {"family": "dcgan"}
    if against:
        network = {"family": "projected", "projection": {"features": against}}
    experiment = {"name": name, "description": "", "classes": [], "network": network}
    return RunReport(
        source_title="Phantoms",
        image_kind="phantom",
        model_title=name,
        window=WINDOWS["lung"],
        resolution=32,
        patients_real=6,
        rows=tuple(replace(row, snapshot="s1") for row in rows),
        extractors=(),
        provenance={},
        gate=gate or GateResult(True, ()),
        data=DataFacts("phantom", "Phantoms", "none", "", "", "s1", {"train": 6}, {"train": 60}, {}),
        run=RunFacts(experiment, f"run-{name}", 64_000, 7_200.0, 0, "cpu", "fp32", None, None),
    )


def commit_report(store: Store, report: RunReport, version: str = "v1", data: bytes | None = None) -> str:
    """Make it the newest of its experiment; returns the key of its manifest. data: in place of report.json."""
    name, run = report.run.experiment["name"], report.run.run
    noise = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(len(name))) * 2 - 1
    files = {
        "report.json": canonical_json(report.as_json()) if data is None else data,
        f"figures/{SYNTHETIC_GRID}": png_of(image_grid(noise, COLUMNS, gap=GAP)),
    }
    key = keys.report_manifest(name, run, version)
    store.commit(key, files, {"kind": "metric-report"})
    store.update_pointer(keys.report_latest(name), {"run": run, "version": version})
    return key
