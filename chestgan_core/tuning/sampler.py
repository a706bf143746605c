"""Which configuration a trial gets: tree-structured Parzen estimators, seeded by the number of the trial.

In: the trials so far. Out: values of the parameters. Several workers with one seed would draw the same first trials,
and a worker that is started again those that are there already; so every trial has random numbers of its own.
"""

import hashlib
import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from chestgan_core.tuning.plan import StudyPlan

# Trials drawn at random before anything is learned from them.
RANDOM_TRIALS = 8
# Trials that have to be there before one is ended early, and the first look at which that may happen.
PRUNED_AFTER, PRUNED_FROM_LOOK = 4, 2


class NumberedSampler(BaseSampler):
    """TPE (Bergstra et al. 2011; multivariate: Falkner et al. 2018, arXiv 1807.01774). Trials that still run count as
    bad ones, so that two workers do not try the same.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._inner = self._of(0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Optuna calls it before it draws."""
        self._inner = self._of(trial.number)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See optuna.samplers.BaseSampler."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See optuna.samplers.BaseSampler."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See optuna.samplers.BaseSampler."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def _of(self, number: int) -> TPESampler:
        seed = int.from_bytes(hashlib.sha256(f"{self._seed} {number}".encode()).digest()[:4], "big")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                n_startup_trials=RANDOM_TRIALS, seed=seed, multivariate=True, group=True, constant_liar=True
            )


def pruner_of(plan: StudyPlan) -> BasePruner:
    """Who ends trials early. Steps are looks."""
    if plan.pruner == "median":
        return MedianPruner(n_startup_trials=PRUNED_AFTER, n_warmup_steps=PRUNED_FROM_LOOK)
    if plan.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=plan.looks, reduction_factor=3)
    return NopPruner()
