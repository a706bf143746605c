"""The metric report as a document: report.html (one file, opens offline) and report.pdf, with its figures.

In: a MetricReport, and the pictures that its training left. Out: a folder with both and figures/*.png. What the report
does not have (a run, a gate, the thesis' scores) has no section. Every number is put into words, and what makes the
numbers coarse is said before them.
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
from chestgan_core.documents.html import as_html
from chestgan_core.documents.pdf import as_pdf
from chestgan_core.evaluation.pages.figures import draw_charts, draw_closest, draw_sheet
from chestgan_core.evaluation.pages.sentences import cautions, sentence
from chestgan_core.evaluation.pages.verdict import bare, gate_table, headlines, verdict
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.provenance import data_in_words, run_in_words
from chestgan_core.evaluation.thesis.page import thesis_blocks
from chestgan_core.imaging.pictures import narrowed
from chestgan_core.local.files import replacing

CURVES, PROGRESS = "curves.png", "progress.png"
MOST_ACROSS = 1200  # pixels of a training's pictures inside the page
SHARED = ("extractor", "split", "seed", "snapshot")
GROUPS = {
    "distance": "How far from held-out patients",
    "manifold": "What is covered, and what is made up",
    "diversity": "How different the images are from each other",
    "plausibility": "Values and anatomy",
    "classifier": "Told apart by a classifier",
    "utility": "Of use for training",
    "memorization": "Repeated from training",
}
SOURCES = {
    "KID": "KID (Bińkowski 2018)",
    "FID": "FID (Heusel 2017)",
    "precision": "precision and recall (Kynkäänniemi 2019)",
    "coverage": "density and coverage (Naeem 2020)",
    "MS-SSIM": "MS-SSIM (Wang 2003)",
    "AUC": "classifier two-sample test (Lopez-Paz 2017)",
    "memorized share": "nearest training against nearest held-out patient (Alaa 2021)",
}


def write_report(
    report: MetricReport, folder: Path, training: Mapping[str, bytes] | None = None
) -> list[Path]:
    """Write report.json, report.html (one file, opens offline), report.pdf and figures/*.png; returns the files.

    training: pictures that the training left, which the page shows: curves.png, progress.png. report.json comes last:
    where it is, the report is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = write_page(report, folder, training)
    path = folder / "report.json"
    told = json.dumps(report.as_json(), indent=2, sort_keys=True, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(told + "\n", encoding="utf-8")
    return [*written, path]


def write_page(report: MetricReport, folder: Path, training: Mapping[str, bytes] | None = None) -> list[Path]:
    """Write figures/*.png, report.html and report.pdf; returns the files.

    training: the run's curves.png and progress.png.
    """
    figures = folder / "figures"
    document = _document(
        report,
        sheet=draw_sheet(report, figures),
        charts=draw_charts(report, figures),
        closest=draw_closest(report, figures),
        training=training or {},
    )
    written = [*sorted(figures.iterdir())]
    for name, data in (("report.html", as_html(document).encode()), ("report.pdf", as_pdf(document))):
        with replacing(folder / name) as temporary:
            temporary.write_bytes(data)
        written.append(folder / name)
    return written


def _document(
    report: MetricReport,
    *,
    sheet: Figure,
    charts: Sequence[Figure],
    closest: Sequence[Figure],
    training: Mapping[str, bytes],
) -> Document:
    told, rows, image_kind, size = report.as_json(), report.rows, report.image_kind, report.resolution
    window = f"window {report.window}" if report.window.unit == "HU" else str(report.window)
    split = f", {rows[0].split}" if rows else ""
    care = cautions(rows, report.patients_real, image_kind)
    return Document(
        title=f"Metric report: {report.model_title}",
        lead=f"Compared with: {report.source_title}. {size} x {size} pixels, {window}{split}.",
        summary=(
            verdict(told, rows),
            *([tiles] if (tiles := headlines(rows, image_kind)).items else []),
            sheet,
            *([Notice("care", "Read with care", tuple(care))] if care else []),
        ),
        sections=(
            Section("Release gate", (gate_table(told["gate"]),) if told.get("gate") else ()),
            Section("In words", tuple(_in_words(rows, image_kind))),
            Section("Measures", tuple(_measures(rows, image_kind))),
            Section("Values and features", tuple(_charts(charts))),
            Section("Repeated from training?", tuple(closest)),
            Section("Data", (Facts(data_in_words(told["data"])),) if told.get("data") else ()),
            Section("Model", (Facts(run_in_words(told["run"])),) if told.get("run") else ()),
            Section("Training", tuple(_training(training))),
            Section(
                "The thesis' scores",
                tuple(thesis_blocks(told["thesis"], image_kind)) if told.get("thesis") else (),
            ),
            Section("How it was measured", tuple(_method(report))),
        ),
    )


def _in_words(rows: Sequence[MetricRow], image_kind: ImageKind) -> list[Block]:
    blocks: list[Block] = []
    for group, some in groupby(rows, lambda row: row.group):
        blocks.append(Paragraph(f"{GROUPS[group]}:"))
        blocks.append(Bullets(tuple(sentence(row, image_kind) for row in some)))
    return blocks


def _measures(rows: Sequence[MetricRow], image_kind: ImageKind) -> list[Block]:
    """Numbers first; then what all of them share, and what only some do."""
    if not rows:
        return []
    floor = f"{image_kind} against {image_kind}"
    head = ("measure", "best", "value", "95% interval", floor, f"{image_kind} + synthetic", "of the floor")
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
    told = [asdict(row) for row in rows]
    shared = [name for name in SHARED if len({line[name] for line in told}) == 1]
    own = [name for name in SHARED if name not in shared]
    notes = [
        (
            row.measure,
            f"{row.note}. Floor: {row.floor_note}.",
            *(_named(name, str(line[name])) for name in own),
            f"{row.seconds:.2f} s",
        )
        for row, line in zip(rows, told, strict=True)
    ]
    return [
        Table(head, tuple(lines), (2.6, 1.2, 3, 2.6, 3, 2, 2)),
        Facts(tuple((name, str(told[0][name]) or "none") for name in shared)),
        Table(("measure", "notes", *own, "took"), tuple(notes), (2, 7, *[2.0] * len(own), 1.2)),
    ]


def _named(name: str, value: str) -> str:
    """Of an extractor its name alone: what decides its numbers stands once, under how it was measured."""
    return value.partition(":")[0] if name == "extractor" else value


def _charts(charts: Sequence[Figure]) -> list[Block]:
    """Two a line."""
    pairs = [Pair((charts[at], charts[at + 1])) for at in range(0, len(charts) - 1, 2)]
    return [*pairs, *([replace(charts[-1], width=0.5)] if len(charts) % 2 else [])]


def _training(pictures: Mapping[str, bytes]) -> list[Block]:
    blocks: list[Block] = []
    if png := pictures.get(CURVES):
        caption = (
            "Losses, what the discriminator says, and KID against held-out patients where the plan selects."
        )
        blocks.append(Figure(narrowed(png, MOST_ACROSS), "Curves", caption))
    if png := pictures.get(PROGRESS):
        caption = "The same eight seeds over the training: the first row at the top, the last at the bottom."
        blocks.append(Figure(narrowed(png, MOST_ACROSS), "Progress", caption, 0.6))
    return blocks


def _method(report: MetricReport) -> list[Block]:
    extractors = tuple(
        (f"extractor {told['name']}", f"{told['about']} {told['id']}".strip()) for told in report.extractors
    )
    provenance = tuple((name, str(value)) for name, value in report.provenance.items())
    return [
        Paragraph(
            "The same number of images on both sides, drawn by the seed. Both go through one window, one antialiased"
            " resize and one extractor. The floor is the same measure between two groups of"
            f" {report.image_kind} patients."
        ),
        Facts((*extractors, *provenance)),
        Paragraph(_sources(report.rows), small=True),
    ]


def _sources(rows: Sequence[MetricRow]) -> str:
    measures = {row.measure for row in rows}
    named = ", ".join(source for measure, source in SOURCES.items() if measure in measures)
    return (
        f"{named}. They say how alike two sets of images are. They say nothing about diagnostic value, and nothing"
        " about whether information on training patients can be recovered from the model."
    )
