"""The thesis' scores as blocks of a page.

In: the `thesis` of a report.json: `label`, `why`, `rows` (measure, value, real, notes, published: model -> value) and
`score`. Out: tables with the published numbers beside, for one report or for several.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chestgan_core.documents.blocks import Block, Paragraph, Table
from chestgan_core.evaluation.thesis.block import number

Thesis = Mapping[str, Any]
# Experiments beside each other in one table.
MOST_COLUMNS = 4


def thesis_blocks(thesis: Thesis, image_kind: str) -> list[Block]:
    """The scores of one report. image_kind: how the images that are not synthetic are called."""
    models = _models([thesis])
    lines = [
        (
            row["measure"],
            number(row["measure"], row["value"]),
            number(row["measure"], row["real"]),
            *(number(row["measure"], row["published"].get(model)) for model in models),
        )
        for row in thesis["rows"]
    ]
    lines.append(("weighted score", _score(thesis), "", *_published_scores(thesis, models)))
    head = (
        "measure",
        "this model",
        f"{image_kind} against {image_kind}",
        *(f"published, {model}" for model in models),
    )
    notes = [_notes(row, image_kind) for row in thesis["rows"]]
    return [
        Paragraph(f"{thesis['label'].capitalize()}. {thesis['why']}"),
        Table(head, tuple(lines), (2.4, *[1.8] * (len(head) - 1))),
        Table(("measure", "notes", "instrument", "images", "took"), tuple(notes), (2, 6, 2.4, 2, 1.2)),
        Paragraph(f"Score: {thesis['score']['note']}.", small=True),
    ]


def _notes(row: Mapping[str, Any], image_kind: str) -> tuple[str, ...]:
    said = [row["note"], f"{image_kind} against {image_kind}: {row['real_note']}" if row["real_note"] else ""]
    counts = [f"{row['n']} + {row['n']}"] if row["pairs"] is None else [f"{row['pairs']} pairs"]
    return (
        row["measure"],
        ". ".join(some for some in said if some),
        row["instrument"] or "none",
        *counts,
        f"{row['seconds']:.2f} s",
    )


def thesis_comparison(reports: Sequence[tuple[str, Mapping[str, Any]]], image_kind: str) -> list[Block]:
    """The scores of several experiments beside each other. reports: name and report.json of each."""
    having = [(name, told["thesis"]) for name, told in reports if told.get("thesis")]
    if not having:
        return []
    first = having[0][1]
    tables = [having[at : at + MOST_COLUMNS] for at in range(0, len(having), MOST_COLUMNS)]
    said = Paragraph(f"{first['label'].capitalize()}. {first['why']}")
    return [said, *(_compared(some, image_kind) for some in tables)]


def _compared(having: Sequence[tuple[str, Thesis]], image_kind: str) -> Table:
    blocks = [thesis for _, thesis in having]
    models = _models(blocks)
    lines = []
    for measure in dict.fromkeys(row["measure"] for thesis in blocks for row in thesis["rows"]):
        rows = [_row(thesis, measure) for thesis in blocks]
        reals = dict.fromkeys(number(measure, row.get("real")) for row in rows)
        lines.append(
            (
                measure,
                *(number(measure, row.get("value")) for row in rows),
                ", ".join(reals),
                *(number(measure, rows[0].get("published", {}).get(model)) for model in models),
            )
        )
    scores = [_score(thesis) for thesis in blocks]
    lines.append(("weighted score", *scores, "", *_published_scores(blocks[0], models)))
    names = [name for name, _ in having]
    head = (
        "measure",
        *names,
        f"{image_kind} against {image_kind}",
        *(f"published, {model}" for model in models),
    )
    return Table(head, tuple(lines), (2.4, *[2.0] * len(names), 1.8, *[1.7] * len(models)))


def _models(blocks: Sequence[Thesis]) -> list[str]:
    """The models of which the thesis published numbers."""
    return list(
        dict.fromkeys(model for thesis in blocks for row in thesis["rows"] for model in row["published"])
    )


def _row(thesis: Thesis, measure: str) -> Mapping[str, Any]:
    return next((row for row in thesis["rows"] if row["measure"] == measure), {})


def _score(thesis: Thesis) -> str:
    value = thesis["score"]["value"]
    return "none" if value is None else f"{value} of {thesis['score']['of']}"


def _published_scores(thesis: Thesis, models: Sequence[str]) -> tuple[str, ...]:
    told = thesis["score"]["published"]
    return tuple(f"{told[model]} of {thesis['score']['of']}" if model in told else "none" for model in models)
