"""What further extractors say beside the first one, and which of them are relatives of what the training saw.

In: the rows of a report, and its provenance. Out: a table and sentences, for the page of the report and the card of a
set. Headline and release gate look at the first extractor alone. Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chestgan_core.documents.blocks import Block, Paragraph, Table
from chestgan_core.evaluation.pages.verdict import bare, label
from chestgan_core.evaluation.scoring.metric_rows import FEATURE_MEASURES, MetricRow, second_opinions
from chestgan_core.evaluation.scoring.provenance import FEATURES_OF_TRAINING
from chestgan_core.evaluation.scoring.standing import is_relative, short_name


def opinion_blocks(rows: Sequence[MetricRow]) -> list[Block]:
    """Every measure on features by every extractor; nothing where there is only one."""
    if not second_opinions(rows):
        return []
    of_features = [row for row in rows if row.measure in FEATURE_MEASURES]
    extractors = list(dict.fromkeys(row.extractor for row in of_features))
    known = {(row.extractor, row.measure): row for row in of_features}
    lines = []
    for measure in dict.fromkeys(row.measure for row in of_features):
        rows_of = [known.get((extractor, measure)) for extractor in extractors]
        title = next(label(row) for row in rows_of if row)
        lines.append((title, *(_cell(row) for row in rows_of)))
    head = ("measure", *(short_name(extractor) for extractor in extractors))
    said = (
        f"The headline and the release gate are those of {short_name(extractors[0])}. The others are second opinions: a"
        " distance by one extractor compares with no distance by another, only with its own floor."
    )
    return [Paragraph(said), Table(head, tuple(lines), (2.4, *[2.4] * len(extractors)))]


def about_training(provenance: Mapping[str, Any], rows: Sequence[MetricRow]) -> list[str]:
    """Which extractors are relatives of the network on whose features the discriminator was trained; nothing where it
    saw images alone.
    """
    network = str(provenance.get(FEATURES_OF_TRAINING, ""))
    names = list(dict.fromkeys(short_name(row.extractor) for row in rows if row.measure in FEATURE_MEASURES))
    if not network or not names:
        return []
    related = [name for name in names if is_relative(name, network)]
    others = [name for name in names if name not in related]
    said = [f"The discriminator of this training saw images through {network}."]
    if related:
        which = "were" if len(related) > 1 else "was"
        said.append(
            f"{_listed(related)} {which} trained on the same photographs (ImageNet): numbers by such cousins are better"
            " than the images are."
        )
    if others:
        said.append(f"{_listed(others)} {'are' if len(others) > 1 else 'is'} no relative of it.")
    else:
        said.append("No extractor of this report is without kinship to it.")
    return [" ".join(said)]


def _cell(row: MetricRow | None) -> str:
    """The value, its interval and its floor."""
    if row is None or row.value is None:
        return "not measured"
    interval = f" ({bare(row.interval)})" if row.interval else ""
    floor = "" if row.floor is None else f"; floor {bare(row.number(row.floor, row.floor_sd))}"
    return f"{bare(row.number(row.value, row.sd))}{interval}{floor}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
