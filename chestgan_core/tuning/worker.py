"""A worker: runs trials of a study, one after the other, until the study has the requested number.

In: an open study and the slices. Out: trials in the storage and nothing else, so there may be as many workers as
machines, and any may die. Each also fails the trials of dead workers, which are then retried.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeAlias

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial, TrialState

from chestgan_core.tuning.storage import GRACE, HEARTBEAT, MAX_RETRIES, quiet
from chestgan_core.tuning.study import REASON, OpenStudy, counts, explained
from chestgan_core.tuning.table import TrialRow, row_of
from chestgan_core.tuning.trial import TrialInputs, TrialNotNeeded, objective

OnTrial: TypeAlias = Callable[[TrialRow], object]

log = logging.getLogger(__name__)

POLL = 1.0  # seconds between two checks of the trials of other workers


def work(
    study: OpenStudy,
    inputs: TrialInputs,
    trials: int,
    on_trial: OnTrial = lambda row: None,
    patience: float = HEARTBEAT + GRACE,
) -> int:
    """Run trials until `trials` have ended; returns how many ended here. on_trial: is called with each of them.

    Where other workers run the last ones, it waits until their processes are known to live (patience, seconds): the
    trials of a dead worker are retried here. Ctrl-C fails the running trial, which the next worker retries.
    Raises StoreUnreachable, NotAvailable; a configuration that fails is a pruned trial.
    """
    run = objective(study.plan, inputs, trials)
    here, waiting_since = 0, None
    met: set[int] = set()
    with quiet(), explained():
        while True:
            _begin_heartbeats(study.optuna, met)
            fail_stale_trials(study.optuna)
            now = counts(study.optuna)
            if now.ended >= trials:
                return here
            if now.ended + now.running >= trials:
                waiting_since = waiting_since or time.monotonic()
                if time.monotonic() - waiting_since > patience:
                    return here
                time.sleep(POLL)
                continue
            waiting_since = None
            ended = _one(study.optuna, run)
            if ended is not None:
                here += 1
                _log_trial(study, ended, trials)
                on_trial(row_of(ended))


def _begin_heartbeats(study: optuna.Study, met: set[int]) -> None:
    """Give each running trial that this worker has not met yet one heartbeat: a living process gives the next ones.

    A process may die before the first one of its trial, and Optuna never fails a trial that has none.
    """
    storage = study._storage
    assert isinstance(storage, BaseHeartbeat)  # noqa: S101 (study_storage makes it)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial._trial_id not in met:
            met.add(trial._trial_id)
            storage.record_heartbeat(trial._trial_id)


def _one(study: optuna.Study, run: Callable[[optuna.Trial], float]) -> FrozenTrial | None:
    """One trial; None where it was not needed, or where another worker failed it because this machine had slept."""
    mine: list[optuna.Trial] = []
    ended: list[FrozenTrial] = []
    taken = False

    def noted(trial: optuna.Trial) -> float:
        nonlocal taken
        mine.append(trial)
        try:
            return run(trial)
        except KeyboardInterrupt:
            trial.set_user_attr(REASON, "interrupted")
            raise
        except UpdateFinishedTrialError:
            taken = True
            raise

    try:
        study.optimize(
            noted, n_trials=1, catch=(TrialNotNeeded,), callbacks=[lambda _, trial: ended.append(trial)]
        )
    except (UpdateFinishedTrialError, ValueError):
        if not taken:
            raise
        return None
    except KeyboardInterrupt:
        for trial in mine:
            RetryHeartbeatStaleTrialCallback(MAX_RETRIES)(study, study.trials[trial.number])
        raise
    return ended[0] if ended and ended[0].state is not TrialState.FAIL else None


def _log_trial(study: OpenStudy, trial: FrozenTrial, trials: int) -> None:
    what = f"study {study.plan.name}  trial {trial.number} ({counts(study.optuna).ended} of {trials})"
    if trial.value is None or trial.state is not TrialState.COMPLETE:
        log.info("%s  pruned: %s", what, trial.user_attrs.get(REASON, ""))
        return
    best = study.optuna.best_trial
    log.info(
        "%s  KID %.0f x 1000, best %.0f (trial %d), floor %.0f",
        what,
        1000 * trial.value,
        1000 * (best.value or 0),
        best.number,
        1000 * study.floor.kid,
    )
