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


def filled(outline: "Points", shape: tuple[int, int]) -> Mask:
    """The pixels of an image of this shape whose middle lies inside a closed outline (N, 2) of column and row."""
    from skimage.draw import polygon

    mask = np.zeros(shape, np.bool_)
    mask[polygon(outline[:, 1], outline[:, 0], shape)] = True  # type: ignore[no-untyped-call]
    return mask


def add_boxes(found: Found, mask: Mask, place: "SlicePlace", origin: Origin) -> None:
    """The boxes of the connected parts (8 neighbours) of a mask over a whole slice, largest first."""
    from skimage.measure import label, regionprops

    if not mask.any():
        found.lose(Defect.TINY, place.name, place.patient)
        return
    parts = sorted(regionprops(label(mask, connectivity=2)), key=lambda part: -part.area)  # type: ignore[no-untyped-call]
    for part in parts[:MAX_PARTS]:
        top, left, bottom, right = map(int, part.bbox)
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
                label="",
                origin=origin,
                image_width=place.columns,
                image_height=place.rows,
                mask=packed(part.image),
            )
        )
    found.defects[Defect.TINY] += max(len(parts) - MAX_PARTS, 0)


def lose(found: Found, lost: "Lost") -> None:
    """Count what has no slice. The slices that it may concern say nothing without a box."""
    found.defects[lost.defect] += 1
    found.unsure.update({one.name: one.patient for one in lost.slices})
