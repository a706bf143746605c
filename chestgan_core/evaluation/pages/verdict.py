"""A report at a glance: the verdict and the headline numbers.

In: the payload of a report. Out: blocks of a document. The verdict is that of the release gate where the report has
one; otherwise it is the distance beside the floor, which passes or refuses nothing.
"""

from collections.abc import Sequence

from chestgan_core.config.dataset import ImageKind
from chestgan_core.documents.blocks import Notice, Table, Tile, Tiles
from chestgan_core.evaluation.pages.sentences import sentence
from chestgan_core.evaluation.scoring.gate import GateResult, shown
from chestgan_core.evaluation.scoring.metric_rows import MetricRow, first_opinions
from chestgan_core.evaluation.scoring.report_payload import ReportPayload

# Measures of the tiles, as far as the report has them.
HEADLINES = ("KID", "FID", "coverage", "memorized fraction", "AUC", "precision")
MAX_TILES = 4
# Below them, of experiments that place tumours.
OF_TUMOURS = ("placement", "detection utility")
# Measures of the verdict of a report without a gate.
VERDICT = ("FID", "coverage")
THOUSANDTHS = " x 1000"
BETTER = {
    "lower": "lower is better",
    "higher": "higher is better",
    "floor": "nearest to the floor is best",
    "half": "50% is best",
}


def verdict(report: ReportPayload) -> Notice:
    """The result of the gate; without a gate, a few sentences."""
    rows, image_kind, gate = report.rows, report.image_kind, report.gate
    if gate is None:
        measured = [row for row in first_opinions(rows) if row.value is not None]
        if not measured:
            return Notice(
                "care", "Nothing was measured", tuple(sentence(row, image_kind) for row in rows[:1])
            )
        first = [row for row in measured if row.measure in VERDICT] or measured[:1]
        return Notice("plain", "In short", tuple(sentence(row, image_kind) for row in first))
    if gate.passed:
        lines = (f"{gate.passed_line()}.", *open_sentences(gate))
        return Notice("good" if gate.complete else "care", "Passed the release gate", lines)
    return Notice("bad", "Refused by the release gate", refusals(gate))


def refusals(gate: GateResult) -> tuple[str, ...]:
    """A sentence for each rule that failed or could not be judged."""
    return tuple(f"{rule.note[:1].upper()}{rule.note[1:]}." for rule in gate.rules if not rule.passed)


def open_sentences(gate: GateResult) -> tuple[str, ...]:
    """A sentence for what no rule limits, and for each rule that was not asked for."""
    off = (f"There is {gate.off_line()}.",) if gate.off else ()
    return (*off, *(f"{one.note[:1].upper()}{one.note[1:]}." for one in gate.unknown))


def gate_table(gate: GateResult) -> Table:
    """Every rule of the gate: limit, value, result; what no rule limits, and what was not asked for."""
    lines = []
    for rule in gate.rules:
        side = "at most" if rule.better == "lower" else "at least"
        value = "none" if rule.value is None else shown(rule.value)
        beyond = f", by {shown(rule.exceeded_by)}" if rule.exceeded_by else ""
        lines.append((rule.measure, f"{side} {rule.limit:g}", value, f"{rule.state}{beyond}"))
    lines += [(measure, "no rule", "", "no rule") for measure in gate.off]
    lines += [(one.measure, "", "none", f"not judged: {one.reason}") for one in gate.not_asked]
    return Table(("measure", "limit", "value", "result"), tuple(lines), (3, 2, 2, 3))


def headlines(rows: Sequence[MetricRow], image_kind: ImageKind) -> Tiles:
    """The numbers that readers look at first, each beside its interval and floor."""
    known = {row.measure: row for row in first_opinions(rows) if row.value is not None}
    tiles = [
        Tile(label(row), bare(row.number(row.value, row.sd)), _beside(row, image_kind))
        for name in HEADLINES
        if (row := known.get(name))
    ]
    return Tiles(tuple(tiles[:MAX_TILES]))


def tumour_headlines(rows: Sequence[MetricRow]) -> Tiles:
    """The same about tumours, each between chance and what real images reach; none where no tumour was placed."""
    known = {row.measure: row for row in reversed(rows) if row.value is not None}
    return Tiles(
        tuple(
            Tile(label(row), row.number(row.value), _between(row, known.get(f"{name} ceiling")))
            for name in OF_TUMOURS
            if (row := known.get(name))
        )
    )


def label(row: MetricRow) -> str:
    """The heading of a measure: `KID x 1000, lower is better`."""
    unit = THOUSANDTHS if row.number(row.value).endswith(THOUSANDTHS) else ""
    return f"{row.measure}{unit}, {BETTER[row.better]}"


def bare(text: str) -> str:
    """A number without the unit that its heading has."""
    return text.removesuffix(THOUSANDTHS)


def _between(row: MetricRow, ceiling: MetricRow | None) -> str:
    """Interval, and what chance and real images reach."""
    remarks = [row.interval] if row.interval else []
    if row.floor is not None:
        remarks.append(f"by chance {row.number(row.floor)}")
    if ceiling is not None:
        remarks.append(f"ceiling {ceiling.number(ceiling.value)}")
    return "; ".join(remarks)


def _beside(row: MetricRow, image_kind: ImageKind) -> str:
    remarks = []
    if row.interval:
        remarks.append(bare(row.interval))
    if row.floor is not None:
        remarks.append(f"{image_kind} against {image_kind}: {bare(row.number(row.floor, row.floor_sd))}")
    return "; ".join(remarks)
