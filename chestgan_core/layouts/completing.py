"""Fills in what a person left open: a position that fits the tumour, or tumours that fit the position.

In: layouts with gaps, and the table of a generator. Out: layouts without, drawn from the entries of the table that fit.
A generator trained on slices whose position or tumours are known has never seen an image of which nothing is said.
"""

from collections.abc import Sequence

import numpy as np

from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.lung_zone import POSITIONS
from chestgan_core.layouts.table import (
    LayoutTable,
    chances_of,
    chosen_entry,
    moved_boxes,
    moved_position,
)

NEAR = 0.5 / POSITIONS  # how far an entry's position may be from that asked
_FEW = 8  # nearest entries, where none is so near
_STEPS = 64  # positions at which it is looked whether the lungs hold the tumours
_OF_GAPS = 0x6A95  # stream of random numbers


def completed(
    askable: Askable, layouts: Sequence[Layout], seeds: Sequence[int], tumours: bool = True
) -> list[Layout]:
    """The layouts with what they leave open, drawn: that of seed k depends on the table, its layout and k only.

    Where nothing is said about tumours, they are drawn from the training slices near the position; where no position is
    said, it is one of those at which the lungs hold the tumours. What the generator has no condition for stays open.
    tumours: False leaves open what is said about them.
    """
    table = askable.table
    if table is None:
        return list(layouts)
    fitting: dict[Layout, np.ndarray] = {}
    return [
        _completed(askable, table, layout, seed, fitting, tumours)
        for layout, seed in zip(layouts, seeds, strict=True)
    ]


def _completed(
    askable: Askable,
    table: LayoutTable,
    layout: Layout,
    seed: int,
    fitting: dict[Layout, np.ndarray],
    tumours: bool,
) -> Layout:
    needs_position = layout.position is None and askable.conditions.position and table.has_position
    needs_boxes = tumours and layout.boxes is None and askable.conditions.tumour is not None
    if not needs_position and not needs_boxes:
        return layout
    random = np.random.Generator(np.random.PCG64([_OF_GAPS, seed]))
    number = askable.class_number(layout.class_name, seed)
    if layout not in fitting:
        fitting[layout] = _fits(table, layout)
    entry = chosen_entry(chances_of(table, number, fitting[layout]), random)
    position = moved_position(table, entry, random) if needs_position else layout.position
    if needs_position and not _holds(table, layout, position):
        position = float(table.position[entry])
    boxes = moved_boxes(table, entry, position, random) if needs_boxes else layout.boxes
    return Layout(boxes, position, layout.class_name)


def _fits(table: LayoutTable, layout: Layout) -> np.ndarray:
    """(E,) bool: the entries from which the gaps of a layout can be filled."""
    known = np.isfinite(table.position)
    if layout.position is not None:
        if not known.any():
            return np.ones(len(table), bool)
        away = np.where(known, np.abs(table.position - layout.position), np.inf)
        reach = float(np.sort(away)[: min(_FEW, int(known.sum()))][-1])
        near: np.ndarray = away <= max(NEAR, reach)
        return near
    if layout.boxes:
        held = np.array([_holds(table, layout, step / _STEPS) for step in range(_STEPS + 1)])
        places = np.rint(np.nan_to_num(table.position) * _STEPS).astype(int)
        found: np.ndarray = known & held[places]
        return found
    if layout.boxes is not None:
        healthy: np.ndarray = known & ~table.has_box
        return healthy if healthy.any() else known
    return np.ones(len(table), bool)


def _holds(table: LayoutTable, layout: Layout, position: float | None) -> bool:
    return all(table.zone.holds(box, position) for box in layout.boxes or ())
