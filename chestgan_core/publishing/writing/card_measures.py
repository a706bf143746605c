"""The part of a card about measures: each with its interval, floor, sizes and extractor; what attacks found; and what
was not measured.

In: a metric report as published. Out: blocks of a document.
"""

from collections.abc import Sequence
from itertools import groupby

from chestgan_core.documents.blocks import Block, Bullets, Facts, Paragraph, Table
from chestgan_core.evaluation.pages.attack_tables import attack_facts, attack_notes, attack_table
from chestgan_core.evaluation.pages.second_opinions import opinion_blocks
from chestgan_core.evaluation.pages.sentences import sentence
from chestgan_core.evaluation.pages.verdict import BETTER
from chestgan_core.evaluation.scoring.metric_rows import (
    APART,
    CONDITION_GROUPS,
    PIXELS,
    first_opinions,
    second_opinions,
)
from chestgan_core.evaluation.thesis.block import number
from chestgan_core.publishing.writing.provenance import Metrics, PublishedRow


def measures(metrics: Metrics | None, notes: bool = True) -> list[Block]:
    """The table of measures. notes: also every measure in words, and the extractors."""
    if metrics is None or all(row.group in APART for row in metrics.rows):
        return [Paragraph("None were measured for this set.")]
    kind, rows = metrics.image_kind, [row for row in metrics.rows if row.group not in APART]
    measured = [row for row in rows if row.value is not None]
    blocks: list[Block] = []
    if measured:
        blocks += [
            Paragraph(
                f"Compared with {rows[0].split}. Beside each value is the same measure between two groups of {kind} "
                "patients, the floor, which says what a value is worth."
            ),
            _table([row for row in first_opinions(rows) if row.value is not None], kind),
            *opinion_blocks(rows),
            Paragraph("Compare a number only with numbers that have the same extractor, n and split."),
        ]
    if metrics.covered_worse:
        blocks.append(Paragraph(metrics.covered_worse))
    blocks += _not_measured(rows)
    if notes:
        blocks += [
            Bullets(tuple(sentence(row, kind) for row in first_opinions(rows) if row.value is not None)),
            Facts(tuple(_extractors(metrics))),
            Facts(tuple((_named(row, rows), _note(row)) for row in measured)),
        ]
    return blocks


def attacked(metrics: Metrics | None, notes: bool = True) -> list[Block]:
    """What membership attacks on images and discriminator found, or that none were run. notes: also what each is."""
    rows = [row for row in metrics.rows if row.group == "attack"] if metrics else []
    if metrics is None or metrics.attacks is None:
        untried = "Whether attacks can tell which patients were trained on was not tried."
        return [Paragraph(untried), *_not_measured(rows)]
    block = metrics.attacks
    blocks: list[Block] = [Paragraph(block.verdict), attack_table(block), Paragraph(block.caution)]
    return [*blocks, *attack_notes(block), Facts(attack_facts(block))] if notes else blocks


def of_what_was_asked(metrics: Metrics | None, notes: bool = True) -> list[Block]:
    """Whether images show what was asked of them, and what a detector learns from them. notes: also in words."""
    rows = [row for row in metrics.rows if row.group in CONDITION_GROUPS] if metrics else []
    measured = [row for row in rows if row.value is not None]
    blocks: list[Block] = []
    if metrics and measured:
        blocks += [_table(measured, metrics.image_kind, "floor")]
        blocks += [Bullets(tuple(sentence(row, metrics.image_kind) for row in measured))] if notes else []
        blocks += [Facts(tuple((row.measure, _note(row)) for row in measured))] if notes else []
    else:
        blocks.append(Paragraph("Whether the images show what was asked of them was not measured."))
    return blocks + _not_measured(rows)


def legacy(metrics: Metrics | None) -> list[Block]:
    """SSIM, PSNR, LPIPS and the like, marked as what they are, beside the same between other patients."""
    if metrics is None or metrics.thesis is None:
        return []
    thesis, kind = metrics.thesis, metrics.image_kind
    rows = tuple(
        (
            row.measure,
            number(row.measure, row.value) if row.value is not None else "not measured",
            number(row.measure, row.real),
            f"{row.n:,}",
            row.note,
        )
        for row in thesis.rows
    )
    head = ("measure", "value", f"{kind} against {kind}", "n", "note")
    said = f"{thesis.label[:1].upper()}{thesis.label[1:]}. {thesis.why}"
    return [Paragraph(said), Table(head, rows, (2, 1.4, 1.8, 0.8, 5))]


def _table(rows: Sequence[PublishedRow], kind: str, floor: str = "") -> Table:
    """floor: what a floor is called; by default the same measure between patients."""
    head = (
        "measure",
        "value",
        "95% interval",
        floor or f"{kind} against {kind}",
        f"n {kind}, synthetic, floor",
        "extractor",
    )
    lines = tuple(
        (
            f"{row.measure} ({BETTER[row.better]})",
            row.number(row.value, row.sd),
            row.interval or "none",
            row.number(row.floor, row.floor_sd),
            f"{row.n_real}, {row.n_fake}, {row.floor_n}",
            row.extractor.partition(":")[0],  # its whole id stands once, below
        )
        for row in rows
    )
    return Table(head, lines, (3, 2, 2, 2, 2, 3))


def _not_measured(rows: Sequence[PublishedRow]) -> list[Block]:
    """What has no value, with the reason: an empty place would read as if there were nothing to say."""
    absent = sorted((row for row in rows if row.value is None), key=lambda row: row.note)
    lines = tuple(
        f"{', '.join(row.measure for row in members)}: {reason}"
        for reason, members in groupby(absent, key=lambda row: row.note)
    )
    return [Bullets(lines)] if lines else []


def _extractors(metrics: Metrics) -> list[tuple[str, str]]:
    """Name of each -> its id, which names network, weights and preprocessing, and what it is."""
    about = {one.id: one.about for one in metrics.extractors}
    names = dict.fromkeys(row.extractor for row in metrics.rows if row.value is not None)
    return [
        (one.partition(":")[0], "; ".join(filter(None, [one, about.get(one, "")])))
        for one in names
        if one != PIXELS
    ]


def _named(row: PublishedRow, rows: Sequence[PublishedRow]) -> str:
    """The measure, and whose it is where it is a second opinion."""
    further = row in second_opinions(rows)
    return f"{row.measure}, {row.extractor.partition(':')[0]}" if further else row.measure


def _note(row: PublishedRow) -> str:
    return f"{row.note}. Floor: {row.floor_note}." if row.floor_note else f"{row.note}."
