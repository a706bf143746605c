"""A committed report read back, and whether the numbers of several belong beside each other.

In: the manifest of a report. Out: what it says, with its rows; and the reasons why reports must not be compared. Two
distances are comparable when the same images of the same patients were on the real side, as many on both sides, under
one extractor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.provenance import in_words
from chestgan_core.store.artefacts import Artefact, parse_json
from chestgan_core.store.store import Store

Found = TypeVar("Found", bound="ReadReport")


@dataclass(frozen=True)
class ReadReport:
    """name: of the experiment. told: report.json. rows: empty for a report of an older version, see is_old."""

    name: str
    version: str
    told: Mapping[str, Any]
    rows: tuple[MetricRow, ...]

    @property
    def is_old(self) -> bool:
        """Whether it was made by an older version, which did not tell data and run, or told other rows."""
        return not (self.rows and self.told.get("data") and self.told.get("run"))

    @property
    def run(self) -> Mapping[str, Any]:
        """The report's `run`."""
        found: Mapping[str, Any] = self.told["run"]
        return found

    def row(self, measure: str) -> MetricRow | None:
        """The first row of a measure."""
        return next((row for row in self.rows if row.measure == measure), None)


def read_report(store: Store, name: str, version: str, report: Artefact) -> ReadReport:
    """Raises DamagedObject, NotInStore."""
    told = parse_json(store.read(report, "report.json"), store.uri(report.manifest_key))
    try:
        rows = _rows(told)
    except (TypeError, KeyError):
        rows = ()
    return ReadReport(name, version, told, rows)


def reasons_against(found: Sequence[Found]) -> list[str]:
    """What must be the same and is not, each with who has what; what was not measured. None may be old."""
    must: dict[str, Callable[[Found], str]] = {
        "The dataset": lambda one: str(one.told["data"]["dataset"]),
        "The snapshot of the data": lambda one: str(one.told["data"]["snapshot"]),
        "The resolution": lambda one: f"{one.told['resolution']} pixels",
        "The window": lambda one: in_words(one.told["window"]),
        "The choice of classes": lambda one: in_words(one.run["experiment"]["classes"]) or "all",
        "The extractor": lambda one: _all({row.extractor for row in one.rows}),
        "The number of images": lambda one: _all({f"{row.n_real} + {row.n_fake}" for row in one.rows}),
        "The split": lambda one: _all({row.split for row in one.rows}),
    }
    reasons = []
    for what, read in must.items():
        having: dict[str, list[str]] = {}
        for one in found:
            having.setdefault(read(one), []).append(one.name)
        if len(having) > 1:
            who = "; ".join(f"{value} for {', '.join(names)}" for value, names in having.items())
            reasons.append(f"{what} is not the same: {who}.")
    return reasons + [
        f"Nothing was measured for {one.name}: {one.rows[0].note}."
        for one in found
        if all(row.value is None for row in one.rows)
    ]


def _rows(told: Mapping[str, Any]) -> tuple[MetricRow, ...]:
    known = {field.name for field in fields(MetricRow)}
    return tuple(MetricRow(**{name: row[name] for name in row if name in known}) for row in told["rows"])


def _all(values: set[str]) -> str:
    return ", ".join(sorted(values))
