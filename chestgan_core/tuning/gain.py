"""Whether a study has found something better than the experiment as it is, by more than chance.

In: the score of its best trial and that of the unchanged experiment, with their standard errors. Out: yes or no, and a
sentence. Imports nothing heavy: automation asks it.
"""

import math
from statistics import NormalDist

from chestgan_core.config.experiment import Provenance

# Probability that a study in which no configuration is better than the unchanged one is believed nevertheless.
LEVEL = 0.05


def error_of_difference(best: float | None, initial: float | None) -> float | None:
    """The standard error of the difference of two KIDs, from those of both; None where one is not known.

    Too large rather than too small: the held-out slices are the same for both, which makes errors agree.
    """
    return None if best is None or initial is None else math.hypot(best, initial)


def needed_gain(error: float, trials: int) -> float:
    """How much lower than the unchanged experiment the best of so many trials has to be, in the unit of error.

    The lowest of many scores is low by chance too, so the level is divided among the others (Bonferroni).
    """
    return error * NormalDist().inv_cdf(1 - LEVEL / max(1, trials - 1))


def gain(found: Provenance) -> tuple[bool, str]:
    """Whether the best trial is better than the unchanged experiment by more than its error, and why.

    The error is that of scoring a limited number of images. How much a second training with another seed would differ
    is not known: each configuration is trained once.
    """
    if found.initial is None:
        return False, "the study has no score of the unchanged experiment to compare with"
    if found.initial <= found.kid:
        return False, "the study found nothing better than the experiment as it is"
    if found.error is None:
        return False, "the study does not say how exact its scores are"
    lower, needed = found.initial - found.kid, needed_gain(found.error, found.trials)
    said = (
        f"the best of {found.trials} trials has a KID x 1000 of {1000 * found.kid:.1f}, "
        f"{1000 * lower:.1f} lower than the experiment as it is"
    )
    if lower <= needed:
        return False, f"{said}, which may be chance: up to {1000 * needed:.1f} would be"
    return True, said
