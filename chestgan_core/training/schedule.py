"""How far a training is, and what follows from it: when it ends, and the rates on the way.

In: minutes, images or epochs that are planned, and a state. Out: a share of the plan; numbers along a schedule.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from chestgan_core.config.training_plan import TrainingPlan
from chestgan_core.errors import BadInput


class Spent(Protocol):
    """What was spent so far. images_seen: real ones. seconds: of all attempts."""

    images_seen: int
    seconds: float


@dataclass(frozen=True)
class Budget:
    """What ends a training: minutes of all attempts together, or images seen; the first that is reached."""

    minutes: float | None
    images: int | None

    def __post_init__(self) -> None:
        if self.minutes is None and self.images is None:
            raise BadInput(
                "the training", "has no budget and would never end", "give minutes, images, or both"
            )

    @classmethod
    def of(cls, plan: TrainingPlan, slices: int) -> "Budget":
        """The budget of a plan for so many training slices: epochs become images."""
        wanted = [plan.images, None if plan.epochs is None else math.ceil(plan.epochs * slices)]
        images = min((number for number in wanted if number is not None), default=None)
        return cls(minutes=plan.minutes, images=images)

    def share(self, spent: Spent) -> float:
        """From 0 at the start to 1 at the end."""
        shares = []
        if self.minutes is not None:
            shares.append(spent.seconds / (60 * self.minutes))
        if self.images is not None:
            shares.append(spent.images_seen / self.images)
        return min(max(shares), 1.0)


def cosine(first: float, last: float | None, share: float) -> float:
    """From `first` to `last` along half a cosine; `first` where there is no last."""
    if last is None:
        return first
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
