"""What a report says in one glance: the verdict and the headline numbers.

In: a report as plain data (report.json) and its rows. Out: blocks of a document. The gate's result where the report has
one; otherwise what the distance says beside the floor, without passing or refusing anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chestgan_core.documents.blocks import Notice, Table, Tile, Tiles
from chestgan_core.evaluation.rows import MetricRow
from chestgan_core.evaluation.words import sentence
from chestgan_core.sources.datasets import Word

# The tiles of a report, as far as it has them.
HEADLINES = ("KID", "FID", "coverage", "memorized share", "AUC", "precision")
MOST_TILES = 4
# What is said where no gate has judged.
VERDICT = ("FID", "coverage")
THOUSANDTHS = " x 1000"
BETTER = {"lower": "lower is better", "higher": "higher is better", "floor": "nearest to the floor is best"}


def verdict(told: Mapping[str, Any], rows: Sequence[MetricRow]) -> Notice:
    """told: report.json. Its `gate` decides the tone."""
    word: Word = told["word"]
    gate = told.get("gate")
    if gate is None:
        measured = [row for row in rows if row.value is not None]
        if not measured:
            return Notice("care", "Nothing was measured", tuple(sentence(row, word) for row in rows[:1]))
        first = [row for row in measured if row.measure in VERDICT] or measured[:1]
        return Notice("plain", "In short", tuple(sentence(row, word) for row in first))
    if gate["passed"]:
        return Notice("good", "Passed the release gate", (f"All {len(gate['rules'])} rules hold.",))
    return Notice("bad", "Refused by the release gate", refusals(gate, rows))


def refusals(gate: Mapping[str, Any], rows: Sequence[MetricRow] = ()) -> tuple[str, ...]:
    """A sentence for each rule that does not hold: which measure, by how much. rows: where numbers get their units."""
    return tuple(_refusal(rule, rows) for rule in gate["rules"] if not rule["passed"])


def gate_table(gate: Mapping[str, Any], rows: Sequence[MetricRow]) -> Table:
    """Every rule of the gate: bound, value, result."""
    lines = []
    for rule in gate["rules"]:
        side = "at most" if rule["better"] == "lower" else "at least"
        result = "holds" if rule["passed"] else "does not hold"
        if not rule["passed"] and rule["value"] is not None:
            result += f", by {number(rule['measure'], rule['by'], rows)}"
        value = number(rule["measure"], rule["value"], rows)
        lines.append(
            (rule["measure"], f"{side} {number(rule['measure'], rule['bound'], rows)}", value, result)
        )
    return Table(("measure", "bound", "value", "result"), tuple(lines), (3, 2, 2, 3))


def headlines(rows: Sequence[MetricRow], word: Word) -> Tiles:
    """The numbers that are looked at first, each with what to hold it against."""
    known = {row.measure: row for row in reversed(rows) if row.value is not None}
    tiles = [
        Tile(label(row), bare(row.number(row.value, row.sd)), _beside(row, word))
        for name in HEADLINES
        if (row := known.get(name))
    ]
    return Tiles(tuple(tiles[:MOST_TILES]))


def number(measure: str, value: float | None, rows: Sequence[MetricRow]) -> str:
    """A value of a measure as its row would write it."""
    for row in rows:
        if row.measure == measure:
            return row.number(value)
    return "none" if value is None else f"{value:.3g}"


def label(row: MetricRow) -> str:
    """What heads the numbers of a row: `KID x 1000, lower is better`."""
    unit = THOUSANDTHS if row.number(row.value).endswith(THOUSANDTHS) else ""
    return f"{row.measure}{unit}, {BETTER[row.better]}"


def bare(text: str) -> str:
    """A number without the unit that its label says."""
    return text.removesuffix(THOUSANDTHS)


def _beside(row: MetricRow, word: Word) -> str:
    said = []
    if row.interval:
        said.append(bare(row.interval))
    if row.floor is not None:
        said.append(f"{word} against {word}: {bare(row.number(row.floor, row.floor_sd))}")
    return "; ".join(said)


def _refusal(rule: Mapping[str, Any], rows: Sequence[MetricRow]) -> str:
    name, better = rule["measure"], rule["better"]
    bound = number(name, rule["bound"], rows)
    if rule["value"] is None:
        return f"{name} was not measured, and {'at most' if better == 'lower' else 'at least'} {bound} is asked for."
    beyond = "above" if better == "lower" else "below"
    by = number(name, rule["by"], rows)
    return f"{name} is {number(name, rule['value'], rows)}: {beyond} the bound of {bound}, by {by}."
