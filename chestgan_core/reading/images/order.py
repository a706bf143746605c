"""The order in which one reader sees the images of a study.

In: a frozen study, and the seed of a reader. Out: the warm-up, then the main part in an order of the reader's own, with
some images a second time, for the agreement of the reader with himself or herself. The truth is not known here.
"""

import random
from dataclasses import dataclass

from chestgan_core.reading.design import Part
from chestgan_core.reading.images.frozen_study import FrozenStudy

# An image is not recognised after this many others; a short study cannot have as many between.
GAP = 20


@dataclass(frozen=True, slots=True)
class Planned:
    """One showing. item: number of the image in the study."""

    item: int
    part: Part


def gap_of(images: int) -> int:
    """How far a second showing is from the first at least, in a main part of so many images."""
    return min(GAP, images // 4)


def reading_order(study: FrozenStudy, seed: int) -> tuple[Planned, ...]:
    """All showings of one reader; the same study and seed give the same order.

    A share `design.repeats` of the main images comes twice, chosen by the seed among all of them, the second time at
    least `gap_of(...)` showings after the first. Every other image comes once.
    """
    draw = random.Random(f"{study.design.name} {study.version} {seed}")  # noqa: S311 (no secret)
    warm_up = draw.sample(study.warm_up, len(study.warm_up))
    main = draw.sample(study.main, len(study.main))
    gap = gap_of(len(main))
    # Repeated are those that happen to come early enough to be shown again: an arbitrary choice, as the order is one.
    places = draw.sample(range(len(main) - gap), round(study.design.repeats * len(main)))
    second: dict[int, list[int]] = {}
    for place in places:
        second.setdefault(draw.randint(place + gap, len(main)), []).append(main[place])
    showings = [Planned(item, "warm-up") for item in warm_up]
    for place in range(len(main) + 1):
        showings += [Planned(item, "repeat") for item in second.get(place, [])]
        if place < len(main):
            showings.append(Planned(main[place], "main"))
    return tuple(showings)
