"""From what was drawn on a slice to masks and boxes: outlines are filled, and each connected part is a box of its own.

In: outlines as (column, row) in pixels, or masks of a whole slice. Out: `TumourBox` with the mask in it.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chestgan_core.sources.annotations.boxes import Defect, Found, Origin, TumourBox
from chestgan_core.sources.annotations.masks import packed
from chestgan_core.sources.annotations.voc import MIN_EDGE

if TYPE_CHECKING:
    from chestgan_core.sources.annotations.places import Lost, Points, SlicePlace

Mask = NDArray[np.bool_]
MAX_PARTS = 64  # of a region on one slice; more is noise
EDGES_AT_ONCE = 1000  # of an outline, each over all rows: 30 MB


def filled(outline: "Points", shape: tuple[int, int]) -> Mask:
    """The pixels of an image of this shape whose middle lies inside a closed outline (N, 2) of column and row.

    Inside is what an odd number of edges lies to the left of (even-odd rule), so that an outline which runs in along a
    line and back cuts a hole. A middle on the outline belongs to it at the left and at the top, not at the right and at
    the bottom: two regions with a common border share no pixel. An outline of any shape takes its length times its
    height, unlike with `skimage.draw.polygon`, where it is the length times the area.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), np.int64)
    ends = np.roll(outline, -1, axis=0)
    for at in range(0, len(outline), EDGES_AT_ONCE):
        (x, y), (x2, y2) = outline[at : at + EDGES_AT_ONCE].T, ends[at : at + EDGES_AT_ONCE].T
        first = np.clip(np.ceil(np.minimum(y, y2)), 0, rows).astype(np.int64)
        last = np.clip(np.ceil(np.maximum(y, y2)), 0, rows).astype(np.int64)
        count = last - first
        edge = np.repeat(np.arange(len(x)), count)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        # Edges along a row cross none, so that the height of those that are left is not zero.
        column = x[edge] + (row - y[edge]) * (x2[edge] - x[edge]) / (y2[edge] - y[edge])
        inner = np.clip(np.ceil(column), 0, columns).astype(np.int64)
        np.add.at(crossings, (row, inner), 1)
    inside: Mask = np.cumsum(crossings, axis=1)[:, :columns] % 2 == 1
    return inside


def add_outline(
    mask: Mask, points: "Points", place: "SlicePlace", found: Found, cuts_holes: bool = False
) -> bool:
    """Draw a closed outline (N, 3) in mm into the mask of a whole slice; whether a part of it lies in the image.

    cuts_holes: what it shares with the mask is taken out of it.
    """
    outline = place.pixels_of(points)
    first, last = outline.min(axis=0) + 0.5, outline.max(axis=0) + 0.5
    size = (place.columns, place.rows)
    if (last <= 0).any() or (first >= size).any():
        found.lose(Defect.OUTSIDE, place.name, place.patient)
        return False
    found.defects[Defect.REACHES_OUT] += bool((first < 0).any() or (last > size).any())
    part = filled(outline, mask.shape)
    mask[...] = mask ^ part if cuts_holes else mask | part
    return True


def add_boxes(found: Found, mask: Mask, place: "SlicePlace", origin: Origin, name: str = "") -> None:
    """The boxes of the connected parts (8 neighbours) of a mask over a whole slice, largest first. name: a label."""
    from skimage.measure import label

    numbered: np.ndarray = label(mask, connectivity=2)  # type: ignore[no-untyped-call]
    areas = np.bincount(numbered.ravel())[1:]
    if not len(areas):
        found.lose(Defect.TINY, place.name, place.patient)
    for number in np.argsort(-areas, kind="stable")[:MAX_PARTS] + 1:
        part = numbered == number
        rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        if min(right - left, bottom - top) < MIN_EDGE:
            found.lose(Defect.TINY, place.name, place.patient)
            continue
        found.boxes.append(
            TumourBox(
                place.patient,
                place.name,
                left,
                top,
                right,
                bottom,
                label=name,
                origin=origin,
                image_width=place.columns,
                image_height=place.rows,
                mask=packed(part[top:bottom, left:right]),
            )
        )
    found.defects[Defect.TINY] += max(len(areas) - MAX_PARTS, 0)


def lose(found: Found, lost: "Lost") -> None:
    """Count what has no slice. The slices that it may concern say nothing without a box."""
    found.defects[lost.defect] += 1
    found.unsure.update({one.name: one.patient for one in lost.slices})
