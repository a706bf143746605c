"""A comparison as a document, and as an artefact of the store.

In: a Comparison. Out: comparison.json, comparison.html, comparison.pdf, comparison.png (samples and measures) and
curves.png in a folder; `comparisons/<name>/<version>/` in the store. For experiments that are not comparable the page
gives the reasons, and images and numbers without bars and ranks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.documents.blocks import Block, Document, Figure, Notice, Paragraph, Section, Tile, Tiles
from chestgan_core.documents.html import as_html
from chestgan_core.documents.pdf import as_pdf
from chestgan_core.evaluation.comparison.charts import curves_png, samples_png
from chestgan_core.evaluation.comparison.comparison import Comparison
from chestgan_core.evaluation.comparison.tables import (
    gates_table,
    measures_tables,
    provenance_table,
    settings_tables,
    trainings_table,
)
from chestgan_core.evaluation.pages.sentences import cautions
from chestgan_core.evaluation.scoring.metric_rows import MetricRow, difference_shown
from chestgan_core.evaluation.thesis.page import thesis_comparison
from chestgan_core.evaluation.version import VERSION
from chestgan_core.local.files import replacing
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_version
from chestgan_core.store.forgotten import keep_unless_forgotten
from chestgan_core.store.store import Store

PAGE, PDF, PICTURE, CURVES, DATA = (
    "comparison.html", "comparison.pdf", "comparison.png", "curves.png", "comparison.json",
)  # fmt: skip
RANKED = ("KID", "FID", "coverage")


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
        store.commit(manifest_key, {file.name: file for file in files}, manifest)
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
    folder.mkdir(parents=True, exist_ok=True)
    samples, curves = samples_png(comparison), curves_png(comparison)
    document = _document(comparison, title, samples, curves)
    written = []
    for name, data in (
        (PICTURE, samples),
        (CURVES, curves),
        (PAGE, as_html(document).encode()),
        (PDF, as_pdf(document)),
        (DATA, canonical_json(comparison.as_json())),
    ):
        with replacing(folder / name) as temporary:
            temporary.write_bytes(data)
        written.append(folder / name)
    return written


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
            *([] if comparison.reasons else [_best(comparison)]),
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
    row = comparison.experiments[0].row("KID")
    if row is None or row.value is None:
        return Notice(
            "care",
            "KID was not measured",
            ("So it is unknown which experiment is nearest to held-out patients.",),
        )
    ordered = _ordered(comparison, "KID")
    if len(ordered) < 2:
        return Notice("care", f"Only {ordered[0][1]} has a KID", ())
    (first, nearest), (second, runner_up) = ordered[0], ordered[1]
    tied = [name for row, name in ordered if not difference_shown(first, row)]
    seeds = "Each was trained with one seed; other seeds give other numbers."
    values = (
        f"KID {first.number(first.value, first.sd)}, of the second {second.number(second.value, second.sd)}"
    )
    if len(tied) > 1:
        why = "Their intervals overlap" if first.ends else "Their intervals are not known"
        line = f"{values}. {why}, so their order may be chance."
        return Notice("plain", f"No difference shown between {_listed(tied)}", (line,))
    lines = [f"{values} ({runner_up}). Their intervals do not overlap. {seeds}"]
    if not next(one for one in comparison.experiments if one.name == nearest).payload.gate.passed:
        lines.append("The release gate refused it nevertheless: nearest does not mean near.")
    return Notice("plain", f"Nearest to held-out patients: {nearest}", tuple(lines))


def _ordered(comparison: Comparison, measure: str) -> list[tuple[MetricRow, str]]:
    """The rows that have a value with the names of their experiments, the best first."""
    rows = [
        (row, one.name)
        for one in comparison.experiments
        if (row := one.row(measure)) and row.value is not None
    ]
    sign = -1 if rows and rows[0][0].better == "higher" else 1
    return sorted(rows, key=lambda pair: sign * (pair[0].value or 0))


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _best(comparison: Comparison) -> Tiles:
    """The best experiment by each of the main measures, where one is better than all others beyond chance."""
    tiles = []
    for measure in RANKED:
        ordered = _ordered(comparison, measure)
        if not ordered:
            continue
        (row, name), last = ordered[0], ordered[-1][0]
        tied = [one for one, _ in ordered[1:] if not difference_shown(row, one)]
        if tied or len(ordered) < 2:
            values = " to ".join(dict.fromkeys((row.number(row.value), last.number(last.value))))
            said = "no difference shown" if tied else f"only {name}"
            tiles.append(Tile(measure, said, f"{values}{_floor(comparison, row)}"))
        else:
            value = row.number(row.value, row.sd)
            tiles.append(Tile(f"best {measure}", name, f"{value}{_floor(comparison, row)}"))
    return Tiles(tuple(tiles))


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
    lines = cautions(first.payload.rows, first.payload.patients_real, comparison.image_kind)
    return [Notice("care", "Read with care", tuple(lines))] if lines else []
