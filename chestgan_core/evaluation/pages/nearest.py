"""Which generator is nearest to held-out patients, in words: a name only where that is shown, and by every extractor.

In: comparable reports. Out: blocks of a document. What the release gate refused is never named as nearest, nor is what
only relatives of the network say so of against which it was trained.
"""

from collections.abc import Sequence

from chestgan_core.documents.blocks import Notice, Tile, Tiles
from chestgan_core.evaluation.scoring.metric_rows import MetricRow, difference_shown
from chestgan_core.evaluation.scoring.read_report import ReadReport
from chestgan_core.evaluation.scoring.standing import (
    Best,
    best_by,
    counted,
    is_relative,
    short_name,
    trained_against,
)

RANKED = ("KID", "FID", "coverage")
SEEDS = "Each was trained with one seed; other seeds give other numbers."


def nearest_notice(reports: Sequence[ReadReport]) -> Notice:
    """Who is nearest by KID, or why nobody is named. reports: comparable ones."""
    found = best_by(reports, "KID")
    measured = [*found.ordered, *found.refused]
    if not measured:
        why = "So it is unknown which experiment is nearest to held-out patients."
        return Notice("care", "KID was not measured", (why,))
    if len(measured) < 2:
        refused = ("The release gate refused it.",) if found.refused else ()
        return Notice("care", f"Only {measured[0].name} has a KID", refused)
    if not found.ordered:
        who = "both" if len(found.refused) == 2 else f"all {len(found.refused)}"
        line = f"{_values(found.refused)}. What was refused has no order of merit."
        return Notice("bad", f"The release gate refused {who}", (line,))
    if len(found.ordered) < 2:
        lines = (
            f"{_values(found.ordered)}. With nothing else that passed there is nobody to be nearer than.",
        )
        title = f"Only {found.ordered[0].name} passed the release gate"
        return Notice("plain", title, (*lines, *_refused(found)))
    if found.tied:
        names = listed([one.name for one in found.tied])
        return Notice("plain", f"No difference shown between {names}", (*_tied(found), *_refused(found)))
    if not found.agreed:
        said = [
            f"{short_name(one.extractor)}: {one.name}{'' if one.shown else ', within the intervals'}."
            for one in found.said
        ]
        title = "The extractors do not agree about who is nearest to held-out patients"
        return Notice("care", title, (*said, *_refused(found)))
    line = f"{_values(found.ordered[:2])}. Their intervals do not overlap{_others(found)}. {SEEDS}"
    return Notice("plain", f"Nearest to held-out patients: {found.named}", (line, *_refused(found)))


def best_tiles(reports: Sequence[ReadReport], floors: dict[str, str]) -> Tiles:
    """The best by each of the main measures, where one is better than all others that passed the release gate beyond
    chance, and by every extractor. floors: measure -> the remark about the floor.
    """
    tiles = []
    for measure in RANKED:
        found = best_by(reports, measure)
        if not found.ordered:
            continue
        row, last = _row(found.ordered[0], measure), _row(found.ordered[-1], measure)
        floor = floors.get(measure, "")
        if found.named:
            tiles.append(Tile(f"best {measure}", found.named, f"{row.number(row.value, row.sd)}{floor}"))
            continue
        values = " to ".join(dict.fromkeys((row.number(row.value), last.number(last.value))))
        said = "no difference shown" if found.tied else "extractors disagree"
        if len(found.ordered) < 2:
            said = f"only {found.ordered[0].name}"
        tiles.append(Tile(measure, said, f"{values}{floor}"))
    return Tiles(tuple(tiles))


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _row(report: ReadReport, measure: str) -> MetricRow:
    row = counted(report.payload, measure)
    if row is None:
        raise ValueError(f"{report.name} has no {measure}")
    return row


def _values(reports: Sequence[ReadReport]) -> str:
    rows = [(one.name, _row(one, "KID")) for one in reports]
    return f"KID {', '.join(f'{row.number(row.value, row.sd)} ({name})' for name, row in rows)}"


def _tied(found: Best[ReadReport]) -> tuple[str, ...]:
    """Why the first is not named: intervals that overlap, that are not known, or relatives that alone speak for it."""
    first, beside = found.tied[0], found.tied[1:]
    row = _row(first, "KID")
    overlapping = [one for one in beside if not difference_shown(row, _row(one, "KID"))]
    if overlapping:
        why = "Their intervals overlap" if row.ends else "Their intervals are not known"
        return (f"{_values((first, beside[0]))}. {why}, so their order may be chance.",)
    network = trained_against(first.payload)
    lines = f"{first.name} was trained against {network}, a relative of {short_name(row.extractor)}"
    return (
        f"{_values((first, beside[0]))}. Their intervals do not overlap, but {lines}, and no other extractor shows "
        "the difference.",
    )


def _others(found: Best[ReadReport]) -> str:
    """What the other extractors say of the one that is named."""
    first = found.ordered[0]
    mine, network = _row(first, "KID").extractor, trained_against(first.payload)
    names = [
        f"{short_name(one.extractor)}{'' if one.shown else ' (within the intervals)'}"
        for one in found.said
        if one.extractor != mine
    ]
    against = f"; it was trained against {network}" if is_relative(mine, network) else ""
    return f", and it is the nearest by {listed(names)} too{against}" if names else ""


def _refused(found: Best[ReadReport]) -> tuple[str, ...]:
    """Those that the gate refused and that have a lower KID than the first of the others."""
    if not found.ordered:
        return ()
    first = _row(found.ordered[0], "KID").value or 0.0
    lower = [one for one in found.refused if (_row(one, "KID").value or 0.0) < first]
    if not lower:
        return ()
    which = listed([one.name for one in lower])
    return (f"{_values(lower)}: lower, but the release gate refused {which}.",)
