"""One trial: a configuration is drawn, trained for the study's budget, and scored at every look.

In: a trial of Optuna, a plan, slices in memory and a judge. Out: the KID of the generator that the training keeps, or
TrialPruned with the reason: fields that do not fit together, losses that are no numbers, a collapse, too little memory,
or looks that are worse than those of other trials.
"""

import math
import shutil
import time
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
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import TrainingDiverged, TrainingOutcome, Watcher, train
from chestgan_core.training.schedule import Budget
from chestgan_core.training.validation import Judge, TrainingCollapsed
from chestgan_core.tuning.plan import StudyPlan
from chestgan_core.tuning.space import Choice, Number, Value
from chestgan_core.tuning.study import IMAGES_SEEN, INITIAL, REASON, SECONDS

Objective: TypeAlias = Callable[[Trial], float]


class NotNeeded(Exception):
    """Somebody else took the last place of the study in the same moment."""


@dataclass(frozen=True)
class Material:
    """What every trial of a study uses. slices: to train on. folder: for files of the trial that goes on."""

    slices: LoadedSlices
    judge: Judge
    device: torch.device
    folder: Path


def objective(plan: StudyPlan, material: Material, wanted: int) -> Objective:
    """The function that Optuna minimizes. wanted: trials that the study is to have.

    It raises TrialPruned, NotNeeded, and what is no fault of the configuration.
    """

    def run(trial: Trial) -> float:
        _claim(trial, wanted)
        drawn = _draw(trial, plan)
        what = f"trial {trial.number}"
        try:
            experiment = plan.trial_experiment(drawn, what)
            outcome = _train(trial, plan, experiment, material)
        except (BadInput, TrainingDiverged, TrainingCollapsed) as error:
            _prune(trial, error.cause)
        trial.set_user_attr(IMAGES_SEEN, outcome.images_seen)
        trial.set_user_attr(SECONDS, round(outcome.seconds, 3))
        if outcome.best_kid is None:
            _prune(trial, "ended before its first look")
        return outcome.best_kid

    return run


def _claim(trial: Trial, wanted: int) -> None:
    """Numbers are given one after the other, so of two workers that both saw one place left, the later one yields."""
    taking = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
    others = trial.study.get_trials(deepcopy=False, states=taking)
    if sum(other.number < trial.number for other in others) >= wanted:
        trial.set_user_attr(REASON, "not needed: another worker took the last place")
        raise NotNeeded


def _draw(trial: Trial, plan: StudyPlan) -> dict[str, Value]:
    """The first trial has the values of the experiment, where they lie in the space, and nothing else drawn."""
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


def _train(trial: Trial, plan: StudyPlan, experiment: Experiment, material: Material) -> TrainingOutcome:
    if (batch := experiment.training.batch_size) > (slices := len(material.slices)):
        raise BadInput(
            f"trial {trial.number}", f"a batch of {batch} is larger than the set of {slices} slices", ""
        )
    step, budget, clock = 0, Budget(minutes=plan.minutes, images=plan.images), _Clock()

    def looked(look: dict[str, float]) -> None:
        nonlocal step
        spent = _Spent(int(look["images_seen"]), look["seconds"])
        # Of the budget, not of the looks before: a step that is slow may pass over one.
        step = max(step + 1, int(budget.share(spent) * plan.looks))
        trial.set_user_attr(IMAGES_SEEN, int(look["images_seen"]))
        trial.set_user_attr(SECONDS, round(look["seconds"], 3))
        if not math.isfinite(look["kid"]):
            _prune(trial, f"its KID is no number at look {step} of {plan.looks}")
        trial.report(look["kid"], step)
        if trial.should_prune():
            _prune(trial, f"worse than other trials at look {step} of {plan.looks}")

    folder = material.folder / f"trial-{trial.number}"
    try:
        return train(
            experiment,
            material.slices,
            folder,
            material.device,
            budget,
            clock.outside(material.judge),
            Watcher(look=looked),
            plan.looks,
            clock,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Spent:
    images_seen: int
    seconds: float


class _Clock:
    """Seconds without those of the scores: on a slow processor they would leave nothing of a short trial."""

    def __init__(self) -> None:
        self._scoring = 0.0

    def __call__(self) -> float:
        return time.monotonic() - self._scoring

    def outside(self, judge: Judge) -> Judge:
        """The same judge, whose time does not count."""

        def judged(images: Tensor) -> float:
            started = time.monotonic()
            try:
                return judge(images)
            finally:
                self._scoring += time.monotonic() - started

        return judged


def _prune(trial: Trial, reason: str) -> NoReturn:
    trial.set_user_attr(REASON, reason)
    raise optuna.TrialPruned(reason)
