"""What a report says in one glance: the verdict and the headline numbers.

In: a report as plain data (report.json) and its rows. Out: blocks of a document. The gate's result where the report has
one; otherwise what the distance says beside the floor, without passing or refusing anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chestgan_core.config.dataset import ImageKind
from chestgan_core.documents.blocks import Notice, Table, Tile, Tiles
from chestgan_core.evaluation.pages.sentences import sentence
from chestgan_core.evaluation.scoring.metric_rows import MetricRow

# The tiles of a report, as far as it has them.
HEADLINES = ("KID", "FID", "coverage", "memorized share", "AUC", "precision")
MOST_TILES = 4
# What is said where no gate has judged.
VERDICT = ("FID", "coverage")
THOUSANDTHS = " x 1000"
BETTER = {"lower": "lower is better", "higher": "higher is better", "floor": "nearest to the floor is best"}


def verdict(told: Mapping[str, Any], rows: Sequence[MetricRow]) -> Notice:
    """told: report.json. Its `gate` decides the tone."""
    image_kind: ImageKind = told["image_kind"]
    gate = told.get("gate")
    if gate is None:
        measured = [row for row in rows if row.value is not None]
        if not measured:
            return Notice(
                "care", "Nothing was measured", tuple(sentence(row, image_kind) for row in rows[:1])
            )
        first = [row for row in measured if row.measure in VERDICT] or measured[:1]
        return Notice("plain", "In short", tuple(sentence(row, image_kind) for row in first))
    if gate["passed"]:
        return Notice("good", "Passed the release gate", (f"All {len(gate['rules'])} rules hold.",))
    return Notice("bad", "Refused by the release gate", refusals(gate))


def refusals(gate: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each rule that does not hold: which measure, by how much."""
    return tuple(
        f"{rule['note'][:1].upper()}{rule['note'][1:]}." for rule in gate["rules"] if not rule["passed"]
    )


def gate_table(gate: Mapping[str, Any]) -> Table:
    """Every rule of the gate: bound, value, result."""
    lines = []
    for rule in gate["rules"]:
        side = "at most" if rule["better"] == "lower" else "at least"
        value = "none" if rule["value"] is None else f"{rule['value']:.3g}"
        beyond = f", by {rule['by']:.3g}" if rule["by"] else ""
        result = "holds" if rule["passed"] else f"does not hold{beyond}"
        lines.append((rule["measure"], f"{side} {rule['bound']:g}", value, result))
    return Table(("measure", "bound", "value", "result"), tuple(lines), (3, 2, 2, 3))


def headlines(rows: Sequence[MetricRow], image_kind: ImageKind) -> Tiles:
    """The numbers that are looked at first, each with what to hold it against."""
    known = {row.measure: row for row in reversed(rows) if row.value is not None}
    tiles = [
        Tile(label(row), bare(row.number(row.value, row.sd)), _beside(row, image_kind))
        for name in HEADLINES
        if (row := known.get(name))
    ]
    return Tiles(tuple(tiles[:MOST_TILES]))


def label(row: MetricRow) -> str:
    """What heads the numbers of a row: `KID x 1000, lower is better`."""
    unit = THOUSANDTHS if row.number(row.value).endswith(THOUSANDTHS) else ""
    return f"{row.measure}{unit}, {BETTER[row.better]}"


def bare(text: str) -> str:
    """A number without the unit that its label says."""
    return text.removesuffix(THOUSANDTHS)


def _beside(row: MetricRow, image_kind: ImageKind) -> str:
    said = []
    if row.interval:
        said.append(bare(row.interval))
    if row.floor is not None:
        said.append(f"{image_kind} against {image_kind}: {bare(row.number(row.floor, row.floor_sd))}")
    return "; ".join(said)
