"""The thesis' scores as blocks of a page.

In: the `legacy` of a report.json: `label`, `why`, `rows` (measure, value, real, notes, published: model -> value) and
`score`. Out: tables with the published numbers beside, for one report or for several.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chestgan_core.documents.blocks import Block, Paragraph, Table
from chestgan_core.evaluation.legacy import number

Legacy = Mapping[str, Any]
# Experiments beside each other in one table.
MOST_COLUMNS = 4


def legacy_blocks(legacy: Legacy, word: str) -> list[Block]:
    """The scores of one report. word: how the images that are not synthetic are called."""
    models = _models([legacy])
    lines = [
        (
            row["measure"],
            number(row["measure"], row["value"]),
            number(row["measure"], row["real"]),
            *(number(row["measure"], row["published"].get(model)) for model in models),
        )
        for row in legacy["rows"]
    ]
    lines.append(("weighted score", _score(legacy), "", *_published_scores(legacy, models)))
    head = ("measure", "this model", f"{word} against {word}", *(f"published, {model}" for model in models))
    notes = [_notes(row, word) for row in legacy["rows"]]
    return [
        Paragraph(f"{legacy['label'].capitalize()}. {legacy['why']}"),
        Table(head, tuple(lines), (2.4, *[1.8] * (len(head) - 1))),
        Table(("measure", "notes", "instrument", "images", "took"), tuple(notes), (2, 6, 2.4, 2, 1.2)),
        Paragraph(f"Score: {legacy['score']['note']}.", small=True),
    ]


def _notes(row: Mapping[str, Any], word: str) -> tuple[str, ...]:
    said = [row["note"], f"{word} against {word}: {row['real_note']}" if row["real_note"] else ""]
    counts = [f"{row['n']} + {row['n']}"] if row["pairs"] is None else [f"{row['pairs']} pairs"]
    return (
        row["measure"],
        ". ".join(some for some in said if some),
        row["instrument"] or "none",
        *counts,
        f"{row['seconds']:.2f} s",
    )


def legacy_comparison(reports: Sequence[tuple[str, Mapping[str, Any]]], word: str) -> list[Block]:
    """The scores of several experiments beside each other. reports: name and report.json of each."""
    having = [(name, told["legacy"]) for name, told in reports if told.get("legacy")]
    if not having:
        return []
    first = having[0][1]
    tables = [having[at : at + MOST_COLUMNS] for at in range(0, len(having), MOST_COLUMNS)]
    said = Paragraph(f"{first['label'].capitalize()}. {first['why']}")
    return [said, *(_compared(some, word) for some in tables)]


def _compared(having: Sequence[tuple[str, Legacy]], word: str) -> Table:
    blocks = [legacy for _, legacy in having]
    models = _models(blocks)
    lines = []
    for measure in dict.fromkeys(row["measure"] for legacy in blocks for row in legacy["rows"]):
        rows = [_row(legacy, measure) for legacy in blocks]
        reals = dict.fromkeys(number(measure, row.get("real")) for row in rows)
        lines.append(
            (
                measure,
                *(number(measure, row.get("value")) for row in rows),
                ", ".join(reals),
                *(number(measure, rows[0].get("published", {}).get(model)) for model in models),
            )
        )
    scores = [_score(legacy) for legacy in blocks]
    lines.append(("weighted score", *scores, "", *_published_scores(blocks[0], models)))
    names = [name for name, _ in having]
    head = ("measure", *names, f"{word} against {word}", *(f"published, {model}" for model in models))
    return Table(head, tuple(lines), (2.4, *[2.0] * len(names), 1.8, *[1.7] * len(models)))


def _models(blocks: Sequence[Legacy]) -> list[str]:
    """The models of which the thesis published numbers."""
    return list(
        dict.fromkeys(model for legacy in blocks for row in legacy["rows"] for model in row["published"])
    )


def _row(legacy: Legacy, measure: str) -> Mapping[str, Any]:
    return next((row for row in legacy["rows"] if row["measure"] == measure), {})


def _score(legacy: Legacy) -> str:
    value = legacy["score"]["value"]
    return "none" if value is None else f"{value} of {legacy['score']['of']}"


def _published_scores(legacy: Legacy, models: Sequence[str]) -> tuple[str, ...]:
    told = legacy["score"]["published"]
    return tuple(f"{told[model]} of {legacy['score']['of']}" if model in told else "none" for model in models)
