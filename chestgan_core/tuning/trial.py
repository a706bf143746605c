"""One trial: a configuration is drawn, trained for the study's budget, and scored at each validation.

In: an Optuna trial, a plan, slices and a scorer. Out: the KID of the generator that the training keeps, or
TrialPruned with the reason: fields that do not fit together, losses that are not finite, a collapse, too little memory,
or validations that are worse than those of other trials.
"""

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias

import optuna
import torch
from optuna.trial import Trial, TrialState
from torch import Tensor

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.metrics.distances import Kid
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import TrainingCallbacks, TrainingDiverged, TrainingOutcome, train
from chestgan_core.training.mapped_images import Images
from chestgan_core.training.schedule import Budget
from chestgan_core.training.validation import TrainingCollapsed
from chestgan_core.tuning.plan import StudyPlan
from chestgan_core.tuning.space import Choice, Number, Value
from chestgan_core.tuning.study import ERROR, IMAGES_SEEN, INITIAL, NOT_NEEDED, REASON, SECONDS

Objective: TypeAlias = Callable[[Trial], float]
# Images (n, 1, R, R) float32 in [-1, 1] to a KID with its standard error.
Score: TypeAlias = Callable[[Tensor], Kid]


class TrialNotNeeded(Exception):
    """Another worker took the last place of the study at the same moment."""


@dataclass(frozen=True)
class TrialInputs:
    """What all trials of a study use. slices: to train on. score: of the images of a validation. folder: for the files
    of the running trial.
    """

    slices: LoadedSlices[Images]
    score: Score
    device: torch.device
    folder: Path


def objective(plan: StudyPlan, inputs: TrialInputs, trials: int) -> Objective:
    """The function that Optuna minimizes. trials: how many the study is to have.

    It raises TrialPruned, TrialNotNeeded, and every error that the configuration did not cause.
    """

    def run(trial: Trial) -> float:
        _claim(trial, trials)
        drawn = _draw(trial, plan)
        what = f"trial {trial.number}"
        try:
            experiment = plan.trial_experiment(drawn, what)
            outcome = _train(trial, plan, experiment, inputs)
        except (BadInput, TrainingDiverged, TrainingCollapsed) as error:
            _prune(trial, error.cause)
        trial.set_user_attr(IMAGES_SEEN, outcome.images_seen)
        trial.set_user_attr(SECONDS, round(outcome.seconds, 3))
        if outcome.best_kid is None:
            _prune(trial, "its budget ended before the first validation")
        return outcome.best_kid

    return run


def _claim(trial: Trial, trials: int) -> None:
    """Trials are numbered one after the other, so of two workers that saw one place left, the later one yields."""
    taking = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
    others = trial.study.get_trials(deepcopy=False, states=taking)
    if sum(other.number < trial.number for other in others) >= trials:
        trial.set_user_attr(REASON, f"{NOT_NEEDED}: another worker took the last place")
        raise TrialNotNeeded


def _draw(trial: Trial, plan: StudyPlan) -> dict[str, Value]:
    """The first trial has the values of the experiment, where they lie in the space; nothing else is drawn for it."""
    paths = plan.space.parameters
    if trial.user_attrs.get(INITIAL):
        paths = {path: paths[path] for path in plan.space.drawn(plan.experiment)}
    drawn: dict[str, Value] = {}
    for path, parameter in paths.items():
        if isinstance(parameter, Choice):
            drawn[path] = trial.suggest_categorical(path, list(parameter.choices))
        elif isinstance(parameter, Number):
            drawn[path] = trial.suggest_float(path, parameter.low, parameter.high, log=parameter.log)
        else:
            drawn[path] = trial.suggest_int(path, parameter.low, parameter.high, log=parameter.log)
    return drawn


def _train(trial: Trial, plan: StudyPlan, experiment: Experiment, inputs: TrialInputs) -> TrainingOutcome:
    if (batch := experiment.training.batch_size) > (slices := len(inputs.slices)):
        raise BadInput(
            f"trial {trial.number}",
            f"a batch of {batch} is larger than the set of {slices} slices",
            "narrow the space",
        )
    step, budget = 0, Budget(minutes=plan.minutes, images=plan.images)

    def on_validation(validation: dict[str, float]) -> None:
        nonlocal step
        elapsed = _Elapsed(int(validation["images_seen"]), validation["seconds"])
        # From the budget, not from earlier validations: a slow training step may skip one.
        step = max(step + 1, int(budget.fraction(elapsed) * plan.validations))
        trial.set_user_attr(IMAGES_SEEN, int(validation["images_seen"]))
        trial.set_user_attr(SECONDS, round(validation["seconds"], 3))
        if not math.isfinite(validation["kid"]):
            _prune(trial, f"its KID is not a number at validation {step} of {plan.validations}")
        trial.report(validation["kid"], step)
        if trial.should_prune():
            _prune(trial, f"worse than other trials at validation {step} of {plan.validations}")

    folder = inputs.folder / f"trial-{trial.number}"
    scorer = _LowestKid(inputs.score)
    try:
        outcome = train(
            experiment,
            inputs.slices,
            folder,
            inputs.device,
            budget,
            scorer,
            TrainingCallbacks(on_validation=on_validation),
            plan.validations,
            pictures=False,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if scorer.lowest is not None:
        trial.set_user_attr(ERROR, scorer.lowest.sd)
    return outcome


class _LowestKid:
    """A KidScorer that remembers the lowest KID: the one that becomes the score of the trial."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self.lowest: Kid | None = None

    def __call__(self, images: Tensor) -> float:
        found = self._score(images)
        if self.lowest is None or found.value < self.lowest.value:
            self.lowest = found
        return found.value


@dataclass
class _Elapsed:
    images_seen: int
    seconds: float


def _prune(trial: Trial, reason: str) -> NoReturn:
    trial.set_user_attr(REASON, reason)
    raise optuna.TrialPruned(reason)
