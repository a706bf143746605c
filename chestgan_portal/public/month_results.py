"""The reports of months as the page of results shows them."""

from dataclasses import dataclass, field

from chestgan_core.evaluation.scoring.gate import GateResult
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.local.json_text import parse_json
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN, folder_of, parse_typed
from chestgan_core.store.store import Store
from chestgan_portal.public.newest import names_below, readable


@dataclass(frozen=True)
class _MonthRun:
    experiment: str
    day: str
    run: str


@dataclass(frozen=True)
class MonthLine:
    """The newest report of an experiment in the month. reasons: why it is not comparable with the one before."""

    experiment: str
    version: str
    day: str
    rows: list[MetricRow]
    before: str | None
    before_day: str
    reasons: list[str]

    def row(self, measure: str) -> MetricRow | None:
        """The first row of a measure."""
        return next((row for row in self.rows if row.measure == measure), None)


@dataclass(frozen=True)
class _MonthGate:
    experiment: str
    version: str
    day: str
    gate: GateResult


@dataclass(frozen=True)
class _MonthSet:
    name: str
    version: str
    day: str


@dataclass(frozen=True)
class MonthData:
    """month.json; see chestgan_core/evaluation/monthly/month.py."""

    month: str
    counts: dict[str, int]
    counts_before: dict[str, int]
    runs: list[_MonthRun] = field(default_factory=list)
    reports: list[MonthLine] = field(default_factory=list)
    gates: list[_MonthGate] = field(default_factory=list)
    sets: list[_MonthSet] = field(default_factory=list)


@dataclass(frozen=True)
class ShownMonth:
    """picture: address of its chart, or empty."""

    data: MonthData
    folder: str
    picture: str


def months(store: Store) -> list[str]:
    """The months that have a report, the newest first."""
    return sorted(names_below(store, "reports-monthly/"), reverse=True)


def month(store: Store, name: str) -> ShownMonth | None:
    """The report of a month, YYYY-MM; None where there is none that can be read."""
    return next(iter(readable([name], lambda name: _month(store, name))), None)


def _month(store: Store, name: str) -> ShownMonth:
    (version,) = store.read_pointer(keys.month_latest(name), "version")
    artefact = store.read_manifest(keys.month_manifest(name, version))
    where = store.uri(artefact.manifest_key)
    data = parse_typed(
        MonthData,
        parse_json(store.read(artefact, "month.json"), where, AGAIN),
        where,
        what="the report of a month",
    )
    folder = folder_of(artefact.manifest_key).rstrip("/")
    drawn = any(artefact.name(item) == "month.png" for item in artefact.objects)
    return ShownMonth(data, folder, f"/files/{folder}/month.png" if drawn else "")
