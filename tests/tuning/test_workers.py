"""Studies by several processes, some of which are killed: exact in number, and nothing that was complete is lost."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import psutil
import pytest

from chestgan_core.errors import NotInStore
from chestgan_core.tuning.storage import study_storage
from chestgan_core.tuning.study import OpenStudy, find_study
from chestgan_core.tuning.study_files import Shards, run_study
from chestgan_core.tuning.table import read_table
from tests.tuning.conftest import small, space, study_settings

ROOT = Path(__file__).parent.parent.parent


def test_two_workers_share_the_trials_and_make_no_more_than_requested(shards: Shards) -> None:
    study = run_study(
        shards, small(), space(), study_settings(trials=3, validations=1), 2, "phantoms", "phantom"
    )
    table = read_table(study)
    assert len(table.rows) == 3
    assert len({str(row.drawn) for row in table.rows}) == 3
    spans = [
        (trial.datetime_start, trial.datetime_complete)
        for trial in study.optuna.trials
        if trial.state is not optuna.trial.TrialState.FAIL
    ]
    assert any(a[0] < b[0] < a[1] for a in spans for b in spans if a is not b)  # type: ignore[operator]


def test_a_trial_whose_process_died_before_its_first_heartbeat_is_tried_again(shards: Shards) -> None:
    quick = replace(shards, heartbeat=1, grace=2)
    begun = run_study(
        quick, small(), space(), study_settings(trials=1, validations=1), 1, "phantoms", "phantom"
    )
    begun.optuna.ask()  # as a worker does that is killed at once
    table = read_table(
        run_study(quick, small(), space(), study_settings(trials=2, validations=1), 1, "phantoms", "phantom")
    )
    assert (len(table.rows), table.failed) == (2, 1)
    assert [row.attempts for row in table.rows] == [1, 2]


SCRIPT = """
import sys
from pathlib import Path
from chestgan_core.tuning.study_files import Shards, run_study
from tests.tuning.conftest import small, space, study_settings

if __name__ == "__main__":
    train, held_out, home = map(Path, sys.argv[1:])
    shards = Shards([train], [held_out], "cpu", home, threads=1, heartbeat=1, grace=2)
    run_study(shards, small(), space(), study_settings(trials=4, images=400), 2, "phantoms", "phantom")
"""


@pytest.mark.slow
def test_a_study_whose_worker_is_killed_resumes_with_what_is_complete(shards: Shards, tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(shards.train[0]), str(shards.held_out[0]), str(shards.home)]
    running = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        study = await_trials(shards, complete=1)
        workers = [
            child
            for child in psutil.Process(running.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(workers) == 2
        for process in (*workers, psutil.Process(running.pid)):
            process.send_signal(signal.SIGKILL)
    finally:
        running.kill()
        running.communicate()
    before = {trial.number: trial.value for trial in study.optuna.trials if trial.value is not None}
    killed = [trial for trial in study.optuna.trials if trial.state is optuna.trial.TrialState.RUNNING]
    assert killed

    table = read_table(
        run_study(shards, small(), space(), study_settings(trials=4, images=400), 1, "phantoms", "phantom")
    )
    assert len(table.rows) == 4
    assert {row.number: row.kid for row in table.rows if row.number in before} == before
    assert table.failed == len(killed)
    # What was tried when the process died is tried again.
    again = [row for row in table.rows if row.attempts == 2]
    assert len(again) == len(killed)
    # The kill may have come before all values were drawn; the rest is drawn then.
    assert all(trial.params.items() <= row.drawn.items() for row, trial in zip(again, killed, strict=True))
    assert any(trial.params for trial in killed)
    assert table.best is not None
    assert table.best.kid == min(row.kid for row in table.rows if row.kid is not None)


def await_trials(shards: Shards, complete: int) -> OpenStudy:
    """Wait until so many trials are complete and two others run."""
    deadline = time.monotonic() + 200  # a busy machine starts the workers in a minute
    while time.monotonic() < deadline:
        try:
            study = find_study(study_storage(shards.home), "small")
        except NotInStore:
            time.sleep(0.2)
            continue
        states = [trial.state for trial in study.optuna.get_trials(deepcopy=False)]
        done = states.count(optuna.trial.TrialState.COMPLETE) >= complete
        drawn = [
            trial for trial in study.optuna.trials if trial.state.name == "RUNNING" and len(trial.params) >= 3
        ]
        if done and drawn:
            return study
        time.sleep(0.05)
    raise AssertionError("no trial was complete in time")
