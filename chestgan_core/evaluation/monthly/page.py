"""A month as a document, and as an artefact of the store.

In: a Month. Out: month.json, month.html, month.pdf, month.md and month.png; `reports-monthly/<month>/<version>/` in
the store. The report of a month that is not over gets a new version when something new was committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.documents.blocks import (
    Block,
    Bullets,
    Document,
    Figure,
    Notice,
    Paragraph,
    Section,
    Table,
    Tile,
    Tiles,
    Tone,
)
from chestgan_core.documents.files import document_files, write_files
from chestgan_core.escaping import escaped
from chestgan_core.evaluation.monthly.chart import month_png
from chestgan_core.evaluation.monthly.month import Month, MonthReport, first_day, read_month
from chestgan_core.evaluation.pages.verdict import bare, label, open_sentences, refusals
from chestgan_core.evaluation.scoring.provenance import duration
from chestgan_core.evaluation.scoring.read_report import ReadReport
from chestgan_core.evaluation.scoring.standing import counted, denied, shown_better
from chestgan_core.evaluation.version import VERSION
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_version
from chestgan_core.store.forgotten import keep_unless_forgotten
from chestgan_core.store.store import Store

STEM = "month"
PAGE, PDF, TEXT, PICTURE, DATA = (
    f"{STEM}.html", f"{STEM}.pdf", f"{STEM}.md", f"{STEM}.png", f"{STEM}.json",
)  # fmt: skip
MEASURES = ("KID", "FID", "coverage", "memorized fraction", "placement", "detection utility")
OUTCOMES = (
    "Nearer to held-out patients than before",
    "Nearer than before, and refused by the release gate",
    "Nearer than before by the first extractor, which another one denies",
    "Farther than before",
    "No difference shown",
    "Reported for the first time",
    "Not comparable with before",
    "Without a KID, now or before",
)
NEARER, REFUSED, DENIED, FARTHER, NO_DIFFERENCE, FIRST, UNLIKE, UNMEASURED = OUTCOMES
KINDS = (("runs", "finished trainings"), ("reports", "reports"), ("sets", "published sets"))


@dataclass(frozen=True)
class StoredMonth:
    """A committed report of a month. picture_png: empty for a month without reports."""

    uri: str
    version: str
    month: Month
    picture_png: bytes


def report_month(store: Store, name: str, folder: Path) -> StoredMonth:
    """Write and commit the report of a month (YYYY-MM); its version is decided by what was committed in the month.

    Raises BadInput (not a month), StoreError.
    """
    month = read_month(store, name)
    version = content_version(VERSION, month.as_json())
    manifest_key = keys.month_manifest(name, version)
    if not store.is_complete(manifest_key):
        files = write_month(month, folder)
        manifest = {"kind": "monthly-report", "month": name, "counts": dict(month.counts)}
        store.commit(manifest_key, {file.relative_to(folder).as_posix(): file for file in files}, manifest)
        runs = [keys.run_manifest(one.experiment, one.run) for one in month.runs]
        runs += [
            keys.run_manifest(one.report.name, one.report.payload.run.run)
            for one in month.reports
            if one.report.payload.run
        ]
        keep_unless_forgotten(store, manifest_key, runs)
    store.update_pointer(keys.month_latest(name), {"version": version})
    artefact = store.read_manifest(manifest_key)
    drawn = any(artefact.name(item) == PICTURE for item in artefact.objects)
    return StoredMonth(
        store.uri(manifest_key), version, month, store.read(artefact, PICTURE) if drawn else b""
    )


def write_month(month: Month, folder: Path) -> list[Path]:
    """Write the files; returns them."""
    picture = month_png(month)
    pictures = {PICTURE: picture} if picture else {}
    pages = document_files(_document(month, picture), STEM, pictures)
    data = {DATA: canonical_json(month.as_json())}
    return list(write_files(folder, pictures | pages | data).values())


def as_text(month: Month) -> str:
    """The month in lines, for a terminal."""
    counts = ", ".join(f"{month.counts[kind]} {label}" for kind, label in KINDS)
    verdict = _verdict(month)
    lines = [f"{first_day(month.name):%B %Y} (UTC): {counts}", *(verdict.lines or (f"{verdict.title}.",))]
    lines += [
        f"{day}  {report.name}: {'passed' if report.payload.gate.passed else 'refused'}; {report.payload.gate.line()}"
        for day, report in month.gates
    ]
    lines += [f"{one.day}  set {one.name} {one.version}: {one.images} images" for one in month.sets]
    lines += [f"could not be read: {line}" for line in month.unreadable]
    return "\n".join(map(escaped, lines))


def _document(month: Month, picture: bytes) -> Document:
    passed = sum(report.payload.gate.passed for _, report in month.gates)
    caption = (
        "The first images of the newest report of each experiment, and KID before and now. Dashed: the floor."
    )
    return Document(
        title=f"{first_day(month.name):%B %Y}",
        lead="What was committed to the store in this month (UTC), beside what was there before.",
        summary=(
            _verdict(month),
            Tiles(
                (
                    *(
                        Tile(label, str(month.counts[kind]), f"month before: {month.counts_before[kind]}")
                        for kind, label in KINDS
                    ),
                    Tile("release gate", f"{passed} passed", f"{len(month.gates) - passed} refused")
                    if month.gates
                    else Tile("release gate", "none", "no reports"),
                )
            ),
            *([Figure(picture, "Newest images", caption)] if picture else []),
        ),
        sections=(
            Section("Reports beside earlier ones", tuple(_reports(month.reports))),
            Section("Passed and refused", tuple(_gates(month))),
            Section("Trained", tuple(_runs(month))),
            Section("Published", tuple(_sets(month))),
            Section("Could not be read", (Bullets(month.unreadable),) if month.unreadable else ()),
        ),
    )


def _verdict(month: Month) -> Notice:
    if not any(month.counts.values()):
        return Notice("plain", "Nothing was committed to the store in this month")
    moved: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES}
    for one in month.reports:
        moved[_outcome(one)].append(one.report.name)
    lines = [f"{outcome}: {', '.join(names)}." for outcome, names in moved.items() if names]
    refused = any(not report.payload.gate.passed for _, report in month.gates)
    tone: Tone = "care" if month.unreadable or refused else "plain"
    return Notice(tone, "In short", tuple(lines or ["There are no reports."]))


def _outcome(one: MonthReport) -> str:
    """Which of OUTCOMES a report is, beside the one before: by KID, beyond what chance may explain. Better is only what
    the gate does not refuse, and no extractor denies.
    """
    if one.before is None:
        return FIRST
    if one.reasons:
        return UNLIKE
    if counted(one.report.payload, "KID") is None or counted(one.before.payload, "KID") is None:
        return UNMEASURED
    if shown_better(one.before, one.report):
        return FARTHER
    if not shown_better(one.report, one.before):
        return NO_DIFFERENCE
    if not one.report.payload.gate.passed:
        return REFUSED
    return DENIED if denied(one.report, one.before) else NEARER


def _reports(reports: Sequence[MonthReport]) -> list[Block]:
    """A table of numbers, each above the earlier one; then the reasons why some are not comparable."""
    if not reports:
        return []
    measures = [name for name in MEASURES if any(one.report.row(name) for one in reports)]
    lines = []
    for one in reports:
        now = [_number(one.report, name) for name in measures]
        lines.append((one.report.name, one.day, *now, _floor(one.report)))
        if one.before:
            then = [_number(one.before, name) for name in measures]
            lines.append(("before", one.before_day, *then, _floor(one.before)))
    named = [next(label(row) for one in reports if (row := one.report.row(name))) for name in measures]
    head = ("experiment", "day", *named, "floor of KID")
    blocks: list[Block] = [Table(head, tuple(lines), (2.6, 1.6, *[1.8] * len(measures), 1.6))]
    reasons: dict[str, list[str]] = {}
    for one in reports:
        for reason in one.reasons:
            reasons.setdefault(reason, []).append(one.report.name)
    if reasons:
        lines_of_reasons = tuple(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
        blocks += [Paragraph("Not comparable with before:"), Bullets(lines_of_reasons)]
    return blocks


def _number(report: ReadReport, measure: str) -> str:
    row = report.row(measure)
    return bare(row.number(row.value, row.sd)) if row else "none"


def _floor(report: ReadReport) -> str:
    row = report.row("KID")
    return bare(row.number(row.floor, row.floor_sd)) if row else "none"


def _gates(month: Month) -> list[Block]:
    lines = tuple(
        (
            report.name,
            day,
            "passed" if report.payload.gate.passed else "refused",
            " ".join(
                (
                    *(refusals(report.payload.gate) or (f"{report.payload.gate.passed_line()}.",)),
                    *open_sentences(report.payload.gate),
                )
            ),
        )
        for day, report in month.gates
    )
    return [Table(("experiment", "day", "gate", "reason"), lines, (2.4, 1.6, 1.3, 6))] if lines else []


def _runs(month: Month) -> list[Block]:
    lines = tuple(
        (
            run.experiment,
            run.day,
            run.dataset,
            f"{run.images_seen:,}",
            f"{duration(run.seconds)} on {run.device}",
            run.run,
        )
        for run in month.runs
    )
    head = ("experiment", "day", "dataset", "images seen", "time", "run")
    return [Table(head, lines, (2.6, 1.6, 2.6, 1.8, 2.2, 2))] if lines else []


def _sets(month: Month) -> list[Block]:
    lines = tuple(
        (one.name, one.day, one.version, f"{one.images:,}", f"{one.bytes / 1e6:.1f} MB") for one in month.sets
    )
    return [Table(("set", "day", "version", "images", "size"), lines, (3, 1.6, 3, 1.6, 1.6))] if lines else []
