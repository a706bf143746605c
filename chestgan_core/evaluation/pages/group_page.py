"""The section of a report about groups of patients: the worst one in a sentence, a table, a figure.

In: the payload of a report and its figures. Out: blocks of a document; none where nothing is known of the images.
"""

from collections.abc import Mapping

from chestgan_core.documents.blocks import Block, Bullets, Figure, Notice, Paragraph, Table
from chestgan_core.evaluation.pages.figures import GROUPS
from chestgan_core.evaluation.scoring.group_block import Group, GroupBlock, GroupSide, percent
from chestgan_core.evaluation.scoring.report_payload import ReportPayload
from chestgan_core.metrics.groups import MIN_IMAGES, PERMUTATIONS

# Rows of single patients: the farthest from the synthetic images.
SINGLE = 12


def group_blocks(report: ReportPayload, figures: Mapping[str, bytes]) -> list[Block]:
    """What is known of groups, the worst first."""
    block = report.groups
    if block is None:
        return []
    blocks: list[Block] = [
        Notice("care" if block.worse else "plain", "Groups of patients", (block.sentence,))
    ]
    if block.groupings:
        blocks.append(groups_table(block))
    if GROUPS in figures:
        caption = (
            f"In brackets: held-out {block.image_kind} patients. Lines: 95 % intervals over them. Right: at 1 a"
            " synthetic image is as near as one of another patient."
        )
        blocks.append(Figure(figures[GROUPS], "Groups of patients", caption, 0.85))
    if block.single:
        blocks += [Paragraph(_of_single(block)), _single(block)]
    if block.not_compared:
        blocks.append(
            Bullets(tuple(f"Not compared by {kind}: {why}." for kind, why in block.not_compared.items()))
        )
    blocks.append(Paragraph(_how(block), small=True))
    return blocks


def groups_table(block: GroupBlock) -> Table:
    """A line per group: held out, and trained on."""
    kind = block.image_kind
    head = (
        "by",
        "group",
        f"{kind} patients",
        "images",
        "KID x 1000",
        f"the same, {kind}",
        "coverage",
        "nearest distance",
        "trained on: coverage",
        "trained on: distance",
    )
    lines = []
    for grouping in block.groupings:
        for group in grouping.groups:
            train = group.train
            lines.append(
                (
                    grouping.kind,
                    group.name,
                    *_held_out(group.held_out),
                    percent(train.coverage) if train and train.coverage else "",
                    train.distance.shown() if train and train.distance else "",
                )
            )
    return Table(head, tuple(lines), (1.4, 2.6, 1.1, 1.1, 2.6, 1.2, 2.6, 2.6, 2.6, 2.6))


def _held_out(side: GroupSide) -> tuple[str, ...]:
    counts = f"{side.patients}", f"{side.images:,}"
    if side.kid is None or side.coverage is None:
        return (*counts, f"not measured: below {MIN_IMAGES} images", "", "", "")
    floor = "" if side.kid_floor is None else f"{1000 * side.kid_floor:.0f}"
    kid = f"{1000 * side.kid.value:.0f}"
    if side.kid.low is not None and side.kid.high is not None:
        kid += f" ({1000 * side.kid.low:.0f} to {1000 * side.kid.high:.0f})"
    return (*counts, kid, floor, percent(side.coverage), side.distance.shown() if side.distance else "")


def _single(block: GroupBlock) -> Table:
    kind = block.image_kind
    head = ("patient", "images", "KID x 1000", f"the same, {kind}", "coverage", "nearest distance")
    lines = tuple((group.name, *_held_out(group.held_out)[1:]) for group in _farthest(block)[:SINGLE])
    return Table(head, lines, (1.2, 1, 1.4, 1.4, 1.4, 1.6))


def _farthest(block: GroupBlock) -> list[Group]:
    return sorted(
        block.single, key=lambda group: -(group.held_out.distance.value if group.held_out.distance else 0)
    )


def _of_single(block: GroupBlock) -> str:
    shown = min(SINGLE, len(block.single))
    few = block.patients - len(block.single)
    left_out = f"; {few} others have fewer than {MIN_IMAGES} images" if few else ""
    which = "Single patients" if shown == len(block.single) else f"The {shown} single patients"
    return (
        f"{which} farthest from the synthetic images, of {block.patients}, by numbers in random order{left_out}. One"
        " patient says nothing about others: there is no interval."
    )


def _how(block: GroupBlock) -> str:
    return (
        f"By features of {block.extractor.partition(':')[0]}. KID of the group's images against the synthetic ones,"
        f" beside that against the {block.image_kind} images of patients that are not in the group: a group is narrower"
        " than all, so only the difference of the two counts. Coverage: the share of the group's images that have a"
        " synthetic image in their ball among all held-out ones (Naeem 2020). Nearest distance: to a synthetic image,"
        " over that to an image of another held-out patient. A group is called worse where its interval is apart from"
        f" that of the rest, and at most one in twenty of {PERMUTATIONS:,} random groupings of the patients shows a"
        " difference as large in any group and measure. Groups of fewer than three patients are put together, so that"
        " none names a person."
    )
