"""How many patients, series and slices are on each side of a split: by class, kernel, scanner and thickness.

In: the rows that are published, and nothing else, so that a card never says more than split.csv. Out: counts by side.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chestgan_core.publishing.split.row import SplitRow
from chestgan_core.slices.splits import SIDES
from chestgan_core.sources.catalog.thicknesses import BINS, thickness_bin

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Count:
    """How much some rows amount to."""

    patients: int
    series: int
    slices: int


@dataclass(frozen=True)
class SplitCounts:
    """sides: side -> count. by: `class`, `kernel`, `scanner`, `thickness` -> value -> side -> count.

    A series without a value counts as `unknown`; what no row has a value for is left out, so that pictures have no
    kernels and private datasets no scanners.
    """

    sides: dict[str, Count]
    by: dict[str, dict[str, dict[str, Count]]]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def split_counts(rows: Sequence[SplitRow]) -> SplitCounts:
    """Count the rows. A patient with series of two kernels counts once for each."""
    values: dict[str, Callable[[SplitRow], str]] = {
        "class": lambda row: row.class_name,
        "kernel": lambda row: row.kernel,
        "scanner": lambda row: row.manufacturer,
        "thickness": lambda row: thickness_bin(row.thickness_mm),
    }
    by = {
        name: {
            value: _by_side([row for row in rows if (of(row) or UNKNOWN) == value])
            for value in sorted({of(row) or UNKNOWN for row in rows}, key=_order)
        }
        for name, of in values.items()
        if any(map(of, rows))
    }
    return SplitCounts(_by_side(rows), by)


def _order(value: str) -> tuple[bool, int, str]:
    """Bins by thickness, all else by name, what is unknown last."""
    return value == UNKNOWN, BINS.index(value) if value in BINS else 0, value


def _by_side(rows: Iterable[SplitRow]) -> dict[str, Count]:
    rows = list(rows)
    return {side: _count([row for row in rows if row.side == side]) for side in SIDES}


def _count(rows: Sequence[SplitRow]) -> Count:
    return Count(
        patients=len({row.patient for row in rows}),
        series=len({(row.patient, row.series) for row in rows}),
        slices=sum(row.slices for row in rows),
    )
