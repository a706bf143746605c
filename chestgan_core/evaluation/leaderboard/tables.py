"""The tables of a leaderboard: how near each experiment is, and what else is known of it.

In: a Group. Out: blocks of a document. One table has the ranks and the distances by every extractor, the other one
diversity, attacks, cost and date.
"""

from chestgan_core.documents.blocks import Block, Bullets, Paragraph, Table
from chestgan_core.evaluation.leaderboard.board import ATTACKS, DIVERSITY, Group, Leaderboard
from chestgan_core.evaluation.leaderboard.entries import Entry
from chestgan_core.evaluation.pages.nearest import listed
from chestgan_core.evaluation.pages.verdict import bare
from chestgan_core.evaluation.scoring.gate import GateResult
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.provenance import duration
from chestgan_core.evaluation.scoring.standing import (
    IMAGENET,
    Place,
    is_relative,
    opinions,
    short_name,
    trained_against,
)

NONE = "none"


def blocks_of(board: Leaderboard, group: Group) -> list[Block]:
    """Both tables, then what they leave out: refusals, relatives, and why something is not ranked."""
    return [
        near_table(group),
        *_remarks(group),
        other_table(board, group),
        *_refusals(group),
    ]


def near_table(group: Group) -> Table:
    """Rank, KID by every extractor with its interval, coverage and gate; below, the same between real patients."""
    extractors = group.extractors
    lines = [
        (
            rank_of(place),
            marked(place.report),
            *(_cell(opinions(place.report.payload, "KID").get(name)) for name in extractors),
            _cell(place.report.row("coverage")),
            gate_of(place.report.payload.gate),
        )
        for place in group.places
    ]
    kind = group.entries[0].payload.image_kind
    floors = ("", f"{kind} against {kind}", *(_floors(group, "KID", name) for name in extractors))
    first = extractors[:1]
    lines.append((*floors, _floors(group, "coverage", *first) if first else NONE, ""))
    heads = [f"KID x 1000, {short_name(name)}" for name in extractors]
    head = ("rank", "experiment", *heads, "coverage", "release gate")
    return Table(head, tuple(lines), (1.1, 2.6, *[2.0] * len(heads), 1.7, 2.2))


def other_table(board: Leaderboard, group: Group) -> Table:
    """Diversity against real images, the best attack, cost and date."""
    lines = []
    for one in group.entries:
        run = one.payload.run
        price = board.price_of(run)
        lines.append(
            (
                one.name,
                *(_of_real(one.row(name)) for name in DIVERSITY),
                _cell(one.row(ATTACKS)),
                f"{run.images_seen:,}",
                f"{duration(run.seconds)} on {run.device}{f', {price}' if price else ''}",
                one.day,
            )
        )
    head = (
        "experiment",
        *("distance between two images, of real", "to the nearest other image, of real"),
        *("AUC of the best attack", "images seen", "training", "report of"),
    )
    return Table(head, tuple(lines), (2.6, 1.8, 1.8, 1.8, 1.5, 1.9, 1.5))


def rank_of(place: Place[Entry]) -> str:
    """`1`, `1, tied`, or `none`."""
    if place.rank is None:
        return NONE
    return f"{place.rank}, tied" if place.tied else f"{place.rank}"


def gate_of(gate: GateResult) -> str:
    """`passed`, with the number of rules that are off; else by which rules it was refused, or could not be judged."""
    if gate.passed:
        return f"passed, {len(gate.off)} rules off" if gate.off else "passed"
    failed = [rule.check for rule in gate.rules if rule.state == "failed"]
    unknown = [rule.check for rule in gate.rules if rule.state == "not judged"]
    said = [f"refused: {', '.join(failed)}"] if failed else []
    said += [f"not judged: {', '.join(unknown)}"] if unknown else []
    return "; ".join(said).replace("_", " ")


def marked(one: Entry) -> str:
    """The name, and whether the generator was trained against features."""
    network = trained_against(one.payload)
    if not network:
        return one.name
    photographs = is_relative(IMAGENET[0], network)
    return f"{one.name}, trained against {'ImageNet ' if photographs else ''}features ({network})"


def _remarks(group: Group) -> list[Block]:
    """Which extractors are relatives, and why something has no rank."""
    relatives = []
    for one in group.entries:
        network = trained_against(one.payload)
        of_it = [short_name(name) for name in group.extractors if is_relative(name, network)]
        if of_it:
            relatives.append(
                f"{one.name} was trained against {network}, a relative of {listed(of_it)}: what a relative says for"
                " it counts only where another extractor shows it."
            )
    unranked = [
        f"{one.report.name} has no rank: {one.why}."
        for one in group.places
        if one.why and one.report.payload.gate.passed
    ]
    lines = [*relatives, *unranked]
    return [Bullets(tuple(lines))] if lines else []


def _refusals(group: Group) -> list[Block]:
    lines = [
        f"{one.name}: {one.payload.gate.line()}." for one in group.entries if not one.payload.gate.passed
    ]
    return [Paragraph("Why the release gate refuses:"), Bullets(tuple(lines))] if lines else []


def _cell(row: MetricRow | None) -> str:
    """Value and interval."""
    if row is None or row.value is None:
        return NONE
    interval = f" ({bare(row.interval)})" if row.interval else ""
    return f"{bare(row.number(row.value, None if interval else row.sd))}{interval}"


def _of_real(row: MetricRow | None) -> str:
    """A distance as a percentage of that of real images, which is its floor."""
    if row is None or row.value is None or not row.floor:
        return NONE
    return f"{100 * row.value / row.floor:.0f}%"


def _floors(group: Group, measure: str, extractor: str) -> str:
    """The floor, or the lowest and the highest where the reports drew images by different seeds."""
    rows = [row for one in group.entries if (row := opinions(one.payload, measure).get(extractor))]
    floors = sorted(row.floor for row in rows if row.floor is not None)
    if not floors:
        return NONE
    return " to ".join(dict.fromkeys(bare(rows[0].number(floor)) for floor in (floors[0], floors[-1])))
