"""What in the pixels tells the two sides apart without being realism: a frame, missing grey levels, another black.

In: the pictures of a frozen study and its key. Out: for each such number how well it alone separates the sides. Look
at those that do before a study opens: what readers notice after some images, they go by, and then the study measures
that and nothing else. Blur and noise are not among them, as those are what readers should judge.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chestgan_core.reading.images.frozen_study import FrozenStudy
from chestgan_core.reading.study_key import StudyKey

Grey = NDArray[np.uint8]
# Without a difference a number reaches it in one of 70,000 studies of 20 and 20 images, but in one of 16 of 4 and 4.
SUSPICIOUS = 0.9


@dataclass(frozen=True)
class Giveaway:
    """area: under the ROC curve of this number alone, 0.5 to 1, whichever side is higher. real, synthetic: medians."""

    what: str
    area: float
    real: float
    synthetic: float

    @property
    def is_suspicious(self) -> bool:
        """Whether somebody should look whether people can see it."""
        return self.area >= SUSPICIOUS

    @property
    def line(self) -> str:
        """For people."""
        return (
            f"{self.what}: {self.real:.3g} in real images, {self.synthetic:.3g} in synthetic ones (medians); alone it "
            f"separates them with an area of {self.area:.2f} under the ROC curve (0.5: not at all, 1: always)"
        )


def _frame(picture: Grey) -> Grey:
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def _next_frame(picture: Grey) -> Grey:
    return _frame(picture[1:-1, 1:-1])


NUMBERS: dict[str, Callable[[Grey], float]] = {
    "grey of the outermost pixels": lambda picture: float(_frame(picture).mean()),
    "step between the outermost pixels and the next": lambda picture: abs(
        float(_frame(picture).mean()) - float(_next_frame(picture).mean())
    ),
    "darkest grey": lambda picture: float(picture.min()),
    "brightest grey": lambda picture: float(picture.max()),
    "number of grey levels": lambda picture: float(len(np.unique(picture))),
    "share of black pixels": lambda picture: float((picture == 0).mean()),
    "share of white pixels": lambda picture: float((picture == 255).mean()),
    "mean grey": lambda picture: float(picture.mean()),
}


def giveaways(study: FrozenStudy, key: StudyKey) -> tuple[Giveaway, ...]:
    """Each number of NUMBERS, the most telling first. Warm-up images do not count."""
    rows = [row for row in key.rows if not row.warm_up]
    is_real = np.array([row.truth == "real" for row in rows])
    found = []
    for what, number in NUMBERS.items():
        values = np.array([number(study.pictures[row.item]) for row in rows])
        real, synthetic = values[is_real], values[~is_real]
        area = _area(real, synthetic)
        found.append(Giveaway(what, max(area, 1 - area), float(np.median(real)), float(np.median(synthetic))))
    return tuple(sorted(found, key=lambda one: -one.area))


def _area(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """Probability that one of the first is above one of the second, ties as one half."""
    wins = (higher[:, None] > lower[None]).mean() + (higher[:, None] == lower[None]).mean() / 2
    return float(wins)
