"""What came into the store in one month: runs, reports and their numbers beside earlier ones, published sets.

In: the store and a month, YYYY-MM (UTC). Out: a Month. The month of an artefact is that of its first commit (see
store.commits). What cannot be read is listed with the reason, and stops nothing. Imports nothing heavy.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Any, TypeVar

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.pages.figures import SYNTHETIC_GRID
from chestgan_core.evaluation.scoring.read_report import ReadReport, read_report, reasons_not_comparable
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Commit, Store, commits

Item = TypeVar("Item")


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
    """The newest report of an experiment in the month. before: its newest report of earlier months; before_day: its
    day.

    reasons: why the two are not comparable. samples: plain grid of images, PNG.
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
    """What was committed in a month.

    name: YYYY-MM. gates: every report of the month, with its day. counts, counts_before: artefacts by kind in this
    month and in the one before. unreadable: address and reason.
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
                    "rows": [asdict(row) for row in one.report.payload.rows],
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
                    "gate": report.payload.gate.as_json(),
                }
                for day, report in self.gates
            ],
            "sets": [{"name": one.name, "version": one.version, "day": one.day} for one in self.sets],
            "unreadable": list(self.unreadable),
        }


def month_before(month: str) -> str:
    """The month before, YYYY-MM. Raises BadInput: not a month."""
    return f"{first_day(month) - timedelta(days=1):%Y-%m}"


def first_day(month: str) -> date:
    """The first day of YYYY-MM. Raises BadInput: not a month."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise BadInput(f"month {month[:20]}", "is not a month", "give it as YYYY-MM, such as 2026-01")
    return date.fromisoformat(f"{month}-01")


def read_month(store: Store, month: str) -> Month:
    """Everything that was committed in a month, with the newest earlier reports for comparison.

    Raises BadInput (not a month), StoreError.
    """
    before = month_before(month)
    found = {
        "runs": commits(store, keys.runs_prefix()),
        "reports": commits(store, keys.reports_prefix()),
        "sets": commits(store, keys.sets_prefix()),
    }
    unreadable: list[str] = []
    reader = _Reader(store, unreadable)
    of_month = {kind: [one for one in listed if one.month == month] for kind, listed in found.items()}
    reports = list(reader.each(of_month["reports"], reader.report))
    newest = {name: (commit, report) for commit, (name, report) in reports}
    earlier = {_experiment(one): one for one in found["reports"] if one.month < month}
    wanted = [earlier[name] for name in sorted(newest) if name in earlier]
    compared = {name: (commit, report) for commit, (name, report) in reader.each(wanted, reader.report)}

    def beside(name: str) -> MonthReport:
        commit, report = newest[name]
        return reader.beside(commit, report, compared.get(name))

    with ThreadPoolExecutor(PARALLEL) as pool:
        of_reports = tuple(pool.map(beside, sorted(newest)))
    return Month(
        name=month,
        runs=tuple(run for _, run in reader.each(of_month["runs"], reader.run)),
        reports=of_reports,
        gates=tuple((_day(commit), report) for commit, (_, report) in reports),
        sets=tuple(one for _, one in reader.each(of_month["sets"], reader.set)),
        counts={kind: len(listed) for kind, listed in of_month.items()},
        counts_before={kind: sum(one.month == before for one in listed) for kind, listed in found.items()},
        unreadable=tuple(unreadable),
    )


@dataclass(frozen=True)
class _RunManifest:
    run: str
    dataset: str
    images_seen: int
    seconds: float
    device: str


@dataclass(frozen=True)
class _SetFacts:
    images: int


@dataclass(frozen=True)
class _SetManifest:
    set: _SetFacts


@dataclass(frozen=True)
class _Reader:
    """Reads artefacts; those that cannot be read are added to `unreadable`."""

    store: Store
    unreadable: list[str]

    def each(self, listed: Sequence[Commit], read: Callable[[Commit], Item]) -> Iterator[tuple[Commit, Item]]:
        """Several at once, in their order."""

        def read_one(commit: Commit) -> Item | str:
            try:
                return read(commit)
            except (DamagedObject, NotInStore, BadInput) as error:
                return f"{self.store.uri(commit.manifest_key)}: {error.cause}"

        with ThreadPoolExecutor(PARALLEL) as pool:
            for commit, found in zip(listed, pool.map(read_one, listed), strict=True):
                if isinstance(found, str):
                    self.unreadable.append(found)
                else:
                    yield commit, found

    def manifest(self, commit: Commit) -> Artefact:
        return self.store.read_manifest(commit.manifest_key)

    def run(self, commit: Commit) -> MonthRun:
        _, run = self.store.read_typed(commit.manifest_key, _RunManifest, what="the manifest of a run")
        return MonthRun(experiment=_experiment(commit), day=_day(commit), **vars(run))

    def set(self, commit: Commit) -> MonthSet:
        artefact, found = self.store.read_typed(
            commit.manifest_key, _SetManifest, what="the manifest of a set"
        )
        return MonthSet(_experiment(commit), _version(commit), _day(commit), found.set.images, artefact.bytes)

    def report(self, commit: Commit) -> tuple[str, ReadReport]:
        name = _experiment(commit)
        return name, read_report(self.store, name, _version(commit), self.manifest(commit))

    def beside(
        self, commit: Commit, report: ReadReport, earlier: tuple[Commit, ReadReport] | None
    ) -> MonthReport:
        """The report beside the earlier one."""
        before = earlier[1] if earlier else None
        reasons: list[str] = []
        if before:
            reasons = reasons_not_comparable(
                [replace(report, name="this month"), replace(before, name="before")]
            )
        return MonthReport(
            report=report,
            day=_day(commit),
            before=before,
            before_day=_day(earlier[0]) if earlier else "",
            reasons=tuple(reasons),
            samples=self.store.read(self.manifest(commit), f"figures/{SYNTHETIC_GRID}"),
        )


def _experiment(commit: Commit) -> str:
    """From the key of a run, a report or a set: kind/experiment/..."""
    return commit.manifest_key.split("/")[1]


def _version(commit: Commit) -> str:
    return commit.manifest_key.split("/")[-2]


def _day(commit: Commit) -> str:
    return f"{commit.at:%Y-%m-%d}"
