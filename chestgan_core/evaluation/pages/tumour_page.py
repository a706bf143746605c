"""The section of a report about tumours: numbers beside floor and ceiling, what detectors learned, pictures.

In: the payload of a report and its figures. Out: blocks of a document; none where no tumour was placed.
"""

from collections.abc import Mapping, Sequence

from chestgan_core.documents.blocks import Block, Figure, Notice, Pair, Paragraph, Table
from chestgan_core.evaluation.pages.figures import FEW_PATIENTS, FROC, MAX_WIDTH, PAIRS, PLACED, SUBJECTS
from chestgan_core.evaluation.scoring.metric_rows import CONDITION_GROUPS, MetricRow
from chestgan_core.evaluation.scoring.report_payload import BETTER, ReportPayload
from chestgan_core.evaluation.scoring.tumour_block import (
    SYNTHETIC,
    Learned,
    TumourBlock,
    TumourCounts,
    in_words,
)
from chestgan_core.imaging.pictures import shrink_to_width

# Measure -> the row that is its ceiling.
CEILINGS = {
    "placement": "placement ceiling",
    "detection utility": "detection utility ceiling",
    "detection sensitivity": "detection sensitivity ceiling",
}


def tumour_blocks(report: ReportPayload, figures: Mapping[str, bytes]) -> list[Block]:
    """Numbers, tables and pictures about tumours and about what else was asked of the images."""
    rows = [row for row in report.rows if row.group in CONDITION_GROUPS]
    if not rows:
        return []
    block = report.tumours
    blocks: list[Block] = []
    if block and block.caution:
        caution = f"{block.caution[:1].upper()}{block.caution[1:]}."
        blocks.append(Notice("care", "Few tumours", (caution,)))
    blocks += [_numbers(report, rows), *_pictures(figures, report)]
    if block:
        blocks += _learned(block, figures)
    blocks.append(_notes(rows))
    return blocks


def _numbers(report: ReportPayload, rows: Sequence[MetricRow]) -> Table:
    lines = []
    for row in rows:
        ceiling = report.row(CEILINGS.get(row.measure, ""))
        lines.append(
            (
                row.measure,
                BETTER[row.better],
                row.number(row.value, row.sd),
                row.interval or "none",
                row.number(row.floor) if row.floor is not None else "",
                row.number(ceiling.value) if ceiling and ceiling.value is not None else "",
            )
        )
    head = ("measure", "best", "value", "95% interval", "floor", "ceiling")
    return Table(head, tuple(lines), (4, 1.6, 1.6, 2.4, 1.4, 1.4))


def _notes(rows: Sequence[MetricRow]) -> Table:
    lines = tuple(
        (row.measure, f"{row.note}. Floor: {row.floor_note}.", f"{row.seconds:.1f} s") for row in rows
    )
    return Table(("measure", "notes", "time"), lines, (2.4, 8, 1))


def _pictures(figures: Mapping[str, bytes], report: ReportPayload) -> list[Block]:
    kind = report.image_kind
    blocks: list[Block] = []
    if PLACED in figures:
        caption = (
            "Spread over all images by their number, not chosen. What the detector finds is shown where it is as"
            f" certain as it must be for half a false find per held-out {kind} image."
        )
        blocks.append(
            Figure(shrink_to_width(figures[PLACED], MAX_WIDTH), "Tumours, asked and found", caption)
        )
    if PAIRS in figures:
        caption = (
            "The same seeds with and without the tumour, and the difference: grey where nothing changes."
        )
        blocks.append(Figure(shrink_to_width(figures[PAIRS], MAX_WIDTH), "Pairs", caption))
    if SUBJECTS in figures:
        caption = (
            "Neighbouring slices from base to apex, of one seed; below of the held-out patient with most slices, at"
            " about the same spacing. Frame: what was asked for."
        )
        blocks.append(Figure(shrink_to_width(figures[SUBJECTS], MAX_WIDTH), "A synthetic patient", caption))
    return blocks


def _learned(block: TumourBlock, figures: Mapping[str, bytes]) -> list[Block]:
    """What detectors learned: the table, who wins with few patients, both charts."""
    kind, synthetic = block.image_kind, block.synthetic
    blocks: list[Block] = [
        Paragraph(
            f"Detectors of one size, trained on {block.images_seen:,} images seen each, from one seed, and judged on"
            f" {_counted(block.held_out, kind)}. Trained on: {_counted(block.train, kind)}; {synthetic.images:,}"
            f" synthetic images, {synthetic.with_tumour:,} of which were asked to show a tumour. The generator of the"
            " synthetic images was trained on all training patients, also where a detector sees few of them."
        )
    ]
    if not block.learned:
        return blocks
    rates = [point.rate for point in block.learned[0].froc]
    head = (
        "trained on",
        f"{kind} patients",
        "images",
        "average precision",
        *(f"found at {rate:g}" for rate in rates),
        "by chance",
    )
    lines = tuple(_line(one, kind, rates) for one in block.learned)
    blocks.append(Table(head, lines, (2.6, 1.7, 1.6, 2.7, *[1.1] * len(rates), 1.2)))
    blocks.append(
        Paragraph(
            f"Found at so many false positives per image, of {block.held_out.tumours:,} {kind} tumours.",
            small=True,
        )
    )
    if block.worth:
        text = f"{block.worth}, by the average precision of the detector; the intervals say how far this is chance."
        blocks.append(Paragraph(text))
    if block.gains:
        lines = tuple(
            (
                "all" if gain.patients == block.patient_counts[-1] else f"{gain.patients}",
                f"{gain.instead.shown(signed=True)}: {in_words(gain.instead)}",
                f"{gain.besides.shown(signed=True)}: {in_words(gain.besides)}",
            )
            for gain in sorted(block.gains, key=lambda gain: gain.patients)
        )
        head = (
            f"{kind} patients",
            "synthetic images instead of augmentation",
            "synthetic images besides augmentation",
        )
        blocks += [
            Paragraph(
                f"What synthetic images add to {kind} ones with ordinary augmentation, in average precision:"
            ),
            Table(head, lines, (1.4, 4, 4)),
        ]
    charts = [
        Figure(figures[name], title, caption)
        for name, title, caption in (
            (FROC, "FROC", "With all patients. Lines: 95 % intervals over held-out patients."),
            (
                FEW_PATIENTS,
                "Few patients",
                f"What synthetic images add to few {kind} patients, beside what ordinary augmentation adds.",
            ),
        )
        if name in figures
    ]
    if len(charts) == 2:
        return [*blocks, Pair((charts[0], charts[1]))]
    return [*blocks, *(Figure(one.png, one.title, one.caption, 0.5) for one in charts)]


def _line(one: Learned, kind: str, rates: Sequence[float]) -> tuple[str, ...]:
    found = (one.sensitivity(rate) for rate in rates)
    counts = [f"{count:,}" for count in (one.real_images, one.synthetic_images) if count]
    return (
        one.source.replace("real", kind),
        "none" if one.source == SYNTHETIC else f"{one.patients}",
        " + ".join(counts),
        one.average_precision.shown(),
        *("none" if some is None else f"{some.value:.0%}" for some in found),
        f"{one.chance:.2f}",
    )


def _counted(side: TumourCounts, kind: str) -> str:
    return (
        f"{side.images:,} {kind} slices of {side.patients:,} patient(s), {side.with_tumour:,} of"
        f" {side.patients_with_tumour:,} with a tumour"
    )
