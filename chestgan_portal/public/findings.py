"""What the page of results shows: comparisons, studies, months, reports and reader studies, as they are in the store.

In: the store. Out: typed data with the addresses of the charts that belong to it. What cannot be read is left out and
logged: one damaged report does not take the page away.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.scoring.gate import GateResult
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.read_report import ReadReport, newest_report, read_report
from chestgan_core.evaluation.scoring.report_payload import RunReport
from chestgan_core.local.parquet import read_parquet
from chestgan_core.reading.analysis.result import StudyResult
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN, Artefact, folder_of, parse_json, parse_typed
from chestgan_core.store.store import Store

Found = TypeVar("Found")
MAX_TRIALS = 200  # rows of a study's table
READING_CHARTS = ("confusion", "roc", "ratings")  # of all readers together
_MAX_TABLE = 16 * 2**20  # bytes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compared:
    """One experiment of a comparison."""

    experiment: str
    version: str
    report: RunReport


@dataclass(frozen=True)
class _ComparisonData:
    comparable: bool
    reasons: list[str]
    settings: dict[str, list[str]]
    experiments: list[Compared]


@dataclass(frozen=True)
class ShownComparison:
    """folder: of its files, for addresses. measures: measure -> a row of each experiment, or None."""

    name: str
    title: str
    folder: str
    comparable: bool
    reasons: tuple[str, ...]
    settings: dict[str, list[str]]
    experiments: tuple[Compared, ...]

    @property
    def measures(self) -> dict[str, list[tuple[str, MetricRow | None]]]:
        """Every measure, in the order of the reports."""
        names = dict.fromkeys(row.measure for one in self.experiments for row in one.report.rows)
        return {name: [(one.experiment, one.report.row(name)) for one in self.experiments] for name in names}

    @property
    def image_kind(self) -> str:
        """The word for images of the real side."""
        return self.experiments[0].report.image_kind


@dataclass(frozen=True)
class _Trial:
    trial: int
    kid: float | None
    drawn: dict[str, Any]


@dataclass(frozen=True)
class StudyFacts:
    """The manifest of a hyperparameter study, as far as it is shown; see chestgan_core/tuning/manifest.py."""

    study: str
    training_set: str
    extractor: str
    held_out_images: int
    floor: float
    trials: int
    pruned: int
    failed: int
    best: _Trial | None
    initial: _Trial | None
    importances: dict[str, float]
    summary: list[str]


@dataclass(frozen=True)
class ShownStudy:
    """folder: of its files. figures: names of its charts. columns, rows: of the first MAX_TRIALS trials."""

    experiment: str
    folder: str
    facts: StudyFacts
    figures: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


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


@dataclass(frozen=True)
class ShownReading:
    """The newest result of a reader study about a set. charts: names of those that are about all readers."""

    set_name: str
    version: str
    manifest_key: str
    result: StudyResult
    charts: tuple[str, ...]


def names_below(store: Store, prefix: str) -> list[str]:
    """The names that have a pointer below a prefix: `architecture` of comparisons/architecture/latest.json."""
    found = [item.key.removeprefix(prefix).split("/") for item in store.list(prefix)]
    return [parts[0] for parts in found if len(parts) == 2 and parts[1] == keys.POINTER]


def comparisons(store: Store) -> list[ShownComparison]:
    """The newest of each name, `architecture` first."""
    names = sorted(names_below(store, "comparisons/"), key=lambda name: (name != "architecture", name))
    return _readable(names, lambda name: _comparison(store, name))


def studies(store: Store) -> list[ShownStudy]:
    """The newest study of each experiment."""
    return _readable(names_below(store, "studies/"), lambda name: _study(store, name))


def months(store: Store) -> list[str]:
    """The months that have a report, the newest first."""
    return sorted(names_below(store, "reports-monthly/"), reverse=True)


def month(store: Store, name: str) -> ShownMonth | None:
    """The report of a month, YYYY-MM; None where there is none that can be read."""
    return next(iter(_readable([name], lambda name: _month(store, name))), None)


def reports(store: Store) -> list[ReadReport]:
    """The newest report of each experiment, by name."""

    def read(name: str) -> ReadReport | None:
        newest = newest_report(store, name)
        return read_report(store, name, newest.version, newest.artefact) if newest else None

    found = _readable(names_below(store, keys.reports_prefix()), read)
    return [one for one in found if one is not None]


def reader_results(store: Store) -> list[ShownReading]:
    """The newest result about each set."""
    return _readable(names_below(store, "reading/results/"), lambda name: _reading(store, name))


def reader_chart(store: Store, found: ShownReading, chart: str) -> bytes:
    """A chart of a result, PNG. Raises StoreError."""
    return store.read(store.read_manifest(found.manifest_key), f"charts/{chart}.png")


def run_of(store: Store, report: ReadReport) -> Artefact:
    """The run of a report. Raises NotInStore, DamagedObject."""
    return store.read_manifest(keys.run_manifest(report.name, report.payload.run.run))


def _readable(names: list[str], read: Callable[[str], Found]) -> list[Found]:
    found = []
    for name in names:
        try:
            found.append(read(name))
        except (DamagedObject, NotInStore, BadInput) as error:
            log.warning("not shown among the results: %s", error)
    return found


def _comparison(store: Store, name: str) -> ShownComparison:
    (version,) = store.read_pointer(keys.comparison_latest(name), "version")
    artefact = store.read_manifest(keys.comparison_manifest(name, version))
    where = store.uri(artefact.manifest_key)
    data = parse_typed(
        _ComparisonData,
        parse_json(store.read(artefact, "comparison.json"), where),
        where,
        what="a comparison",
    )
    if not data.experiments:
        raise DamagedObject(where, "is a comparison of nothing", AGAIN)
    return ShownComparison(
        name=name,
        title=str(artefact.manifest.get("title", name))[:400],
        folder=folder_of(artefact.manifest_key).rstrip("/"),
        comparable=data.comparable,
        reasons=tuple(data.reasons),
        settings=data.settings,
        experiments=tuple(data.experiments),
    )


def _study(store: Store, experiment: str) -> ShownStudy:
    study, version = store.read_pointer(keys.study_latest(experiment), "study", "version")
    key = keys.study_manifest(experiment, study, version)
    artefact, facts = store.read_typed(key, StudyFacts, what="the manifest of a study")
    names = [artefact.name(item) for item in artefact.objects]
    columns, rows = _trials(store, artefact)
    return ShownStudy(
        experiment=experiment,
        folder=folder_of(key).rstrip("/"),
        facts=facts,
        figures=tuple(name for name in names if name.startswith("figures/") and name.endswith(".png")),
        columns=columns,
        rows=rows,
    )


def _trials(store: Store, artefact: Artefact) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    item = artefact.find("trials.parquet")
    if item.bytes > _MAX_TABLE:
        return (), ()
    where = store.uri(item.key)
    table = read_parquet(store.get_bytes(item.key, item.sha256), where, AGAIN).slice(0, MAX_TRIALS)
    shown = [name for name in table.column_names if name not in ("validations", "steps")]
    rows = tuple(tuple(row[name] for name in shown) for row in table.to_pylist())
    return tuple(shown), rows


def _month(store: Store, name: str) -> ShownMonth:
    (version,) = store.read_pointer(keys.month_latest(name), "version")
    artefact = store.read_manifest(keys.month_manifest(name, version))
    where = store.uri(artefact.manifest_key)
    data = parse_typed(
        MonthData, parse_json(store.read(artefact, "month.json"), where), where, what="the report of a month"
    )
    folder = folder_of(artefact.manifest_key).rstrip("/")
    drawn = any(artefact.name(item) == "month.png" for item in artefact.objects)
    return ShownMonth(data, folder, f"/files/{folder}/month.png" if drawn else "")


def _reading(store: Store, set_name: str) -> ShownReading:
    study, version = store.read_pointer(keys.reader_result_latest(set_name), "study", "version")
    artefact = store.read_manifest(keys.reader_result_manifest(set_name, study, version))
    where = store.uri(artefact.manifest_key)
    fields = parse_json(store.read(artefact, "result.json"), where)
    names = {artefact.name(item) for item in artefact.objects}
    return ShownReading(
        set_name=set_name,
        version=version,
        manifest_key=artefact.manifest_key,
        result=parse_typed(StudyResult, fields, where, what="the result of a reader study"),
        charts=tuple(name for name in READING_CHARTS if f"charts/{name}.png" in names),
    )
