"""The card of a training set, README.md: what is in it, what was left out and why, licence and citation.

In: the manifest's fields and the rows. Out: Markdown.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.documents.markdown import render_markdown
from chestgan_core.reasons import meanings
from chestgan_core.slices.selection import NEAR_BITS, NotUsed
from chestgan_core.slices.splits import SIDES
from chestgan_core.sources.images.image_rows import ImageStatus


def write_card(fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """The card. fields: the manifest of the set; rows: as in slices.parquet."""
    marked = [row for row in rows if row["boxes"]]
    return render_markdown(
        Path(__file__).parent / "training_card.md.j2",
        fields=fields,
        classes={_class(name): counts for name, counts in fields["classes"].items()},
        kernels=_table(rows, lambda row: row["kernel"] or "unknown"),
        thicknesses=_table(
            rows, lambda row: f"{row['thickness_mm']:g} mm" if row["thickness_mm"] else "unknown"
        ),
        meanings=meanings(NotUsed, LeftOut, ImageStatus),
        images="slices" if fields["hounsfield"] else "pictures",
        near_bits=NEAR_BITS,
        marked={
            side: (
                sum(row["side"] == side for row in marked),
                len({row["patient"] for row in marked if row["side"] == side}),
            )
            for side in SIDES
        },
        extents=_extents([box for row in marked for box in row["boxes"]]),
    )


def _class(name: str) -> str:
    if not name:
        return "unknown"
    return f"{name} {HISTOLOGIES[name]}" if name in HISTOLOGIES else name


def _table(
    rows: Sequence[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str]
) -> list[tuple[str, int, int]]:
    """(value, patients, slices), most slices first."""
    slices: defaultdict[str, int] = defaultdict(int)
    patients: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        slices[key(row)] += 1
        patients[key(row)].add(row["patient"])
    return sorted(
        ((value, len(patients[value]), count) for value, count in slices.items()),
        key=lambda row: (-row[2], row[0]),
    )


def _extents(boxes: Sequence[Mapping[str, float]]) -> tuple[float, float, float] | None:
    """Minimum, median and maximum of the longer edge in mm."""
    longer = sorted(max(box["width_mm"], box["height_mm"]) for box in boxes)
    return (longer[0], longer[len(longer) // 2], longer[-1]) if longer else None
