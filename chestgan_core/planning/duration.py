"""Hours and money of a training, from what a few seconds of it took.

In: a budget, a measured speed, prices. Out: estimates. They count steps, rows of the history with their samples,
checkpoints and validations; not the start, the slices, the pictures at the end, nor another load of the machine.
"""

from dataclasses import dataclass

from chestgan_core.config.training_plan import TrainingPlan
from chestgan_core.local.prices import Prices
from chestgan_core.planning.speed import Speed
from chestgan_core.training.schedule import Budget

SCALES = (1_000_000, 10_000_000, 25_000_000)  # images seen


@dataclass(frozen=True)
class TimeAndCost:
    """An estimate. images: seen. cost: in the currency of the prices; None where no price is set."""

    images: int
    hours: float
    cost: float | None


class Estimator:
    """Estimates for one experiment on one machine.

    validation_seconds: of one validation, 0 where there is none. gpus: that are held meanwhile.
    """

    def __init__(
        self, plan: TrainingPlan, speed: Speed, validation_seconds: float, prices: Prices, gpus: int
    ) -> None:
        validations = validation_seconds / plan.validation.every_images if plan.validation else 0.0
        self._seconds_per_image = (
            1 / speed.images_per_second
            + speed.row_seconds / plan.sample_every_images
            + speed.checkpoint_seconds / plan.checkpoint_every_images
            + validations
        )
        self._speed, self._prices, self._gpus = speed, prices, gpus

    def of_images(self, images: int) -> TimeAndCost:
        """To so many images seen."""
        hours = images * self._seconds_per_image / 3600
        cost = self._prices.of(hours * self._gpus, hours * self._speed.cores, hours)
        return TimeAndCost(images, hours, cost)

    def of_budget(self, budget: Budget) -> TimeAndCost:
        """To what ends the training first, minutes or images."""
        in_time = None if budget.minutes is None else round(60 * budget.minutes / self._seconds_per_image)
        return self.of_images(min(limit for limit in (in_time, budget.images) if limit is not None))
