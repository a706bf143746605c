"""The tables of a comparison: measures, gates, trainings, settings that differ, provenance.

In: a Comparison or its experiments. Out: blocks of a document. More experiments than fit side by side make another
table below.
"""

from collections.abc import Sequence

from chestgan_core.documents.blocks import Block, Paragraph, Table
from chestgan_core.evaluation.comparison.comparison import ComparedExperiment, Comparison
from chestgan_core.evaluation.pages.nearest import RANKED
from chestgan_core.evaluation.pages.verdict import bare, label
from chestgan_core.evaluation.scoring.metric_rows import APART, CONDITION_GROUPS, MEASURES, MetricRow
from chestgan_core.evaluation.scoring.provenance import duration
from chestgan_core.evaluation.scoring.standing import opinions, short_name

MAX_COLUMNS = 6


def measures_tables(comparison: Comparison) -> list[Block]:
    """Every measure of every experiment, with the floor where all have the same real side; then what other extractors
    say, what attacks found, and what was asked of the images, where an experiment has conditions.
    """
    image_kind = comparison.image_kind
    asked = [name for name in comparison.measures if MEASURES[name].group in CONDITION_GROUPS]
    attacks = [name for name in comparison.measures if MEASURES[name].group == "attack"]
    others = [name for name in comparison.measures if MEASURES[name].group not in APART]
    blocks: list[Block] = _tables(comparison, others, f"{image_kind} against {image_kind}")
    blocks += _second_opinions(comparison)
    if attacks:
        what = (
            "How well attacks tell who was trained on: the best by patient of each experiment, beside the same attack"
            " on a control of patients who were not."
        )
        blocks += [Paragraph(what), *_tables(comparison, attacks, "control")]
    if asked:
        what = (
            "What was asked of the images, and what detectors learn from them. The floor is what chance reaches, or"
            " what patients differ by."
        )
        blocks += [Paragraph(what), *_tables(comparison, asked, "floor")]
    return blocks


def _second_opinions(comparison: Comparison) -> list[Block]:
    """What the other extractors measured; none where there is one extractor."""
    found = comparison.experiments
    by_name = [{name: opinions(one.payload, name) for name in RANKED} for one in found]
    firsts = {row.extractor for one in found for name in RANKED if (row := one.row(name))}
    pairs = [
        (extractor, name)
        for extractor in dict.fromkeys(row.extractor for one in found for row in one.payload.rows)
        for name in RANKED
        if extractor not in firsts and any(extractor in rows[name] for rows in by_name)
    ]
    if not pairs:
        return []
    blocks: list[Block] = [
        Paragraph("What other extractors say. Their numbers have scales of their own: compare along a line.")
    ]
    for places in _chunks(len(found)):
        lines = []
        for extractor, name in pairs:
            rows = [of_one[name].get(extractor) for of_one in by_name[places]]
            first = next(row for of_one in by_name if (row := of_one[name].get(extractor)))
            cells = [_cell(row) if row else "none" for row in rows]
            lines.append((f"{label(first)}, by {short_name(extractor)}", *cells))
        head = ("measure", *(one.name for one in found[places]))
        blocks.append(Table(head, tuple(lines), (2.6, *[2.0] * (len(head) - 1))))
    return blocks


def _tables(comparison: Comparison, measures: Sequence[str], of_floor: str) -> list[Block]:
    """These measures, with a column for their floors where all have the same real side."""
    blocks: list[Block] = []
    floors = not comparison.reasons
    for places in _chunks(len(comparison.experiments)):
        shown = comparison.experiments[places]
        lines = []
        for measure in measures:
            rows = [one.row(measure) for one in shown]
            first = next((row for one in comparison.experiments if (row := one.row(measure))), None)
            if first is None:
                continue
            several = [bare(first.number(floor)) for floor in comparison.floors(measure)]
            floor = (
                [bare(first.number(first.floor, first.floor_sd))]
                if len(several) < 2
                else several[:: len(several) - 1]
            )
            floor = [" to ".join(floor)] if floors else []
            cells = [_cell(row) if row else "none" for row in rows]
            lines.append((label(first), *cells, *floor))
        head = ("measure", *(one.name for one in shown), *([of_floor] if floors else []))
        blocks.append(Table(head, tuple(lines), (2.2, *[2.0] * (len(head) - 1))))
    return blocks


def gates_table(found: Sequence[ComparedExperiment]) -> Table:
    """The results of the release gate."""
    lines = []
    for one in found:
        gate = one.payload.gate
        failed = [
            rule.measure if rule.state == "failed" else f"{rule.measure} (not judged)"
            for rule in gate.rules
            if not rule.passed
        ]
        result = "passed" if gate.passed else "refused"
        lines.append(
            (one.name, result, ", ".join(failed) or "none", "; ".join(gate.open_lines()) or "nothing")
        )
    return Table(("experiment", "release gate", "failed rules", "left open"), tuple(lines), (3, 2, 4, 4))


def trainings_table(found: Sequence[ComparedExperiment]) -> Table:
    """Length and device of each training, and the generator that it kept."""
    lines = tuple(
        (
            one.name,
            run.experiment["network"]["family"],
            f"{run.images_seen:,}",
            duration(run.seconds),
            f"{run.device}, {run.precision}",
            "last" if run.best_at is None else f"of {run.best_at:,} images seen",
        )
        for one, run in ((one, one.payload.run) for one in found)
    )
    return Table(
        ("experiment", "network", "images seen", "time", "device", "generator kept"),
        lines,
        (3, 2, 2, 2, 2, 3),
    )


def settings_tables(comparison: Comparison) -> list[Block]:
    """The fields in which the experiments differ."""
    if not comparison.settings:
        return [Paragraph("Nothing: all fields are the same.")]
    names = [one.name for one in comparison.experiments]
    blocks: list[Block] = []
    for places in _chunks(len(names)):
        lines = tuple((name, *values[places]) for name, values in comparison.settings.items())
        head = ("field", *names[places])
        blocks.append(Table(head, lines, (2.6, *[2.0] * (len(head) - 1))))
    return blocks


def provenance_table(found: Sequence[ComparedExperiment]) -> Table:
    """Run, generator, report and training set of each."""
    lines = tuple(
        (
            one.name,
            one.payload.run.run,
            str(one.payload.provenance.get("generator sha256", ""))[:16],
            one.version,
            one.payload.data.snapshot,
        )
        for one in found
    )
    return Table(
        ("experiment", "run", "generator sha256, first digits", "report", "training set"),
        lines,
        (2.4, 2, 2, 2, 2),
    )


def _chunks(count: int) -> list[slice]:
    """The experiments of each table, as evenly as possible."""
    tables = -(-count // MAX_COLUMNS)
    each = -(-count // tables)
    return [slice(at, at + each) for at in range(0, count, each)]


def _cell(row: MetricRow) -> str:
    return bare(row.number(row.value, row.sd)) + (f" ({bare(row.interval)})" if row.interval else "")
