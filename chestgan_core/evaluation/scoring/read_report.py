"""Committed reports, and whether their numbers can be compared.

In: the pointer and the manifest of a report. Out: its payload; and the reasons why reports are not comparable. Two
distances are comparable when they have the same real images of the same patients, equally many images on both sides,
and one extractor: the first of each report, that of its headline. Second opinions may differ: one that two reports do
not share says nothing of them. Imports nothing heavy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chestgan_core.errors import Forgotten, NotInStore
from chestgan_core.evaluation.scoring.metric_rows import APART, MetricRow
from chestgan_core.evaluation.scoring.provenance import in_words
from chestgan_core.evaluation.scoring.report_payload import RunReport
from chestgan_core.local.json_text import parse_json
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, parse_typed
from chestgan_core.store.store import Store

REPORT_FILE = "report.json"
REMEDY = "materialize metric_report again"

Report = TypeVar("Report", bound="ReadReport")


@dataclass(frozen=True)
class NewestReport:
    """What the pointer of an experiment says: the run that was scored, the version of its report, its manifest."""

    run: str
    version: str
    artefact: Artefact


def newest_report(store: Store, experiment: str) -> NewestReport | None:
    """The newest report of an experiment; None where it has none, or a patient's withdrawal removed it.

    Raises NotInStore (there is none where the pointer points to), DamagedObject, StoreError.
    """
    try:
        run, version = store.read_pointer(keys.report_latest(experiment), "run", "version")
    except NotInStore:
        return None
    try:
        return NewestReport(run, version, store.read_manifest(keys.report_manifest(experiment, run, version)))
    except Forgotten:
        return None


def require_report(store: Store, experiment: str) -> NewestReport:
    """The newest report of an experiment. Raises NotInStore, DamagedObject, StoreError."""
    found = newest_report(store, experiment)
    if found is None:
        raise NotInStore(f"experiment {experiment}", "has no report", "materialize metric_report first")
    return found


def read_payload(store: Store, report: Artefact) -> RunReport:
    """report.json of a committed report. Raises DamagedObject: not as expected, as of another version; NotInStore."""
    where = f"{store.uri(report.manifest_key).rpartition('/')[0]}/{REPORT_FILE}"
    fields = parse_json(store.read(report, REPORT_FILE), where, REMEDY)
    return parse_typed(RunReport, fields, where, REMEDY, "the report of a run")


@dataclass(frozen=True)
class ReadReport:
    """A report of an experiment. name: of the experiment."""

    name: str
    version: str
    payload: RunReport

    def row(self, measure: str) -> MetricRow | None:
        """The first row of a measure."""
        return self.payload.row(measure)


def read_report(store: Store, name: str, version: str, report: Artefact) -> ReadReport:
    """Raises DamagedObject, NotInStore."""
    return ReadReport(name, version, read_payload(store, report))


# What must be the same in comparable reports.
_MUST: dict[str, Callable[[RunReport], str]] = {
    "The dataset": lambda one: one.data.dataset,
    "The snapshot of the data": lambda one: one.data.snapshot,
    "The resolution": lambda one: f"{one.resolution} pixels",
    "The window": lambda one: str(one.window),
    "The choice of classes": lambda one: in_words(one.run.experiment["classes"]) or "all",
    "The extractor": lambda one: _all({row.extractor for row in _of_headline(one)}),
    "The number of images": lambda one: _all({f"{row.n_real} + {row.n_fake}" for row in _of_headline(one)}),
    "The split": lambda one: _all({row.split for row in _of_headline(one)}),
}


def _of_headline(report: RunReport) -> list[MetricRow]:
    """The rows that every report has, of its first extractor: an experiment that places tumours, or was attacked, is
    compared with one that was not.
    """
    of_images = [row for row in report.rows if row.group not in APART]
    first = next((row.extractor for row in of_images if row.measure == "KID"), None)
    return [row for row in of_images if first in (None, row.extractor)]


def comparison_key(report: RunReport) -> tuple[str, ...]:
    """The same for reports whose numbers can be compared."""
    return tuple(read(report) for read in _MUST.values())


def comparison_facts(report: RunReport) -> dict[str, str]:
    """What must be the same in comparable reports -> what it is in this one: `The resolution` -> `64 pixels`."""
    return {what: read(report) for what, read in _MUST.items()}


def reasons_not_comparable(reports: Sequence[Report]) -> list[str]:
    """What must be the same and is not, with each value and who has it; and what was not measured."""
    reasons = []
    for what, read in _MUST.items():
        names_by_value: dict[str, list[str]] = {}
        for one in reports:
            names_by_value.setdefault(read(one.payload), []).append(one.name)
        if len(names_by_value) > 1:
            who = "; ".join(f"{value} for {', '.join(names)}" for value, names in names_by_value.items())
            reasons.append(f"{what} is not the same: {who}.")
    return reasons + [
        f"Nothing was measured for {one.name}: {one.payload.rows[0].note}."
        for one in reports
        if all(row.value is None for row in one.payload.rows)
    ]


def _all(values: set[str]) -> str:
    return ", ".join(sorted(values))
