"""Where the tumour of a phantom patient is, slice by slice: the truth, drawn again from the seed and not measured.

In: what `write_phantom` was called with. Out: the outline of the painted tumour on each slice that it cuts, by SOP
instance. No file is read and no slice painted: most of the time (0.1 s per patient) goes into the vessels, which are
drawn before the tumour from the same random numbers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chestgan_core.sources.phantom.canvas import Canvas
from chestgan_core.sources.phantom.dicom_files import Uids
from chestgan_core.sources.phantom.growth import draw_anatomy
from chestgan_core.sources.phantom.painting import tumour_cover
from chestgan_core.sources.phantom.patients import histology_of, phantom_id, slice_spacing, uid_scope

HALF = 0.5
"""Fraction of a pixel that the tumour must fill: less is a border that nobody would draw around."""


@dataclass(frozen=True)
class TumourSlice:
    """The tumour on one slice. left, top: of the tight box in pixels; mask: (height, width) of that box."""

    sop_uid: str
    left: int
    top: int
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class PhantomTumour:
    """Patient and series as in the DICOM files. size: rows and columns. slices: those that show the tumour, from head
    to feet.
    """

    patient_id: str
    histology: str
    series_uid: str
    size: int
    slices: tuple[TumourSlice, ...]


def phantom_tumour(number: int, seed: int = 0, size: int = 256, slices: int = 40) -> PhantomTumour:
    """The tumour of patient `number` (from 1) as `write_phantom` paints it with the same arguments."""
    histology = histology_of(number, seed)
    anatomy = draw_anatomy(seed, number, histology)
    canvas, uids = Canvas.of(anatomy, size), Uids(uid_scope(seed, number, size, slices))
    spacing = slice_spacing(anatomy, slices)
    canvas.hu.fill(0)
    shown = []
    for index in range(slices):
        depth = (index + HALF) * spacing
        if abs(depth - anatomy.tumour.depth) >= anatomy.tumour.radius:
            continue
        # Beyond the pleura, chest wall and heart are painted over it.
        inside = [canvas.cover(anatomy.lung_field(canvas.x, canvas.y, depth, side)) for side in (-1, 1)]
        cover = tumour_cover(anatomy, canvas, depth) * np.maximum(*inside)
        tight = _tight(cover >= HALF)
        if tight is not None:
            shown.append(TumourSlice(str(uids(f"slice {index}")), *tight))
    return PhantomTumour(phantom_id(number, seed), histology, str(uids("series")), size, tuple(shown))


def _tight(mask: NDArray[np.bool_]) -> tuple[int, int, NDArray[Any]] | None:
    """left and top of the smallest box around a mask, and the mask in it; None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return int(columns[0]), int(rows[0]), mask[box]
