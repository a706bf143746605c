"""Comparisons, metric reports and reader studies as the page of results shows them.

In: the store. Out: typed data with the addresses of the charts that belong to it.
"""

from dataclasses import dataclass

from chestgan_core.errors import DamagedObject
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.read_report import ReadReport, newest_report, read_report
from chestgan_core.evaluation.scoring.report_payload import RunReport
from chestgan_core.local.json_text import parse_json
from chestgan_core.reading.analysis.result import StudyResult
from chestgan_core.reading.stored_result import read_numbers
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN, Artefact, folder_of, parse_typed
from chestgan_core.store.store import Store
from chestgan_portal.public.newest import names_below, readable

READING_CHARTS = ("confusion", "roc", "ratings")  # of all readers together


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
class ShownReading:
    """The newest result of a reader study about a set. charts: names of those that are about all readers."""

    set_name: str
    version: str
    manifest_key: str
    result: StudyResult
    charts: tuple[str, ...]


def comparisons(store: Store) -> list[ShownComparison]:
    """The newest of each name, `architecture` first."""
    names = sorted(names_below(store, "comparisons/"), key=lambda name: (name != "architecture", name))
    return readable(names, lambda name: _comparison(store, name))


def reports(store: Store) -> list[ReadReport]:
    """The newest report of each experiment, by name."""

    def read(name: str) -> ReadReport | None:
        newest = newest_report(store, name)
        return read_report(store, name, newest.version, newest.artefact) if newest else None

    found = readable(names_below(store, keys.reports_prefix()), read)
    return [one for one in found if one is not None]


def reader_results(store: Store) -> list[ShownReading]:
    """The newest result about each set."""
    return readable(names_below(store, "reading/results/"), lambda name: _reading(store, name))


def reader_chart(store: Store, found: ShownReading, chart: str) -> bytes:
    """A chart of a result, PNG. Raises StoreError."""
    return store.read(store.read_manifest(found.manifest_key), f"charts/{chart}.png")


def run_of(store: Store, report: ReadReport) -> Artefact:
    """The run of a report. Raises NotInStore, DamagedObject."""
    return store.read_manifest(keys.run_manifest(report.name, report.payload.run.run))


def _comparison(store: Store, name: str) -> ShownComparison:
    (version,) = store.read_pointer(keys.comparison_latest(name), "version")
    artefact = store.read_manifest(keys.comparison_manifest(name, version))
    where = store.uri(artefact.manifest_key)
    data = parse_typed(
        _ComparisonData,
        parse_json(store.read(artefact, "comparison.json"), where, AGAIN),
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


def _reading(store: Store, set_name: str) -> ShownReading:
    study, version = store.read_pointer(keys.reader_result_latest(set_name), "study", "version")
    artefact = store.read_manifest(keys.reader_result_manifest(set_name, study, version))
    names = {artefact.name(item) for item in artefact.objects}
    return ShownReading(
        set_name=set_name,
        version=version,
        manifest_key=artefact.manifest_key,
        result=read_numbers(store, artefact),
        charts=tuple(name for name in READING_CHARTS if f"charts/{name}.png" in names),
    )
