"""A comparison as a document, and as an artefact of the store.

In: a Comparison. Out: comparison.json, comparison.html, comparison.pdf, comparison.md, comparison.png (samples and
measures) and curves.png in a folder; `comparisons/<name>/<version>/` in the store. For experiments that are not
comparable the page gives the reasons, and images and numbers without bars and ranks.
"""

from dataclasses import dataclass
from pathlib import Path

from chestgan_core.documents.blocks import Block, Document, Figure, Notice, Paragraph, Section, Tiles
from chestgan_core.documents.files import document_files, write_files
from chestgan_core.evaluation.comparison.charts import curves_png, samples_png
from chestgan_core.evaluation.comparison.comparison import Comparison
from chestgan_core.evaluation.comparison.tables import (
    gates_table,
    measures_tables,
    provenance_table,
    settings_tables,
    trainings_table,
)
from chestgan_core.evaluation.pages.nearest import RANKED, best_tiles, nearest_notice
from chestgan_core.evaluation.pages.second_opinions import about_training
from chestgan_core.evaluation.pages.sentences import cautions
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.thesis.page import thesis_comparison
from chestgan_core.evaluation.version import VERSION
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_version
from chestgan_core.store.forgotten import keep_unless_forgotten
from chestgan_core.store.store import Store

STEM = "comparison"
PAGE, PDF, TEXT, PICTURE, CURVES, DATA = (
    f"{STEM}.html", f"{STEM}.pdf", f"{STEM}.md", f"{STEM}.png", "curves.png", f"{STEM}.json",
)  # fmt: skip


@dataclass(frozen=True)
class StoredComparison:
    """A committed comparison. picture_png: samples and measures."""

    uri: str
    version: str
    comparison: Comparison
    picture_png: bytes


def commit_comparison(
    store: Store, name: str, title: str, comparison: Comparison, folder: Path
) -> StoredComparison:
    """Write the pages and commit them; the same reports give the same version. Raises StoreError."""
    version = content_version(VERSION, title, comparison.as_json())
    manifest_key = keys.comparison_manifest(name, version)
    if not store.is_complete(manifest_key):
        files = write_comparison(comparison, title, folder)
        manifest = {
            "kind": "comparison",
            "title": title,
            "comparable": not comparison.reasons,
            "reports": {one.name: one.version for one in comparison.experiments},
        }
        store.commit(manifest_key, {file.relative_to(folder).as_posix(): file for file in files}, manifest)
        reports = [
            keys.report_manifest(one.name, one.payload.run.run, one.version)
            for one in comparison.experiments
            if one.payload.run
        ]
        keep_unless_forgotten(store, manifest_key, reports)
    store.update_pointer(keys.comparison_latest(name), {"version": version})
    artefact = store.read_manifest(manifest_key)
    return StoredComparison(store.uri(manifest_key), version, comparison, store.read(artefact, PICTURE))


def write_comparison(comparison: Comparison, title: str, folder: Path) -> list[Path]:
    """Write the files; returns them."""
    samples, curves = samples_png(comparison), curves_png(comparison)
    document = _document(comparison, title, samples, curves)
    pictures = {PICTURE: samples, CURVES: curves}
    pages = document_files(document, STEM, pictures)
    data = {DATA: canonical_json(comparison.as_json())}
    return list(write_files(folder, pictures | pages | data).values())


def as_text(comparison: Comparison) -> str:
    """A table for a terminal, after the reasons why its numbers are not comparable."""
    width = max(len(one.name) for one in comparison.experiments)
    lines = [f"not comparable: {reason}" for reason in comparison.reasons]
    for one in comparison.experiments:
        numbers = [
            f"{row.measure} {row.number(row.value, row.sd)}" for name in RANKED if (row := one.row(name))
        ]
        lines.append(f"{one.name:{width}}  {'   '.join(numbers)}")
    floors = [
        f"{row.measure} {row.number(row.floor, row.floor_sd)}"
        for name in RANKED
        if (row := comparison.experiments[0].row(name))
    ]
    image_kind = comparison.image_kind
    return "\n".join(
        [
            *lines,
            *([] if comparison.reasons else [f"{image_kind} against {image_kind}: {'   '.join(floors)}"]),
        ]
    )


def _document(comparison: Comparison, title: str, samples: bytes, curves: bytes) -> Document:
    found = comparison.experiments
    data = found[0].payload.data
    return Document(
        title=title,
        lead=_lead(comparison),
        summary=(
            _verdict(comparison),
            *_best(comparison),
            Figure(
                samples, "Samples and measures" if not comparison.reasons else "Samples", _caption(comparison)
            ),
            *_cautions(comparison),
        ),
        sections=(
            Section("Measures", tuple(measures_tables(comparison))),
            Section(
                "Scores of the thesis system",
                tuple(
                    thesis_comparison(
                        [(one.name, one.payload.thesis) for one in found], comparison.image_kind
                    )
                ),
            ),
            Section("Release gate", (gates_table(found),)),
            Section(
                "Training",
                (
                    trainings_table(found),
                    Figure(
                        curves,
                        "Curves",
                        "Different losses have no common scale, so each run has its own panel.",
                    ),
                ),
            ),
            Section("What differs between the experiments", tuple(settings_tables(comparison))),
            Section(
                "Provenance",
                (
                    provenance_table(found),
                    Paragraph(f"{data.title}. Licence: {data.licence}. {data.citation}".strip(), small=True),
                ),
            ),
        ),
    )


def _lead(comparison: Comparison) -> str:
    first = comparison.experiments[0]
    names = ", ".join(one.name for one in comparison.experiments)
    if comparison.reasons:
        return f"{names}."
    data, row, size = first.payload.data, first.payload.rows[0], first.payload.resolution
    return (
        f"{names}. Data: {data.title}, snapshot {data.snapshot}; {size} x {size} pixels; {row.split};"
        f" {row.n_real} + {row.n_fake} images; {row.extractor}."
    )


def _verdict(comparison: Comparison) -> Notice:
    if comparison.reasons:
        return Notice("bad", "These experiments are not comparable", comparison.reasons)
    return nearest_notice(comparison.experiments)


def _best(comparison: Comparison) -> list[Tiles]:
    """The best by each of the main measures, where numbers are comparable and the release gate passed something."""
    rows = {measure: comparison.experiments[0].row(measure) for measure in RANKED}
    floors = {measure: _floor(comparison, row) for measure, row in rows.items() if row}
    tiles = best_tiles([] if comparison.reasons else comparison.experiments, floors)
    return [tiles] if tiles.items else []


def _floor(comparison: Comparison, row: MetricRow) -> str:
    floors = [row.number(floor) for floor in comparison.floors(row.measure)]
    if not floors:
        return ""
    kind = comparison.image_kind
    return f"; {kind} against {kind} {' to '.join(dict.fromkeys((floors[0], floors[-1])))}"


def _caption(comparison: Comparison) -> str:
    drawn = "The first eight images of each, drawn by the seed, not chosen."
    if comparison.reasons:
        return drawn
    kind = comparison.image_kind
    return f"{drawn} Dashed: {kind} against {kind}. Black: 95% interval, or two standard errors."


def _cautions(comparison: Comparison) -> list[Block]:
    if comparison.reasons:
        return []
    first = comparison.experiments[0]
    lines = [
        f"{one.name}: {line}"
        for one in comparison.experiments
        for line in about_training(one.payload.provenance, one.payload.rows)
    ]
    lines += cautions(first.payload.rows, first.payload.patients_real, comparison.image_kind)
    return [Notice("care", "Read with care", tuple(lines))] if lines else []
