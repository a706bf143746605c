"""Who of several generators is shown to be nearer to held-out patients, by every extractor that judged them.

In: reports whose numbers can be compared. Out: places with ranks and ties (standing), and the best by a measure, where
there is one (best_by). Imports nothing heavy.

Two values differ where their intervals are known and do not overlap. Overlap is not transitive: A may be tied with B,
and B with C, while A is shown to be nearer than C. So a rank is no class of equals: it is 1 plus the number of reports
that are shown to be nearer, and those of one rank are tied: the lower end of the range of ranks in "Inference for
Ranks" (Mogstad, Romano, Shaikh and Wilhelm 2024, doi:10.1093/restud/rdad006), pair by pair, without a correction for
the number of pairs.

A generator that was trained against the features of a network looks better to its relatives than it is. What a relative
says for it counts only where an extractor says so that is none; what it says against it counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chestgan_core.evaluation.scoring.metric_rows import MetricRow, difference_shown
from chestgan_core.evaluation.scoring.read_report import ReadReport
from chestgan_core.evaluation.scoring.report_payload import RunReport

# What the names of networks begin with that were trained on ImageNet: their features are relatives of each other.
IMAGENET = ("efficientnet", "inception")

Report = TypeVar("Report", bound=ReadReport)


def short_name(extractor: str) -> str:
    """The name of an extractor without its weights and preprocessing: `efficientnet-lite0`."""
    return extractor.partition(":")[0]


def trained_against(report: RunReport) -> str:
    """The network whose features the generator was trained against; "" for none."""
    projection = report.run.experiment["network"].get("projection") or {}
    return str(projection.get("features", ""))


def is_relative(extractor: str, network: str) -> bool:
    """Whether an extractor is this network, or was trained on the same photographs. network: "" for none."""
    same = short_name(extractor) == network
    return bool(network) and (same or (extractor.startswith(IMAGENET) and network.startswith(IMAGENET)))


def opinions(report: RunReport, measure: str) -> dict[str, MetricRow]:
    """The rows of a measure that have a value, by extractor, in the order of the report."""
    return {row.extractor: row for row in report.rows if row.measure == measure and row.value is not None}


def counted(report: RunReport, measure: str) -> MetricRow | None:
    """The row of a measure that counts: that of the first extractor; None where it has no value."""
    first = next((row for row in report.rows if row.measure == measure), None)
    return None if first is None or first.value is None else first


def shown_better(one: ReadReport, other: ReadReport, measure: str = "KID") -> bool:
    """Whether a report is shown to be better than another by a measure of which lower or higher values are better."""
    mine, others = counted(one.payload, measure), counted(other.payload, measure)
    if mine is None or others is None or not _better(mine, others):
        return False
    network = trained_against(one.payload)
    if not is_relative(mine.extractor, network):
        return True
    theirs = opinions(other.payload, measure)
    judged = [
        (row, theirs[name])
        for name, row in opinions(one.payload, measure).items()
        if name in theirs and not is_relative(name, network)
    ]
    for_it = any(_better(row, beside) for row, beside in judged)
    return for_it and not any(_better(beside, row) for row, beside in judged)


def denied(one: ReadReport, other: ReadReport, measure: str = "KID") -> bool:
    """Whether an extractor that judged both has the other one first, within the intervals or beyond."""
    theirs = opinions(other.payload, measure)
    return any(
        name in theirs and _key(theirs[name]) < _key(row)
        for name, row in opinions(one.payload, measure).items()
    )


def _better(row: MetricRow, other: MetricRow) -> bool:
    """Whether the value of a row is better, by more than chance may explain."""
    return difference_shown(row, other) and _key(row) < _key(other)


def _key(row: MetricRow) -> float:
    """Lower is better."""
    return (row.value or 0.0) * (-1 if row.better == "higher" else 1)


@dataclass(frozen=True)
class Place(Generic[Report]):
    """rank: 1 plus the number of ranked reports that are shown to be nearer; None: not ranked, for the reason in why.

    tied: with others of the same rank.
    """

    report: Report
    rank: int | None
    tied: bool = False
    why: str = ""


def standing(reports: Sequence[Report], measure: str = "KID") -> list[Place[Report]]:
    """Every report at its place: by rank, then by value; then those that have no rank, in the same order.

    Ranked is what passed the release gate, has an interval, and was not judged by relatives of the network that it was
    trained against alone.
    """
    reasons = {one.name: _unranked(one.payload, measure) for one in reports}
    ranked = [one for one in reports if not reasons[one.name]]
    ranks = {
        one.name: 1 + sum(shown_better(other, one, measure) for other in ranked if other is not one)
        for one in ranked
    }

    def order(one: Report) -> tuple[float, bool, float, str]:
        row = counted(one.payload, measure)
        return ranks.get(one.name, len(reports) + 1), row is None, _key(row) if row else 0.0, one.name

    given = list(ranks.values())
    return [
        Place(one, ranks.get(one.name), given.count(ranks.get(one.name, 0)) > 1, reasons[one.name])
        for one in sorted(reports, key=order)
    ]


def _unranked(report: RunReport, measure: str) -> str:
    """Why a report has no rank; "" where it has one."""
    row = counted(report, measure)
    if row is None:
        return f"{measure} was not measured"
    if not report.gate.passed:
        return "refused by the release gate"
    if row.ends is None:
        return f"the interval of its {measure} is not known"
    network = trained_against(report)
    if network and all(is_relative(name, network) for name in opinions(report, measure)):
        return f"judged by relatives of {network} alone, against which it was trained"
    return ""


@dataclass(frozen=True)
class Opinion:
    """Whom an extractor has nearest. shown: whether its intervals tell it from all others."""

    extractor: str
    name: str
    shown: bool


@dataclass(frozen=True)
class Best(Generic[Report]):
    """Who is best by a measure among those that passed the release gate.

    ordered: those with a value, the best first. refused: the others with a value, likewise. tied: the first and all
    that it is not shown to be better than, where there are any. said: by each extractor that judged all of ordered, the
    one that counts first.
    """

    ordered: tuple[Report, ...]
    refused: tuple[Report, ...]
    tied: tuple[Report, ...]
    said: tuple[Opinion, ...]

    @property
    def agreed(self) -> bool:
        """Whether every extractor has the same one first."""
        return len({one.name for one in self.said}) < 2

    @property
    def named(self) -> str:
        """The best; "" where there are ties, where extractors do not agree, or with nobody to be better than."""
        return self.ordered[0].name if len(self.ordered) > 1 and self.agreed and not self.tied else ""


def best_by(reports: Sequence[Report], measure: str) -> Best[Report]:
    """The best of comparable reports by a measure of which lower or higher values are better."""
    measured = [(row, one) for one in reports if (row := counted(one.payload, measure))]
    ordered = [one for _, one in sorted(measured, key=lambda pair: _key(pair[0]))]
    passed = tuple(one for one in ordered if one.payload.gate.passed)
    beside = tuple(one for one in passed[1:] if not shown_better(passed[0], one, measure))
    return Best(
        ordered=passed,
        refused=tuple(one for one in ordered if not one.payload.gate.passed),
        tied=(passed[0], *beside) if beside else (),
        said=_said(passed, measure),
    )


def _said(reports: Sequence[Report], measure: str) -> tuple[Opinion, ...]:
    """Whom each extractor has first that judged them all."""
    found = [opinions(one.payload, measure) for one in reports]
    said = []
    for extractor in found[0] if found else ():
        if all(extractor in rows for rows in found):
            rows = [(one.name, rows[extractor]) for one, rows in zip(reports, found, strict=True)]
            name, first = min(rows, key=lambda pair: _key(pair[1]))
            shown = all(_better(first, row) for _, row in rows if row is not first)
            said.append(Opinion(extractor, name, shown))
    return tuple(said)
