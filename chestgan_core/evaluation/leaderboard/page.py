"""A leaderboard as a document, and as an artefact of the store.

In: a Leaderboard. Out: leaderboard.json, leaderboard.html, leaderboard.pdf, leaderboard.md and a PNG per table;
`leaderboards/all/<version>/` in the store. The same reports give the same version, and nothing is written again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.documents.blocks import (
    Block,
    Bullets,
    Document,
    Figure,
    Notice,
    Paragraph,
    Section,
    Tile,
    Tiles,
)
from chestgan_core.documents.files import document_files, write_files
from chestgan_core.escaping import escaped
from chestgan_core.evaluation.leaderboard.board import Group, Leaderboard
from chestgan_core.evaluation.leaderboard.charts import group_pngs
from chestgan_core.evaluation.leaderboard.tables import blocks_of, gate_of, rank_of
from chestgan_core.evaluation.pages.nearest import nearest_notice
from chestgan_core.evaluation.pages.verdict import bare
from chestgan_core.evaluation.scoring.standing import opinions, short_name
from chestgan_core.evaluation.version import VERSION
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_version
from chestgan_core.store.forgotten import keep_unless_forgotten
from chestgan_core.store.store import Store

STEM = "leaderboard"
PAGE, PDF, TEXT, DATA = f"{STEM}.html", f"{STEM}.pdf", f"{STEM}.md", f"{STEM}.json"
TITLE = "All experiments at a glance"
EMPTY = "No experiment has a report yet"
HOW = (
    "Reports are in one table where their numbers can be compared: the same dataset, snapshot, resolution, window,"
    " classes, split, number of images and first extractor. Across tables nothing is ranked.",
    "The first extractor's KID counts. Two experiments differ where their 95% intervals (or two standard errors)"
    " do not overlap. A rank is 1 plus the number of experiments shown to be nearer to held-out patients; those"
    " of one rank are tied, whatever the order of their values. Overlap is not transitive: one of rank 2 may not be"
    " shown to differ from some of rank 1.",
    "A generator that was trained against the features of a network looks better to that network's relatives than it"
    " is. What relatives say for it counts only where another extractor shows it, too.",
    "What the release gate refused, and what it could not judge, has no rank and is never named as nearest. Nor is"
    " anyone named where the extractors do not agree about who is first.",
    "Each experiment was trained with one seed, and other seeds give other numbers. Intervals are over the held-out"
    " patients, not over trainings.",
    "All pictures are synthetic: the first images of each report, drawn by the seed, not chosen.",
)
CAPTION = (
    "The first images of each, all synthetic, and KID by every extractor with its interval; what counts is in bold."
    " Left: the rank; rows of one rank share a field. Dashed: the floor. Hollow: refused, or not judged. Grey: by a"
    " relative of the network that it was trained against."
)


@dataclass(frozen=True)
class StoredLeaderboard:
    """A committed leaderboard. pictures: table -> PNG, none for a store without reports. new: committed just now."""

    uri: str
    version: str
    board: Leaderboard
    pictures: dict[str, bytes]
    new: bool


def commit_leaderboard(store: Store, board: Leaderboard, folder: Path) -> StoredLeaderboard:
    """Write the pages and commit them, unless this state has been committed already.

    Raises Forgotten (a patient withdrew meanwhile, and a report is gone), StoreError.
    """
    version = content_version(VERSION, board.as_json())
    manifest_key = keys.leaderboard_manifest(version)
    new = not store.is_complete(manifest_key)
    if new:
        files = write_leaderboard(board, folder)
        manifest = {
            "kind": "leaderboard",
            "reports": {one.name: one.version for one in board.entries},
        }
        store.commit(manifest_key, {file.name: file for file in files}, manifest)
        reports = [keys.report_manifest(one.name, one.payload.run.run, one.version) for one in board.entries]
        keep_unless_forgotten(store, manifest_key, reports)
    store.update_pointer(keys.leaderboard_latest(), {"version": version})
    artefact = store.read_manifest(manifest_key)
    names = sorted(name for item in artefact.objects if (name := artefact.name(item)).endswith(".png"))
    pictures = {name: store.read(artefact, name) for name in names}
    return StoredLeaderboard(store.uri(manifest_key), version, board, pictures, new)


def write_leaderboard(board: Leaderboard, folder: Path) -> list[Path]:
    """Write the files; returns them."""
    pictures = {group.number: group_pngs(group) for group in board.groups}
    beside = {
        _picture(number, part): png for number, pngs in pictures.items() for part, png in enumerate(pngs, 1)
    }
    pages = document_files(_document(board, pictures), STEM, beside)
    data = {DATA: canonical_json(board.as_json())}
    return list(write_files(folder, beside | pages | data).values())


def as_text(board: Leaderboard) -> str:
    """The tables in lines, for a terminal."""
    lines = [] if board.entries else [f"{EMPTY}."]
    width = max((len(one.name) for one in board.entries), default=0)
    for group in board.groups:
        lines += [f"{_title(group)}: {group.headline}", f"  {_facts(group)}"]
        for place in group.places:
            kids = [
                f"KID {bare(row.number(row.value, row.sd))} ({short_name(row.extractor)})"
                for row in opinions(place.report.payload, "KID").values()
            ]
            gate = gate_of(place.report.payload.gate)
            rank = rank_of(place) if place.rank else "-"
            lines.append(f"  {rank:8}{place.report.name:{width}}  {'  '.join((*kids, gate))}")
    lines += [f"could not be read: {one.experiment}: {one.reason}" for one in board.unreadable]
    lines += [f"trained, without a report: {', '.join(board.trained)}"] if board.trained else []
    return "\n".join(map(escaped, lines))


def _picture(number: int, part: int) -> str:
    return f"table-{number:02d}.png" if part == 1 else f"table-{number:02d}-{part}.png"


def _title(group: Group) -> str:
    facts, count = group.facts, len(group.places)
    many = f"{count} experiment{'' if count == 1 else 's'}"
    return f"Table {group.number}: {facts['The dataset']}, {facts['The resolution']}, {many}"


def _facts(group: Group) -> str:
    """`dataset phantom; snapshot of the data abc; resolution 64 pixels; ...`."""
    return "; ".join(f"{what.removeprefix('The ')} {value}" for what, value in group.facts.items())


def _document(board: Leaderboard, pictures: dict[int, list[bytes]]) -> Document:
    return Document(
        title=TITLE,
        lead="The newest report of every experiment in the store, in tables of those whose numbers can be compared.",
        summary=(
            *_glance(board),
            *(_of_group(group) for group in board.groups if len(group.places) > 1),
        ),
        sections=(
            *(
                Section(_title(group), tuple(_blocks(board, group, pictures[group.number])))
                for group in board.groups
            ),
            Section("Why there are several tables", tuple(_apart(board.groups))),
            Section(
                "Could not be read", _bullets(f"{one.experiment}: {one.reason}." for one in board.unreadable)
            ),
            Section("Without a report", tuple(_without(board))),
            Section("How to read the ranks", _bullets(HOW) if board.groups else ()),
        ),
    )


def _glance(board: Leaderboard) -> list[Block]:
    if not board.entries:
        why = "Materialize metric_report of an experiment that was trained; the page follows."
        return [Notice("plain", EMPTY, (why,))]
    gates = [one.payload.gate for one in board.entries]
    refused = sum(not gate.passed for gate in gates)
    return [
        Tiles(
            (
                Tile(
                    "experiments with a report",
                    f"{len(gates)}",
                    f"{len(board.unreadable)} more cannot be read",
                ),
                Tile("release gate", f"{len(gates) - refused} passed", f"{refused} refused or not judged"),
                Tile("tables", f"{len(board.groups)}", "of reports that can be compared"),
                Tile(
                    "without a report",
                    f"{len(board.trained) + len(board.untrained)}",
                    f"{len(board.trained)} of them trained",
                ),
            )
        )
    ]


def _of_group(group: Group) -> Notice:
    notice = nearest_notice(group.entries)
    return Notice(notice.tone, f"Table {group.number}. {notice.title}", notice.lines)


def _blocks(board: Leaderboard, group: Group, pngs: Sequence[bytes]) -> list[Block]:
    return [
        Paragraph(f"In common: {_facts(group)}.", small=True),
        *(Figure(png, "Images and distances", CAPTION) for png in pngs),
        *blocks_of(board, group),
    ]


def _apart(groups: Sequence[Group]) -> list[Block]:
    if len(groups) < 2:
        return []
    lines = [f"Table {one.number} is apart from table 1 by its {one.apart(groups[0])}." for one in groups[1:]]
    return [Paragraph("Numbers of different tables do not compare."), Bullets(tuple(lines))]


def _without(board: Leaderboard) -> list[Block]:
    blocks: list[Block] = []
    if board.trained:
        blocks.append(Paragraph(f"Trained, and not evaluated: {', '.join(board.trained)}."))
    if board.untrained:
        blocks.append(Paragraph(f"Not trained in this store: {', '.join(board.untrained)}."))
    return blocks


def _bullets(lines: Iterable[str]) -> tuple[Block, ...]:
    items = tuple(lines)
    return (Bullets(items),) if items else ()
