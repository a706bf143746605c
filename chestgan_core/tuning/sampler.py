"""Which configuration a trial gets: tree-structured Parzen estimators, seeded by the number of the trial.

In: the trials so far. Out: values of the parameters. Several workers with one seed would draw the same first trials,
and a restarted worker would repeat existing ones; so every trial has its own random numbers.
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

# Trials drawn at random before the estimators use earlier trials.
RANDOM_TRIALS = 8
# Trials needed before one may be pruned, and the first validation at which that may happen.
MIN_TRIALS_BEFORE_PRUNING, FIRST_PRUNING_VALIDATION = 4, 2


class NumberedSampler(BaseSampler):
    """TPE (Bergstra et al. 2011; multivariate: Falkner et al. 2018, arXiv 1807.01774).

    Running trials count as poor ones (constant liar), so that two workers do not try the same values.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._inner = self._of(0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Use the random numbers of this trial; Optuna calls it before drawing."""
        self._inner = self._of(trial.number)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that are drawn together: those of the TPE sampler of this trial."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Their values, by the TPE sampler of this trial."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One value outside of them, by the TPE sampler of this trial."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def _of(self, number: int) -> TPESampler:
        seed = int.from_bytes(hashlib.sha256(f"{self._seed} {number}".encode()).digest()[:4], "big")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                n_startup_trials=RANDOM_TRIALS, seed=seed, multivariate=True, group=True, constant_liar=True
            )


def pruner_of(plan: StudyPlan) -> BasePruner:
    """The pruner of a plan; its steps are validations."""
    if plan.pruner == "median":
        return MedianPruner(
            n_startup_trials=MIN_TRIALS_BEFORE_PRUNING, n_warmup_steps=FIRST_PRUNING_VALIDATION
        )
    if plan.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=plan.validations, reduction_factor=3)
    return NopPruner()
