"""What readers answered to "where is the tumour": clicks beside the boxes of the key, and conspicuity.

In: AnswerTable. Out: Tumours. Only real images have boxes, and not all of them: an image without a box may show a
tumour that nobody drew, so that clicks on it are neither right nor wrong.
"""

import math
from collections.abc import Sequence

import numpy as np

from chestgan_core.reading.analysis.answer_table import AnswerTable
from chestgan_core.reading.analysis.proportions import proportion
from chestgan_core.reading.analysis.result import Tumours, TumourSide
from chestgan_core.reading.analysis.roc import rounded
from chestgan_core.reading.answers import Answer
from chestgan_core.reading.design import Truth
from chestgan_core.reading.study_key import Box


def tumours(table: AnswerTable) -> Tumours:
    """Counts are over readers and images."""
    boxed = [(table.rows[at].boxes, one) for _, at, one in table.tumour_answers if table.rows[at].boxes]
    clicks = [
        (boxes, one.tumour_x, one.tumour_y)
        for boxes, one in boxed
        if one.tumour_seen and one.tumour_x is not None and one.tumour_y is not None
    ]
    distances = [min(_distance(box, x, y) for box in boxes) for boxes, x, y in clicks]
    inside = sum(any(_inside(box, x, y) for box in boxes) for boxes, x, y in clicks)
    by_truth = [(table.rows[at].truth, one) for _, at, one in table.tumour_answers]
    return Tumours(
        images=sum(bool(row.boxes) for row in table.rows),
        seen=proportion(sum(bool(one.tumour_seen) for _, one in boxed), len(boxed)),
        inside=proportion(inside, len(boxed)),
        distance=rounded(np.median(distances)) if distances else None,
        sides=tuple(
            _side(truth, [one for its, one in by_truth if its == truth]) for truth in ("real", "synthetic")
        ),
    )


def _side(truth: Truth, answers: Sequence[Answer]) -> TumourSide:
    seen = [one for one in answers if one.tumour_seen]
    grades = [one.conspicuity for one in seen if one.conspicuity is not None]
    counts = np.bincount(grades, minlength=6)[1:].tolist() if grades else [0] * 5
    return TumourSide(
        truth=truth,
        seen=proportion(len(seen), len(answers)),
        conspicuity=tuple(counts),
        mean_conspicuity=rounded(sum(grades) / len(grades)) if grades else None,
    )


def _inside(box: Box, x: float, y: float) -> bool:
    return box.left <= x <= box.right and box.top <= y <= box.bottom


def _distance(box: Box, x: float, y: float) -> float:
    return math.hypot((box.left + box.right) / 2 - x, (box.top + box.bottom) / 2 - y)
