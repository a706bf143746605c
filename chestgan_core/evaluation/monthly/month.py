"""What came into the store in one month: runs, reports and their numbers beside earlier ones, published sets.

In: the store and a month, YYYY-MM (UTC). Out: a Month. Which month an artefact is of says the note beside its manifest
(commits.py). What cannot be read is counted, with its reason, and stops nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.pages.figures import SYNTHETIC_GRID
from chestgan_core.evaluation.scoring.read_report import ReadReport, read_report, reasons_against
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.store import Commit, Store, commits

Line = TypeVar("Line")


@dataclass(frozen=True)
class MonthRun:
    """A finished training. day: YYYY-MM-DD."""

    experiment: str
    day: str
    run: str
    dataset: str
    images_seen: int
    seconds: float
    device: str


@dataclass(frozen=True)
class MonthReport:
    """The newest report of an experiment in the month. before: the newest of the months before, before_day: its day.

    reasons: why the two must not be compared. samples: plain grid of images, PNG; empty in reports of an older version.
    """

    report: ReadReport
    day: str
    before: ReadReport | None
    before_day: str
    reasons: tuple[str, ...]
    samples: bytes = field(repr=False)


@dataclass(frozen=True)
class MonthSet:
    """A published set. bytes: of all its files."""

    name: str
    version: str
    day: str
    images: int
    bytes: int


@dataclass(frozen=True)
class Month:
    """name: YYYY-MM. gates: every report of the month that a gate judged, with its day. counts, counts_before:
    artefacts by kind in this month and in the one before. unreadable: address and reason.
    """

    name: str
    runs: tuple[MonthRun, ...]
    reports: tuple[MonthReport, ...]
    gates: tuple[tuple[str, ReadReport], ...]
    sets: tuple[MonthSet, ...]
    counts: Mapping[str, int]
    counts_before: Mapping[str, int]
    unreadable: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data for month.json."""
        return {
            "kind": "monthly-report",
            "month": self.name,
            "counts": dict(self.counts),
            "counts_before": dict(self.counts_before),
            "runs": [{"experiment": run.experiment, "day": run.day, "run": run.run} for run in self.runs],
            "reports": [
                {
                    "experiment": one.report.name,
                    "version": one.report.version,
                    "day": one.day,
                    "rows": one.report.told["rows"],
                    "before": one.before.version if one.before else None,
                    "before_day": one.before_day,
                    "reasons": list(one.reasons),
                }
                for one in self.reports
            ],
            "gates": [
                {
                    "experiment": report.name,
                    "version": report.version,
                    "day": day,
                    "gate": report.told["gate"],
                }
                for day, report in self.gates
            ],
            "sets": [{"name": one.name, "version": one.version, "day": one.day} for one in self.sets],
            "unreadable": list(self.unreadable),
        }


def month_before(month: str) -> str:
    """The month before, YYYY-MM. Raises BadInput for what is no month."""
    return f"{first_day(month) - timedelta(days=1):%Y-%m}"


def first_day(month: str) -> date:
    """Raises BadInput for what is no month."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise BadInput(f"month {month[:20]}", "is none", "give it as YYYY-MM, such as 2026-01")
    return date.fromisoformat(f"{month}-01")


def read_month(store: Store, month: str) -> Month:
    """Everything that was committed in a month, the newest reports before it included for comparison.

    Raises BadInput for what is no month, StoreError.
    """
    before = month_before(month)
    found = {
        "runs": commits(store, keys.runs_prefix()),
        "reports": commits(store, keys.reports_prefix()),
        "sets": commits(store, keys.sets_prefix()),
    }
    unreadable: list[str] = []
    reader = _Reader(store, unreadable)
    of_month = {kind: [one for one in some if one.month == month] for kind, some in found.items()}
    reports = list(reader.each(of_month["reports"], reader.report))
    newest = {name: (commit, report) for commit, (name, report) in reports}
    earlier = {_experiment(one): one for one in found["reports"] if one.month < month}
    return Month(
        name=month,
        runs=tuple(run for _, run in reader.each(of_month["runs"], reader.run)),
        reports=tuple(
            reader.beside(commit, report, earlier.get(name))
            for name, (commit, report) in sorted(newest.items())
        ),
        gates=tuple((_day(commit), report) for commit, (_, report) in reports if report.told.get("gate")),
        sets=tuple(one for _, one in reader.each(of_month["sets"], reader.set)),
        counts={kind: len(some) for kind, some in of_month.items()},
        counts_before={kind: sum(one.month == before for one in some) for kind, some in found.items()},
        unreadable=tuple(unreadable),
    )


@dataclass(frozen=True)
class _Reader:
    """Reads what it can; the rest goes to unreadable."""

    store: Store
    unreadable: list[str]

    def each(self, some: Sequence[Commit], read: Callable[[Commit], Line]) -> Iterator[tuple[Commit, Line]]:
        for commit in some:
            try:
                yield commit, read(commit)
            except (DamagedObject, NotInStore, BadInput, KeyError) as error:
                why = (
                    error.cause
                    if isinstance(error, (DamagedObject, NotInStore, BadInput))
                    else f"lacks {error}"
                )
                self.unreadable.append(f"{self.store.uri(commit.manifest_key)}: {why}")

    def manifest(self, commit: Commit) -> Artefact:
        return self.store.read_manifest(commit.manifest_key)

    def run(self, commit: Commit) -> MonthRun:
        told = self.manifest(commit).manifest
        return MonthRun(
            experiment=_experiment(commit),
            day=_day(commit),
            run=str(told["run"]),
            dataset=str(told["dataset"]),
            images_seen=int(told["images_seen"]),
            seconds=float(told["seconds"]),
            device=str(told["device"]),
        )

    def set(self, commit: Commit) -> MonthSet:
        found = self.manifest(commit)
        images = int(found.manifest["set"]["images"])
        return MonthSet(_experiment(commit), _version(commit), _day(commit), images, found.bytes)

    def report(self, commit: Commit) -> tuple[str, ReadReport]:
        name = _experiment(commit)
        return name, read_report(self.store, name, _version(commit), self.manifest(commit))

    def beside(self, commit: Commit, report: ReadReport, earlier: Commit | None) -> MonthReport:
        """The report with what is to be shown beside it."""
        found = list(self.each([earlier], self.report)) if earlier else []
        before = found[0][1][1] if found else None
        reasons: list[str] = []
        if before and (before.is_old or report.is_old):
            reasons = ["One of the two reports is of an older version."]
        elif before:
            now = ReadReport("this month", report.version, report.told, report.rows)
            reasons = reasons_against([now, ReadReport("before", before.version, before.told, before.rows)])
        artefact = self.manifest(commit)
        grid = f"figures/{SYNTHETIC_GRID}"
        has_grid = any(artefact.name(item) == grid for item in artefact.objects)
        return MonthReport(
            report=report,
            day=_day(commit),
            before=before,
            before_day=_day(earlier) if before and earlier else "",
            reasons=tuple(reasons),
            samples=self.store.read(artefact, grid) if has_grid else b"",
        )


def _experiment(commit: Commit) -> str:
    """The second step of the key of a run, a report or a set."""
    return commit.manifest_key.split("/")[1]


def _version(commit: Commit) -> str:
    return commit.manifest_key.split("/")[-2]


def _day(commit: Commit) -> str:
    return f"{commit.at:%Y-%m-%d}"
