"""How far a training has come, and what follows from it: when it ends, and its learning rates on the way.

In: the minutes, images or epochs of a plan, and a state. Out: a fraction of the plan; numbers along a schedule.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from chestgan_core.config.training_plan import TrainingPlan
from chestgan_core.errors import BadInput


class Elapsed(Protocol):
    """How far a training has come. images_seen: real ones. seconds: of all attempts."""

    images_seen: int
    seconds: float


@dataclass(frozen=True)
class Budget:
    """What ends a training: minutes of all attempts together, or images seen; whichever is reached first."""

    minutes: float | None
    images: int | None

    def __post_init__(self) -> None:
        if self.minutes is None and self.images is None:
            raise BadInput(
                "the training", "has no budget and would never end", "give minutes, images, or both"
            )

    @classmethod
    def from_plan(cls, plan: TrainingPlan, slices: int) -> "Budget":
        """The budget of a plan with so many training slices: epochs become images."""
        limits = [plan.images, None if plan.epochs is None else math.ceil(plan.epochs * slices)]
        images = min((limit for limit in limits if limit is not None), default=None)
        return cls(minutes=plan.minutes, images=images)

    def fraction(self, elapsed: Elapsed) -> float:
        """From 0 at the start to 1 at the end."""
        fractions = []
        if self.minutes is not None:
            fractions.append(elapsed.seconds / (60 * self.minutes))
        if self.images is not None:
            fractions.append(elapsed.images_seen / self.images)
        return min(max(fractions), 1.0)


def cosine(first: float, last: float | None, fraction: float) -> float:
    """From `first` to `last` along half a cosine; `first` where there is no last."""
    if last is None:
        return first
    return last + (first - last) * (1 + math.cos(math.pi * fraction)) / 2
