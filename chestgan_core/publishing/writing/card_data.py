"""The part of a card about the training data: where they are from, who is on which side, what was left out.

In: Provenance. Out: blocks of a document. Counts are in patients first: slices of one patient are near copies.
"""

from collections.abc import Mapping

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.documents.blocks import Block, Facts, Paragraph, Table
from chestgan_core.evaluation.scoring.provenance import in_words
from chestgan_core.publishing.split.counts import Count
from chestgan_core.publishing.split.table import SPLIT
from chestgan_core.publishing.writing.provenance import CardFacts, Provenance
from chestgan_core.reasons import meanings
from chestgan_core.slices.selection import NotUsed
from chestgan_core.slices.splits import SIDES
from chestgan_core.sources.images.image_rows import ImageStatus

NOT_RECORDED = "not recorded"


def source(provenance: Provenance, changes: str) -> list[Block]:
    """Title, licence, citation, access, rules; and the statement of changes."""
    of = provenance.source_facts
    pairs = [("title", provenance.source), ("licence", provenance.source_licence)]
    if of:
        pairs += [
            ("citation", of.citation or "none given"),
            ("DOI", f"https://doi.org/{of.doi}" if of.doi else "none given"),
            ("access", of.access),
            ("version of the collection", of.collection_version or NOT_RECORDED),
            ("dataset of chestgan", of.dataset),
            *(
                (f"rules: {name.replace('_', ' ')}", in_words(value))
                for name, value in of.rules.items()
                if in_words(value)
            ),
        ]
    pairs.append(("training set", provenance.training_set or NOT_RECORDED))
    return [
        Facts(tuple(pairs)),
        Paragraph(changes),
        Paragraph(
            "The training data remain under their own terms; whoever passes the set on names them and their licence."
        ),
    ]


def who(card: CardFacts) -> list[Block]:
    """Patients, series and slices by side, then by class, kernel, scanner and thickness."""
    provenance = card.provenance
    counts, training = provenance.split, provenance.training
    if counts:
        blocks: list[Block] = [_by_side(counts.sides)]
        blocks += [
            _by_value(name, values, card.set.window_unit == "HU") for name, values in counts.by.items()
        ]
    elif training:
        rows = tuple(
            (side, f"{training.patients[side]:,}", f"{training.slices[side]:,}") for side in training.patients
        )
        blocks = [Table(("side", "patients", "slices"), rows, (2, 1, 1))]
    else:
        return [Paragraph("Not recorded.")]
    if any(one.name == SPLIT for one in card.files):
        blocks.append(Paragraph(_split_file(provenance)))
    return blocks


def left_out(provenance: Provenance) -> list[Block]:
    """Slices before and after the rules of the training set, and what was left out before, by reason."""
    training = provenance.training
    if not training:
        return []
    known = meanings(NotUsed, LeftOut, ImageStatus)
    rows = [
        ("before the training set", reason, f"{count:,}", known.get(reason, ""))
        for reason, count in training.not_normalized.items()
    ]
    rows += [
        ("by its rules", reason, f"{count:,}", known.get(reason, ""))
        for reason, count in training.left_out.items()
    ]
    used = sum(training.slices.values())
    said = Paragraph(f"Of {training.in_shards:,} normalized slices {used:,} are in the training set.")
    return (
        [said, Table(("when", "reason", "files or slices", "meaning"), tuple(rows), (2, 2, 1, 5))]
        if rows
        else [said]
    )


def _split_file(provenance: Provenance) -> str:
    private = provenance.source_facts and provenance.source_facts.private
    names = "under names that only this set has" if private else "by the names of the collection"
    return f"{SPLIT} has every series of both sides, {names}."


def _by_side(sides: Mapping[str, Count]) -> Table:
    rows = tuple(
        (side, f"{sides[side].patients:,}", f"{sides[side].series:,}", f"{sides[side].slices:,}")
        for side in SIDES
        if side in sides
    )
    return Table(("side", "patients", "series", "slices"), rows, (2, 1, 1, 1))


def _by_value(name: str, values: Mapping[str, Mapping[str, Count]], hounsfield: bool) -> Table:
    head = (name, *(f"{side}: patients, series, slices" for side in SIDES))
    known = HISTOLOGIES if hounsfield and name == "class" else {}
    rows = tuple(
        (
            f"{known[value]} ({value})" if value in known else value,
            *(_in_short(sides.get(side)) for side in SIDES),
        )
        for value, sides in values.items()
    )
    return Table(head, rows, (2, 2, 2))


def _in_short(count: Count | None) -> str:
    return f"{count.patients:,}, {count.series:,}, {count.slices:,}" if count else "0, 0, 0"
