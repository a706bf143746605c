"""The metric report as a document: report.html (one file, opens offline), report.pdf and report.md.

In: the payload of a report, its figures as PNG, and the pictures that its training left. Out: a folder with both pages,
report.json and figures/*.png. A report without a run, a gate or the measures of the thesis system lacks their sections.
Every number is put into words, and what limits the numbers is said before them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path

from chestgan_core.config.dataset import ImageKind
from chestgan_core.documents.blocks import (
    Block,
    Bullets,
    Document,
    Facts,
    Figure,
    Notice,
    Pair,
    Paragraph,
    Section,
    Table,
)
from chestgan_core.documents.files import document_files, write_files
from chestgan_core.evaluation.pages.attack_page import attack_blocks
from chestgan_core.evaluation.pages.figures import chart_blocks, closest_blocks, draw_figures, sheet_block
from chestgan_core.evaluation.pages.group_page import group_blocks
from chestgan_core.evaluation.pages.second_opinions import about_training, opinion_blocks
from chestgan_core.evaluation.pages.sentences import cautions, ended_by_clock, sentence
from chestgan_core.evaluation.pages.tumour_page import tumour_blocks
from chestgan_core.evaluation.pages.verdict import bare, gate_table, headlines, tumour_headlines, verdict
from chestgan_core.evaluation.reader_study import REALISM, ReaderStudyBlock
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import APART, MetricRow, first_opinions
from chestgan_core.evaluation.scoring.provenance import data_in_words, run_in_words
from chestgan_core.evaluation.scoring.read_report import REPORT_FILE
from chestgan_core.evaluation.scoring.report_payload import ReportPayload
from chestgan_core.evaluation.thesis.page import thesis_blocks
from chestgan_core.imaging.pictures import shrink_to_width

CURVES, PROGRESS = "curves.png", "progress.png"
STEM = "report"
PAGE, PDF, TEXT, FIGURES = f"{STEM}.html", f"{STEM}.pdf", f"{STEM}.md", "figures"
MAX_WIDTH = 1200  # pixels of a training's pictures on the page
SHARED = ("extractor", "split", "seed", "snapshot")
GROUPS = {
    "distance": "How far from held-out patients",
    "manifold": "Fidelity and coverage",
    "diversity": "How different the images are from each other",
    "plausibility": "Values and anatomy",
    "classifier": "Recognized by a classifier",
    "utility": "Usefulness for training",
    "memorization": "Repeated from training",
    "attack": "Who was trained on, by attacks",
    "tumour": "Tumours that were asked for",
    "detection": "Usefulness for training a detector",
    "subject": "Slices of one synthetic patient",
}
SOURCES = {
    "KID": "KID (Bińkowski 2018)",
    "FID": "FID (Heusel 2017)",
    "precision": "precision and recall (Kynkäänniemi 2019)",
    "coverage": "density and coverage (Naeem 2020)",
    "MS-SSIM": "MS-SSIM (Wang 2003)",
    "radiomics": "radiomic features (Haralick 1973, Galloway 1975, Mallat 1989; after Konz 2024, not their distance)",
    "AUC": "classifier two-sample test (Lopez-Paz 2017)",
    "memorized fraction": "nearest training against nearest held-out patient (Alaa 2021)",
    "attack AUC": "membership attacks (Chen 2020, Hilprecht 2019, van Breugel 2023, Hayes 2019)",
    "placement": "detector by heat maps (Zhou 2019)",
    "detection utility": "average precision at every point of the curve (Everingham 2015), FROC (Bunch 1978)",
}


def write_report(
    report: MetricReport, folder: Path, training: Mapping[str, bytes] | None = None
) -> list[Path]:
    """Write figures/*.png, report.html (one file, opens offline), report.pdf, report.md (beside its figures) and
    report.json; returns the files.

    training: pictures that the training left, for the page: curves.png, progress.png. report.json comes last: where it
    is, the report is complete.
    """
    figures = draw_figures(report, folder / FIGURES)
    written = write_pages(report, figures, folder, training)
    return [*(folder / FIGURES / name for name in figures), *written]


def write_pages(
    payload: ReportPayload,
    figures: Mapping[str, bytes],
    folder: Path,
    training: Mapping[str, bytes] | None = None,
) -> list[Path]:
    """Write report.html, report.pdf, report.md and report.json, from figures that are there already; returns the files.

    figures: PNG by file name. training: the run's curves.png and progress.png. Pictures of report.md that are not among
    the figures are written beside them.
    """
    document = _document(payload, figures, training or {})
    text = json.dumps(payload.as_json(), indent=2, sort_keys=True, allow_nan=False)
    files = document_files(document, STEM, {f"{FIGURES}/{name}": png for name, png in figures.items()})
    return list(write_files(folder, {**files, REPORT_FILE: f"{text}\n".encode()}).values())


def _document(report: ReportPayload, figures: Mapping[str, bytes], training: Mapping[str, bytes]) -> Document:
    rows, image_kind, size = report.rows, report.image_kind, report.resolution
    of_images = [row for row in first_opinions(rows) if row.group not in APART]
    window = f"window {report.window}" if report.window.unit == "HU" else str(report.window)
    split = f", {rows[0].split}" if rows else ""
    care = [
        *about_training(report.provenance, rows),
        *ended_by_clock(report.run),
        *cautions(rows, report.patients_real, image_kind),
    ]
    return Document(
        title=f"Metric report: {report.model_title}",
        lead=f"Compared with: {report.source_title}. {size} x {size} pixels, {window}{split}.",
        summary=(
            verdict(report),
            *(tiles for tiles in (headlines(rows, image_kind), tumour_headlines(rows)) if tiles.items),
            sheet_block(report, figures),
            *([Notice("care", "Read with care", tuple(care))] if care else []),
        ),
        sections=(
            Section("Release gate", (gate_table(report.gate),) if report.gate else ()),
            Section("In words", tuple(_in_words(first_opinions(rows), image_kind))),
            Section("Reader study", tuple(_reader_study(report.reader_study, report.row("coverage")))),
            Section("Measures", tuple(_measures(of_images, image_kind))),
            Section("By groups of patients", tuple(group_blocks(report, figures))),
            Section("Second opinions", tuple(opinion_blocks(rows))),
            Section("What was asked of the images", tuple(tumour_blocks(report, figures))),
            Section("Values and features", tuple(_charts(chart_blocks(report, figures)))),
            Section("Repeated from training?", tuple(closest_blocks(figures))),
            Section("Attacked before release", tuple(attack_blocks(report, figures))),
            Section("Data", (Facts(data_in_words(report.data)),) if report.data else ()),
            Section("Model", (Facts(run_in_words(report.run)),) if report.run else ()),
            Section("Training", tuple(_training(training))),
            Section(
                "Scores of the thesis system",
                tuple(thesis_blocks(report.thesis)) if report.thesis else (),
            ),
            Section("How it was measured", tuple(_method(report))),
        ),
    )


def _in_words(rows: Sequence[MetricRow], image_kind: ImageKind) -> list[Block]:
    blocks: list[Block] = []
    for group, members in groupby(rows, lambda row: row.group):
        blocks.append(Paragraph(f"{GROUPS[group]}:"))
        blocks.append(Bullets(tuple(sentence(row, image_kind) for row in members)))
    return blocks


def _reader_study(study: ReaderStudyBlock | None, coverage: MetricRow | None) -> list[Block]:
    """What people saw, beside how much of the real images the synthetic ones cover."""
    if study is None:
        return []
    measured = coverage is not None and coverage.value is not None
    beside = (
        f"{coverage.number(coverage.value, coverage.sd)}{_floor(coverage)}"
        if measured and coverage
        else "not measured"
    )
    return [Paragraph(REALISM), Facts((*study.facts(), ("coverage", beside)))]


def _floor(row: MetricRow) -> str:
    return "" if row.floor is None else f"; floor {row.number(row.floor, row.floor_sd)}"


def _measures(rows: Sequence[MetricRow], image_kind: ImageKind) -> list[Block]:
    """The numbers; then the facts that all rows have in common; then those in which rows differ, with the notes."""
    if not rows:
        return []
    floor = f"{image_kind} against {image_kind}"
    head = (
        "measure",
        "best",
        "value",
        "95% interval",
        floor,
        f"{image_kind} + synthetic",
        "images of the floor",
    )
    lines = [
        (
            row.measure,
            row.better,
            row.number(row.value, row.sd),
            bare(row.interval) or "none",
            row.number(row.floor, row.floor_sd),
            f"{row.n_real} + {row.n_fake}",
            f"{row.floor_n} + {row.floor_n}" if row.floor_n else "none",
        )
        for row in rows
    ]
    fields = [asdict(row) for row in rows]
    shared = [name for name in SHARED if len({line[name] for line in fields}) == 1]
    own = [name for name in SHARED if name not in shared]
    notes = [
        (
            row.measure,
            f"{row.note}. Floor: {row.floor_note}.",
            *(_named(name, str(line[name])) for name in own),
            f"{row.seconds:.2f} s",
        )
        for row, line in zip(rows, fields, strict=True)
    ]
    return [
        Table(head, tuple(lines), (2.6, 1.2, 3, 2.6, 3, 2, 2)),
        Facts(tuple((name, str(fields[0][name]) or "none") for name in shared)),
        Table(("measure", "notes", *own, "time"), tuple(notes), (2, 7, *[2.0] * len(own), 1.2)),
    ]


def _named(name: str, value: str) -> str:
    """Of an extractor only its name: its whole id stands once, under "How it was measured"."""
    return value.partition(":")[0] if name == "extractor" else value


def _charts(charts: Sequence[Figure]) -> list[Block]:
    """Two per line."""
    pairs = [Pair((charts[at], charts[at + 1])) for at in range(0, len(charts) - 1, 2)]
    return [*pairs, *([replace(charts[-1], width=0.5)] if len(charts) % 2 else [])]


def _training(pictures: Mapping[str, bytes]) -> list[Block]:
    blocks: list[Block] = []
    if png := pictures.get(CURVES):
        caption = "Losses, outputs of the discriminator and, with validation, KID against held-out patients."
        blocks.append(Figure(shrink_to_width(png, MAX_WIDTH), "Curves", caption))
    if png := pictures.get(PROGRESS):
        caption = (
            "The same eight seeds during the training: the earliest row at the top, the latest at the bottom."
        )
        blocks.append(Figure(shrink_to_width(png, MAX_WIDTH), "Progress", caption, 0.6))
    return blocks


def _method(report: ReportPayload) -> list[Block]:
    extractors = tuple(
        (f"extractor {extractor.name}", f"{extractor.about} {extractor.id}".strip())
        for extractor in report.extractors
    )
    provenance = tuple((name, str(value)) for name, value in report.provenance.items())
    return [
        Paragraph(
            "Both sides have the same number of images, drawn by the seed, and go through the same window, antialiased"
            f" resize and extractor. The floor is the same measure between two groups of {report.image_kind} patients."
        ),
        Facts((*extractors, *provenance)),
        Paragraph(_sources(report.rows), small=True),
    ]


def _sources(rows: Sequence[MetricRow]) -> str:
    measures = {row.measure for row in rows} | {row.extractor.partition(":")[0] for row in rows}
    sources = ", ".join(source for measure, source in SOURCES.items() if measure in measures)
    return (
        f"{sources}. These measures say how similar two sets of images are. They say nothing about diagnostic value, or"
        " about whether information on training patients can be recovered from the model."
    )
