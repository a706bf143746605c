"""Studies on real embedded storage: seeded, pruned with reasons, exact in number, and none the worse for a kill."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.metrics.distances import Kid
from chestgan_core.training import step as step_module
from chestgan_core.training.data import LoadedSlices, load_slices
from chestgan_core.tuning.plan import StudyData, StudyPlan, StudySettings
from chestgan_core.tuning.space import BATCH_SIZE, BadSpace, Choice, Integer, SearchSpace
from chestgan_core.tuning.storage import study_storage
from chestgan_core.tuning.study import KidFloor, find_study, open_study
from chestgan_core.tuning.study_files import Shards, run_study, study_table
from chestgan_core.tuning.summary import standing
from chestgan_core.tuning.table import StudyTable, read_table
from chestgan_core.tuning.trial import TrialInputs
from chestgan_core.tuning.worker import work
from tests.tuning.conftest import small, space, study_settings

CPU = torch.device("cpu")
ERROR = 0.01  # of each KID that judged() gives
DATA = StudyData(
    version="v",
    title="t",
    image_kind="phantom",
    patients=3,
    slices=30,
    held_out_patients=2,
    held_out_slices=20,
)
ROOT = Path(__file__).parent.parent.parent


def studied(
    shards: Shards, settings: StudySettings, experiment: Experiment | None = None, workers: int = 1
) -> StudyTable:
    return read_table(
        run_study(shards, experiment or small(), space(), settings, workers, "phantoms", "phantom")
    )


def judged(
    shards: Shards,
    kids: Iterator[float],
    settings: StudySettings,
    experiment: Experiment | None = None,
    slices: LoadedSlices | None = None,
    **parameters: object,
) -> StudyTable:
    """A study whose validations score the given KIDs, in the order of the trials."""
    chosen = space(**parameters)
    plan = StudyPlan.of(experiment or small(), chosen, DATA, settings)
    study = open_study(study_storage(shards.home), plan, KidFloor("an extractor", 8, 0.05))
    slices = slices or load_slices(shards.train, plan.experiment)
    work(
        study,
        TrialInputs(slices, lambda pictures: Kid(next(kids), ERROR), CPU, shards.home / "scratch"),
        settings.trials,
    )
    return read_table(study)


def test_the_same_study_in_another_place_draws_and_scores_the_same(shards: Shards, tmp_path: Path) -> None:
    first, second = (
        studied(replace(shards, home=tmp_path / name), study_settings(trials=2, validations=1))
        for name in ("one", "two")
    )
    assert [row.drawn for row in first.rows] == [row.drawn for row in second.rows]
    assert [row.validations for row in first.rows] == [row.validations for row in second.rows]
    assert first.version == second.version
    assert len({str(row.drawn) for row in first.rows}) == 2


def test_the_first_trial_is_the_unchanged_experiment_and_validations_are_even(shards: Shards) -> None:
    table = studied(shards, study_settings(trials=2, validations=2))
    assert table.initial == table.rows[0]
    assert table.rows[0].drawn == {
        "training.augmentation": "none",
        "training.optimizer.lr": 2e-4,
        "training.batch_size": "8",
        "network.generator_width": 3,
    }
    assert [len(row.validations) for row in table.rows] == [2, 2]
    assert all(row.images_seen == 64 for row in table.rows)
    assert all(row.kid == min(row.validations) for row in table.rows)
    assert all(0 < (row.error or 0) < (row.kid or 0) for row in table.rows)
    # Phantoms of other patients are nearer to the held-out ones than a generator after 64 images.
    assert table.best is not None
    assert table.floor.kid < (table.best.kid or 0)


def test_more_trials_join_those_that_are_there(shards: Shards) -> None:
    first = studied(shards, study_settings(trials=1, validations=1))
    again = studied(shards, study_settings(trials=1, validations=1))
    more = studied(shards, study_settings(trials=2, validations=1))
    assert again.version == first.version
    assert more.rows[:1] == first.rows
    assert len(more.rows) == 2
    assert study_table(shards.home, "small").version == more.version


def test_another_budget_space_seed_or_training_set_is_another_study(shards: Shards) -> None:
    plans = [
        StudyPlan.of(small(), space(), DATA, study_settings()),
        StudyPlan.of(small(), space(), DATA, study_settings(images=65)),
        StudyPlan.of(
            small(),
            space(**{"training.batch_size": {"kind": "choice", "choices": [8, 16]}}),
            DATA,
            study_settings(),
        ),
        StudyPlan.of(small().model_copy(update={"seed": 1}), space(), DATA, study_settings()),
        StudyPlan.of(small(), space(), DATA.model_copy(update={"version": "w"}), study_settings()),
    ]
    assert len({plan.study for plan in plans}) == len(plans)
    assert StudyPlan.of(small(), space(), DATA, study_settings(trials=9)).study == plans[0].study


def test_a_trial_has_a_tenth_of_the_budget_where_nobody_says_more() -> None:
    assert StudyPlan.of(small(), space(), DATA, StudySettings()).images == 64
    timed = StudyPlan.of(small(images=None, minutes=60), space(), DATA, StudySettings())
    assert (timed.minutes, timed.images) == (6, None)
    assert StudyPlan.of(small(images=None, epochs=100), space(), DATA, StudySettings()).images == 300


def test_what_does_not_fit_is_pruned_with_the_reason_and_the_study_continues(shards: Shards) -> None:
    losses = {"clip": {"kind": "wasserstein", "clip": 0.01}, "hinge": {"kind": "hinge"}}
    families = {"kind": "choice", "choices": ["spectral", "wgan"]}
    table = judged(
        shards,
        repeat(0.5),
        study_settings(trials=8),
        **{"training.loss": {"kind": "choice", "choices": losses}, "network.family": families},
    )
    unfit = {"training.loss": "clip", "network.family": "spectral"}
    reasons = {row.reason for row in table.rows if row.drawn == unfit}
    assert len(reasons) == 1
    assert "wasserstein needs a critic; choose the network wgan, not spectral" in reasons.pop()
    assert all(row.kid == 0.5 for row in table.rows if row.drawn != unfit)
    assert len(table.rows) == 8
    assert table.best is not None


def test_losses_that_are_no_numbers_are_pruned_with_the_reason(shards: Shards) -> None:
    critic = small("wgan", loss={"kind": "wasserstein", "gradient_penalty": 1e300})
    table = studied(shards, study_settings(trials=1), critic)
    assert "a loss or a weight is NaN or infinite" in table.rows[0].reason
    assert (table.rows[0].kid, table.rows[0].validations) == (None, ())
    diverging = judged(shards, repeat(float("nan")), study_settings(trials=1))
    assert diverging.rows[0].reason == "its KID is not a number at validation 1 of 2"


def test_a_generator_that_makes_one_image_from_all_seeds_is_pruned_with_the_reason(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = step_module._train_generator

    def forgets(state: Any, *rest: Any) -> None:
        real(state, *rest)
        if state.images_seen > 200:
            with torch.no_grad():  # the noise has no influence any more
                for weight in state.generator.parameters():
                    weight.mul_(0)

    monkeypatch.setattr(step_module, "_train_generator", forgets)
    slices = load_slices(shards.train, small())
    # A flat reference, so that random pictures count as a generator that has begun to differ.
    flat = replace(slices, images=slices.images * 0.01)
    table = judged(
        shards, repeat(0.5), study_settings(trials=1, images=800, validations=1), small(ema_images=0), flat
    )
    assert "one image from all seeds" in table.rows[0].reason
    assert table.best is None


def test_a_trial_that_is_worse_than_half_of_the_others_is_pruned(shards: Shards) -> None:
    good = [0.5, 0.4, 0.3] * 5
    table = judged(shards, chain(good, repeat(0.9)), study_settings(trials=6, validations=3))
    assert [row.kid for row in table.rows] == [0.3] * 5 + [None]
    assert table.rows[5].reason == "worse than other trials at validation 2 of 3"
    assert table.rows[5].validations == (0.9, 0.9)
    assert table.rows[5].images_seen < 64


def test_a_budget_of_minutes_is_that_of_a_clock_and_includes_scoring(shards: Shards) -> None:
    def slow() -> Iterator[float]:
        while True:
            time.sleep(3.0)
            yield 0.5

    table = judged(shards, slow(), study_settings(trials=1, images=None, minutes=0.05, validations=3))
    # After the first validation its three seconds are over: the last one follows.
    assert len(table.rows[0].validations) <= 2
    assert table.rows[0].steps[-1] == 3
    assert table.rows[0].seconds >= 3


SLICES = 24
HINGE, PENALTY = {"kind": "hinge"}, {"kind": "relativistic", "gamma": [1.0, 0.1]}


def choices(found: SearchSpace, path: str) -> list[str]:
    parameter = found.parameters[path]
    assert isinstance(parameter, Choice)
    return list(parameter.choices)


def test_a_space_loses_batches_that_are_larger_than_the_set() -> None:
    listed = space(**{BATCH_SIZE: {"kind": "choice", "choices": [8, SLICES, SLICES + 1, 4096]}})
    assert choices(listed.fitting(small(), SLICES), BATCH_SIZE) == ["8", str(SLICES)]
    spanned = space(**{BATCH_SIZE: {"kind": "integer", "low": 4, "high": 4096}})
    fitted = spanned.fitting(small(), SLICES).parameters[BATCH_SIZE]
    assert isinstance(fitted, Integer)
    assert (fitted.low, fitted.high) == (4, SLICES)
    with pytest.raises(BadSpace, match=r"no value of training\.batch_size works with small and its 24 "):
        space(**{BATCH_SIZE: {"kind": "choice", "choices": [2048, 4096]}}).fitting(small(), SLICES)


def test_a_space_loses_choices_that_the_experiment_refuses_whatever_else_is_drawn() -> None:
    losses = {"kind": "choice", "choices": {"hinge": HINGE, "penalty": PENALTY}}
    plain = space(**{"training.loss": losses})
    assert choices(plain.fitting(small("dcgan"), SLICES), "training.loss") == ["hinge"]
    assert choices(plain.fitting(small("spectral"), SLICES), "training.loss") == ["hinge", "penalty"]
    # Another network, which is drawn too, allows it.
    families = {"kind": "choice", "choices": ["dcgan", "r3"]}
    both = space(**{"training.loss": losses, "network.family": families})
    assert choices(both.fitting(small("dcgan"), SLICES), "training.loss") == ["hinge", "penalty"]


def test_a_study_says_how_far_it_has_come(shards: Shards) -> None:
    judged(shards, iter([0.5, 0.4, 0.3, 0.2]), study_settings(trials=2))
    study = find_study(study_storage(shards.home), "small")
    assert standing(study, 20) == "2 of 20 trials, best so far KID x 1000 200.0 (trial 1), floor 50.0"


def test_hyperband_ends_trials_too(shards: Shards) -> None:
    kids = chain.from_iterable(repeat(0.1 * number, 9) for number in range(1, 100))
    table = judged(shards, kids, study_settings(trials=8, validations=9, pruner="hyperband"))
    assert len(table.rows) == 8
    assert table.pruned > 0


def test_ctrl_c_loses_one_trial_which_the_next_run_tries_again(shards: Shards) -> None:
    def interrupted() -> Iterator[float]:
        yield 0.5
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(shards, interrupted(), study_settings(trials=1))
    table = judged(shards, repeat(0.5), study_settings(trials=1))
    assert [(row.number, row.attempts, row.initial) for row in table.rows] == [(1, 2, True)]
    assert table.rows[0].reason == ""


def test_a_trial_that_others_failed_while_this_machine_slept_is_no_defect(shards: Shards) -> None:
    def slept() -> Iterator[float]:
        yield 0.5
        storage = study_storage(shards.home)
        (mine,) = [one for one in find_study(storage, "small").optuna.trials if one.state.name == "RUNNING"]
        storage.set_trial_state_values(mine._trial_id, optuna.trial.TrialState.FAIL)
        yield from repeat(0.4)

    table = judged(shards, slept(), study_settings(trials=2))
    assert [row.number for row in table.rows] == [1, 2]
    assert table.failed == 1


def test_a_missing_file_is_named(shards: Shards, tmp_path: Path) -> None:
    broken = replace(shards, train=[tmp_path / "nowhere.safetensors"])
    with pytest.raises(ChestganError, match=r"nowhere\.safetensors"):
        studied(broken, study_settings())


@pytest.mark.parametrize("address", ["mysql://me:geheim@db/x", "geheim", "sqlite:///geheim.db"])
def test_an_address_that_is_not_of_postgresql_is_refused_without_repeating_it(
    address: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_STUDY_STORAGE", address)
    with pytest.raises(BadInput, match="CHESTGAN_STUDY_STORAGE") as refused:
        study_storage(home)
    assert "geheim" not in str(refused.value)


def test_the_embedded_storage_is_refused_where_steps_run_on_several_machines(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_EXECUTOR", "k8s")
    with pytest.raises(
        BadInput, match=r"embedded storage of studies is for one machine; set CHESTGAN_STUDY_STORAGE"
    ):
        study_storage(home)
    assert not home.exists()


def test_a_database_that_is_down_is_reported_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_STUDY_STORAGE", "postgresql+psycopg2://me:geheim@127.0.0.1:9/studies")
    with pytest.raises(ChestganError, match="does not answer") as refused:
        study_storage(home)
    assert "geheim" not in str(refused.value)
    assert refused.value.__cause__ is None
