"""Text that is burned into pixels: rows of small sharp marks beside the body, as scanners and PACS write names there.

In: stored pixel values of single CT slices. Out: whether they look as if they had text on them. A heuristic, and small:
text over the body, text that is not brighter than the air around it, fewer than four characters, and pictures that
are no CT slices are not found; secondary captures, where text is usual, stop by their kind. docs/acquire.md has the
number of false alarms on public collections.
"""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import label, regionprops

from chestgan_core.dicom.headers import SliceHeader, read_header
from chestgan_core.errors import NotAvailable

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import Archives, Found

# Of a series the 1st, 2nd, 4th, 8th, ... file is searched: a bounded sample, whatever the order of the files.
MIN_CHARACTERS = 4
MIN_HEIGHT, MAX_HEIGHT_FRACTION = 5, 1 / 12  # of a character, in pixels and of the picture's height
MAX_MARKS = 2000  # noise has more marks than a page of text
AIR_MARGIN_FRACTION = 0.2  # of the range between air and the brightest pixel: text is written brighter


class PixelSample:
    """Chooses files of each series, and searches their pixels."""

    def __init__(self, archives: "Archives") -> None:
        self._archives = archives
        self._seen: Counter[str] = Counter()

    def search(self, file: "Found", read: Callable[[int], bytes]) -> tuple[int, bool]:
        """How many pictures of the file were searched (1 or 0), and whether one seems to have text on it."""
        from chestgan_core.dicom.pixels import PixelsLeftOut, stored_pixels

        header = read_header(file, read, "accept")  # what is made may have names on it as well
        if not isinstance(header, SliceHeader):
            return 0, False
        self._seen[header.series.uid] += 1
        number = self._seen[header.series.uid]
        if number & (number - 1):
            return 0, False
        try:
            pixels = stored_pixels(header, self._archives)
        except (PixelsLeftOut, NotAvailable):  # damaged, or the process that decodes does not start here
            return 0, False
        return 1, has_text(pixels)


def has_text(pixels: np.ndarray) -> bool:
    """Whether a slice has a row of marks like characters outside the body. pixels: (rows, cols) stored values."""
    values = pixels.astype(np.float32)
    air, top = _air(values), float(values.max())
    if top <= air:
        return False
    bright = values > air + AIR_MARGIN_FRACTION * (top - air)
    labels, count = label(bright, return_num=True, connectivity=2)  # type: ignore[no-untyped-call]
    if not MIN_CHARACTERS < count <= MAX_MARKS:
        return False
    tallest = max(MIN_HEIGHT, values.shape[0] * MAX_HEIGHT_FRACTION)
    marks = []
    for region in regionprops(labels):  # type: ignore[no-untyped-call]
        y0, x0, y1, x1 = region.bbox
        if MIN_HEIGHT <= y1 - y0 <= tallest and x1 - x0 <= 1.5 * (y1 - y0):
            inside = values[y0:y1, x0:x1][region.image]
            marks.append((y0, x0, y1, x1, float(inside.mean()), float(inside.max())))
    return _has_row(marks, air)


def _air(values: np.ndarray) -> float:
    """The value of what surrounds the body: the median of the frame of the picture."""
    edge = max(2, values.shape[0] // 64)
    frame = np.concatenate([
        values[:edge].ravel(), values[-edge:].ravel(), values[:, :edge].ravel(), values[:, -edge:].ravel()
    ])  # fmt: skip
    return float(np.median(frame))


def _has_row(marks: list[tuple[int, int, int, int, float, float]], air: float) -> bool:
    """Whether marks of one height and brightness stand side by side on one line, closer than two heights."""
    for first in marks:
        height = first[2] - first[0]
        line = sorted(
            (mark for mark in marks if _on_line(first, mark, height, air)), key=lambda mark: mark[1]
        )
        run = 1
        for left, right in pairwise(line):
            run = run + 1 if 0 <= right[1] - left[3] <= 1.5 * height else 1
            if run >= MIN_CHARACTERS:
                return True
    return False


def _on_line(
    first: tuple[int, int, int, int, float, float],
    other: tuple[int, int, int, int, float, float],
    height: int,
    air: float,
) -> bool:
    same_line = abs(other[2] - first[2]) <= 0.25 * height and abs(other[0] - first[0]) <= 0.35 * height
    same_tone = abs(other[5] - first[5]) <= 0.1 * (first[5] - air)
    return same_line and same_tone
