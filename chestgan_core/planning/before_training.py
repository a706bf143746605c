"""What a training in the pipeline is expected to take, said before it begins; costs at most a few seconds itself.

In: an experiment, whose training set is in the store. Out: an estimate from some timed steps on noise, beside which
what it took will stand. No slices are fetched, and no features are computed but for the rate of validations.
"""

from dataclasses import dataclass

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.local.prices import Prices
from chestgan_core.planning.duration import Estimator, TimeAndCost
from chestgan_core.planning.plan import gpus_of, planned_budget, validation_seconds
from chestgan_core.planning.sides import facts_of
from chestgan_core.planning.speed import Speed, measure_scoring, measure_speed
from chestgan_core.slices.training_set import open_training_set
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_core.training.run import run_name

SECONDS = 2.0  # of timed steps, at most


@dataclass(frozen=True)
class Expected:
    """time: of the whole training, earlier attempts included. currency: of its cost, "" without a price."""

    time: TimeAndCost
    speed: Speed
    currency: str


def expected_training(
    store: Store, experiment: Experiment, device: torch.device, prices: Prices
) -> Expected | None:
    """The estimate; None where the run is in the store already, so that nothing will be trained.

    Raises NotInStore: there is no training set. BadInput: the batch does not fit into the GPU.
    """
    training_set = open_training_set(store, experiment.dataset)
    name = run_name(experiment, training_set)
    if store.head(keys.run_manifest(experiment.name, name)) is not None:
        return None
    budget = planned_budget(experiment, facts_of(training_set, experiment))
    speed = measure_speed(experiment, device, None, SECONDS, budget.images)
    is_validated = experiment.training.validation is not None
    scored = measure_scoring(experiment, [experiment.evaluation.extractor] if is_validated else [], device)
    of_validation = validation_seconds(experiment, speed, scored)
    estimator = Estimator(experiment.training, speed, of_validation, prices, gpus_of(experiment, device))
    return Expected(estimator.of_budget(budget), speed, prices.currency)
