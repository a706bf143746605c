"""The tables of a comparison: every measure, the gates, what each training took, what differs, where all of it is from.

In: a Comparison or its experiments. Out: blocks of a document. More experiments than fit beside each other make another
table below.
"""

from collections.abc import Sequence

from chestgan_core.documents.blocks import Block, Paragraph, Table
from chestgan_core.evaluation.comparison.comparison import Compared, Comparison
from chestgan_core.evaluation.pages.verdict import bare, label
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.provenance import duration

MOST_COLUMNS = 6


def measures_tables(comparison: Comparison) -> list[Block]:
    """Every measure of every experiment, with the floor where it is one."""
    blocks: list[Block] = []
    image_kind = comparison.image_kind
    floors = not comparison.reasons
    for places in _chunks(len(comparison.experiments)):
        some = comparison.experiments[places]
        lines = []
        for measure in comparison.measures:
            rows = [one.row(measure) for one in some]
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
        head = (
            "measure",
            *(one.name for one in some),
            *([f"{image_kind} against {image_kind}"] if floors else []),
        )
        blocks.append(Table(head, tuple(lines), (2.2, *[2.0] * (len(head) - 1))))
    return blocks


def gates_tables(found: Sequence[Compared]) -> list[Block]:
    """Who passed the release gate, of those that a gate has judged."""
    lines = []
    for one in found:
        if gate := one.told.get("gate"):
            refused = [rule["measure"] for rule in gate["rules"] if not rule["passed"]]
            lines.append((one.name, "passed" if gate["passed"] else "refused", ", ".join(refused) or "none"))
    return (
        [Table(("experiment", "release gate", "rules that do not hold"), tuple(lines), (3, 2, 5))]
        if lines
        else []
    )


def efforts_table(found: Sequence[Compared]) -> Table:
    """What each training took, and which of its generators was kept."""
    lines = tuple(
        (
            one.name,
            one.run["experiment"]["network"]["family"],
            f"{one.run['images_seen']:,}",
            duration(one.run["seconds"]),
            f"{one.run['device']}, {one.run['precision']}",
            "last" if one.run["best_at"] is None else f"of {one.run['best_at']:,} images seen",
        )
        for one in found
    )
    return Table(
        ("experiment", "network", "images seen", "time", "on", "generator kept"), lines, (3, 2, 2, 2, 2, 3)
    )


def settings_tables(comparison: Comparison) -> list[Block]:
    """The fields in which the experiments differ."""
    if not comparison.settings:
        return [Paragraph("Nothing: the experiments say the same.")]
    names = [one.name for one in comparison.experiments]
    blocks: list[Block] = []
    for places in _chunks(len(names)):
        lines = tuple((name, *values[places]) for name, values in comparison.settings.items())
        head = ("field", *names[places])
        blocks.append(Table(head, lines, (2.6, *[2.0] * (len(head) - 1))))
    return blocks


def provenance_table(found: Sequence[Compared]) -> Table:
    """Run, generator, report and training set of each."""
    lines = tuple(
        (
            one.name,
            one.run["run"],
            str(one.told["provenance"].get("generator sha256", "")),
            one.version,
            one.told["data"]["snapshot"],
        )
        for one in found
    )
    return Table(
        ("experiment", "run", "generator sha256", "report", "training set"), lines, (2.4, 1.6, 4, 2, 2)
    )


def _chunks(count: int) -> list[slice]:
    """Places of experiments that share a table, as evenly as it goes."""
    tables = -(-count // MOST_COLUMNS)
    each = -(-count // tables)
    return [slice(at, at + each) for at in range(0, count, each)]


def _cell(row: MetricRow) -> str:
    return bare(row.number(row.value, row.sd)) + (f" ({bare(row.interval)})" if row.interval else "")
