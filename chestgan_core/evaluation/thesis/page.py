"""The measures of the thesis system as blocks of a page.

In: the ThesisBlock of one report, or those of several. Out: tables with the published numbers beside.
"""

from collections.abc import Sequence

from chestgan_core.documents.blocks import Block, Paragraph, Table
from chestgan_core.evaluation.thesis.block import ThesisBlock, ThesisRow, graded, number, points

# Experiments side by side in one table.
MAX_COLUMNS = 4
GRADES_NOTE = (
    "The weighted score is that of its pipeline, the other one and the grades in brackets those of its PDF."
)


def thesis_blocks(thesis: ThesisBlock) -> list[Block]:
    """The measures of one report."""
    models = _models([thesis])
    lines = [
        (
            row.measure,
            graded(row.measure, row.value),
            number(row.measure, row.real),
            *(number(row.measure, row.published.get(model)) for model in models),
        )
        for row in thesis.rows
    ]
    lines += _scores([thesis], models)
    kind = thesis.image_kind
    head = ("measure", "this model", f"{kind} against {kind}", *(f"published, {model}" for model in models))
    notes = [_notes(row, kind) for row in thesis.rows]
    return [
        _introduction(thesis),
        Table(head, tuple(lines), (2.4, *[1.8] * (len(head) - 1))),
        Table(("measure", "notes", "instrument", "images", "time"), tuple(notes), (2, 6, 2.4, 2, 1.2)),
        Paragraph(f"Scores: {thesis.score.note}. {GRADES_NOTE}", small=True),
    ]


def _introduction(thesis: ThesisBlock) -> Paragraph:
    return Paragraph(f"{thesis.label[:1].upper()}{thesis.label[1:]}. {thesis.why}")


def _notes(row: ThesisRow, kind: str) -> tuple[str, ...]:
    notes = [row.note, f"{kind} against {kind}: {row.real_note}" if row.real_note else ""]
    return (
        row.measure,
        ". ".join(note for note in notes if note),
        row.instrument or "none",
        f"{row.n} + {row.n}" if row.pairs is None else f"{row.pairs} pairs",
        f"{row.seconds:.2f} s",
    )


def thesis_comparison(reports: Sequence[tuple[str, ThesisBlock | None]], image_kind: str) -> list[Block]:
    """The measures of several experiments side by side. reports: name and block of each."""
    present = [(name, thesis) for name, thesis in reports if thesis]
    if not present:
        return []
    tables = [present[at : at + MAX_COLUMNS] for at in range(0, len(present), MAX_COLUMNS)]
    return [_introduction(present[0][1]), *(_compared(some, image_kind) for some in tables)]


def _compared(present: Sequence[tuple[str, ThesisBlock]], kind: str) -> Table:
    blocks = [thesis for _, thesis in present]
    models = _models(blocks)
    lines = []
    for measure in dict.fromkeys(row.measure for thesis in blocks for row in thesis.rows):
        rows = [thesis.row(measure) for thesis in blocks]
        reals = dict.fromkeys(number(measure, row.real if row else None) for row in rows)
        published = rows[0].published if rows[0] else {}
        lines.append(
            (
                measure,
                *(graded(measure, row.value if row else None) for row in rows),
                ", ".join(reals),
                *(number(measure, published.get(model)) for model in models),
            )
        )
    lines += _scores(blocks, models)
    names = [name for name, _ in present]
    head = ("measure", *names, f"{kind} against {kind}", *(f"published, {model}" for model in models))
    return Table(head, tuple(lines), (2.4, *[2.0] * len(names), 1.8, *[1.7] * len(models)))


def _models(blocks: Sequence[ThesisBlock]) -> list[str]:
    """The models with published numbers."""
    return list(dict.fromkeys(model for thesis in blocks for row in thesis.rows for model in row.published))


def _scores(blocks: Sequence[ThesisBlock], models: Sequence[str]) -> list[tuple[str, ...]]:
    """Two lines: the score of its pipeline, and that of its PDF."""
    scores = [thesis.score for thesis in blocks]
    out_of = scores[0].out_of
    return [
        (
            "weighted score",
            *(points(score.value, out_of) for score in scores),
            "",
            *(points(scores[0].published.get(model), out_of) for model in models),
        ),
        (
            "unweighted score",
            *(points(score.unweighted, out_of) for score in scores),
            "",
            *(points(scores[0].published_unweighted.get(model), out_of) for model in models),
        ),
    ]
