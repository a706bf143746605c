"""How many readers and images a reader study takes, before it is held.

In: the area under the ROC curve that readers may have, how much they differ, and how alike they err. Out: images per
side. Estimates: the variance of one reader's area is that of Hanley and McNeil (1982), the mean over readers and its
degrees of freedom are those of the analysis (multireader.py: Obuchowski and Rockette 1995, Hillis 2007).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from chestgan_core.reading.analysis.multireader import t_quantile
from chestgan_core.reading.design import Z_95

Z_80, Z_90 = 0.841621, 1.281552
MAX_IMAGES = 2_000  # per side, as in StudyDesign
MARGIN = 0.05  # of 0.5, within which a whole interval lies where a result says that readers cannot tell


@dataclass(frozen=True)
class Readers:
    """What is taken of readers before there is a study. Of studies of radiologists in the literature both are typical.

    between: standard deviation of the areas that readers would have with images without end. shared: correlation of the
    errors of two readers that come from judging the same images.
    """

    between: float = 0.05
    shared: float = 0.4


TYPICAL = Readers()


def variance_of_area(area: float, images: int) -> float:
    """Of one reader's area, with so many images on each side, each of its own patient (Hanley and McNeil 1982)."""
    both_above = area / (2 - area)  # that two synthetic images are above one real one
    above_both = 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (images - 1) * (both_above - area**2 + above_both - area**2)
    return spread / images**2


def reach(area: float, readers: int, images: int, margin_z: float, of: Readers = TYPICAL) -> float:
    """Half of the 95 % interval of the mean area, and margin_z standard errors. images: per side.

    With one reader the interval is about this reader.
    """
    alone = variance_of_area(area, images)
    if readers == 1:
        return (Z_95 + margin_z) * math.sqrt(alone)
    covariance = of.shared * alone
    between = of.between**2 + alone - covariance
    error = between + readers * covariance
    freedom = (readers - 1) * (error / between) ** 2
    return (t_quantile(freedom) + margin_z) * math.sqrt(error / readers)


def images_to_tell(area: float, readers: int, of: Readers = TYPICAL) -> int | None:
    """Images per side with which the interval lies above 0.5 in 80 of 100 studies, if the area is this one.

    None: 2,000 are too few. Raises ValueError: an area that is not between 0.5 and 1, or no reader.
    """
    if not 0.5 < area < 1 or readers < 1:
        raise ValueError(f"needs an area between 0.5 and 1 and a reader, not {area} and {readers}")
    return _fewest(lambda images: reach(area, readers, images, Z_80, of) <= area - 0.5)


def images_to_rule_out(readers: int, of: Readers = TYPICAL, margin: float = MARGIN) -> int | None:
    """Images per side with which the whole interval lies within the margin of 0.5 in 80 of 100 studies, if readers
    guess, as then they do not differ.

    None: 2,000 are too few; more readers may do.
    """
    guessing = replace(of, between=0.0)
    return _fewest(lambda images: reach(0.5, readers, images, Z_90, guessing) <= margin)


def _fewest(is_enough: Callable[[int], bool]) -> int | None:
    low, high = 1, MAX_IMAGES
    if not is_enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
