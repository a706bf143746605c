"""A worker: runs trials of a study, one after the other, until the study has as many as are wanted.

In: an open study and the slices. Out: nothing but the trials in the storage, so workers may be as many as there are
machines, and die. Each also looks for trials of dead ones, which are failed and tried again.
"""

import sys
import time
from collections.abc import Callable
from typing import TypeAlias

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from chestgan_core.tuning.storage import BEAT, GRACE, MOST_RETRIES, quiet
from chestgan_core.tuning.study import REASON, OpenStudy, counts, explained
from chestgan_core.tuning.table import TrialRow, row_of
from chestgan_core.tuning.trial import Material, NotNeeded, objective

OnTrial: TypeAlias = Callable[[TrialRow], object]

POLL = 1.0  # seconds between two looks at trials of others


def work(
    study: OpenStudy,
    material: Material,
    wanted: int,
    on_trial: OnTrial = lambda row: None,
    patience: float = BEAT + GRACE,
) -> int:
    """Run trials until `wanted` have ended; returns how many ended here. on_trial: gets each of them.

    Where others run the last ones, it waits until it is sure that their processes live (patience, seconds), as it would
    have to try again those of a dead one. Ctrl-C fails the trial that runs, which is tried again by the next worker.
    Raises StoreUnreachable, NotAvailable, and defects; a configuration that fails is a pruned trial.
    """
    run = objective(study.plan, material, wanted)
    here, waiting_since = 0, None
    with quiet(), explained():
        while True:
            fail_stale_trials(study.optuna)
            now = counts(study.optuna)
            if now.ended >= wanted:
                return here
            if now.ended + now.running >= wanted:
                waiting_since = waiting_since or time.monotonic()
                if time.monotonic() - waiting_since > patience:
                    return here
                time.sleep(POLL)
                continue
            waiting_since = None
            ended = _one(study.optuna, run)
            if ended is not None:
                here += 1
                _say(study, ended)
                on_trial(row_of(ended))


def _one(study: optuna.Study, run: Callable[[optuna.Trial], float]) -> FrozenTrial | None:
    """One trial; None where it was not needed, or where others failed it, as this machine had slept."""
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
            noted, n_trials=1, catch=(NotNeeded,), callbacks=[lambda _, trial: ended.append(trial)]
        )
    except (UpdateFinishedTrialError, ValueError):
        if not taken:
            raise
        return None
    except KeyboardInterrupt:
        for trial in mine:
            RetryHeartbeatStaleTrialCallback(MOST_RETRIES)(study, study.trials[trial.number])
        raise
    return ended[0] if ended and ended[0].state is not TrialState.FAIL else None


def _say(study: OpenStudy, trial: FrozenTrial) -> None:
    what = f"study {study.plan.name}  trial {trial.number}"
    if trial.value is None or trial.state is not TrialState.COMPLETE:
        print(f"{what}  ended: {trial.user_attrs.get(REASON, '')}", file=sys.stderr)
        return
    best = study.optuna.best_trial
    floor = 1000 * study.yardstick.floor
    told = f"best {1000 * (best.value or 0):.0f} (trial {best.number}), floor {floor:.0f}"
    print(f"{what}  KID {1000 * trial.value:.0f} x 1000, {told}", file=sys.stderr)
