"""The whole way with real trainings: a report falls short, and what a study finds is published without a person."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from chestgan_assets.automation import study_requests as study_room
from chestgan_assets.automation import tuned_experiments as tuned_room
from chestgan_assets.automation.study_requests import hyperparameter_study_sensor
from chestgan_assets.automation.tuned_steps import (
    tuned_publication_sensor,
    tuned_report_sensor,
    tuned_training_sensor,
)
from chestgan_assets.resources import StoreResource
from chestgan_core.config.experiment import Experiment
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.versions.finding import newest_version
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.run import train_experiment
from chestgan_core.tuning.plan import StudySettings
from chestgan_core.tuning.space import SearchSpace
from chestgan_core.tuning.storage import study_storage
from chestgan_core.tuning.stored_study import commit_study, open_experiment_study, work_on_study
from chestgan_core.tuning.tuned import parse_tuned, stored_tuned
from tests.pipeline.stages import edited

LINKS = (hyperparameter_study_sensor, tuned_training_sensor, tuned_report_sensor, tuned_publication_sensor)
RATE = {"kind": "number", "low": 1e-3, "high": 4e-3, "log": True}
SPACE = SearchSpace.model_validate(
    {
        "name": "rates",
        "parameters": {"training.optimizer.lr": RATE, "training.optimizer.discriminator_lr": RATE},
    }
)


def too_slow() -> Experiment:
    """An experiment whose rates are so low that it learns nothing."""
    training = {
        "batch_size": 8,
        "images": 640,
        "checkpoint_every_images": 640,
        "sample_every_images": 320,
        "optimizer": {"lr": 1e-7, "discriminator_lr": 1e-7},
        "validation": {"every_images": 320, "images": 24},
    }
    return edited(training=training, evaluation={"images": 24, "others": []})


class Daemon:
    """Ticks of the sensors that are on, with their cursors; what they request is made at once, in this process."""

    def __init__(self, store: Store, instance: dg.DagsterInstance, home: Path) -> None:
        self.store, self.instance, self.home = store, instance, home
        self.cursors: dict[str, str | None] = {}
        self.on: list[dg.SensorDefinition] = []
        self.log: list[str] = []

    def run(self, rounds: int = 3) -> list[str]:
        """Some rounds of ticks; returns what was made in them."""
        before = len(self.log)
        for _ in range(rounds):
            for sensor in self.on:
                context = dg.build_sensor_context(
                    self.instance,
                    cursor=self.cursors.get(sensor.name),
                    resources={"store": StoreResource(uri=self.store.uri())},
                )
                result = sensor(context)
                assert isinstance(result, dg.SensorResult)
                self.cursors[sensor.name] = result.cursor or self.cursors.get(sensor.name)
                for request in result.run_requests or []:
                    self.launch(str(request.job_name or sensor.job_name), request)
        return self.log[before:]

    def launch(self, job: str, request: dg.RunRequest) -> None:
        name, folder = str(request.partition_key), self.home / f"step-{len(self.log)}"
        for part in ("open", "work"):
            (folder / part).mkdir(parents=True)
        if job == "hyperparameter_study_job":
            assert request.run_config == {"ops": {"hyperparameter_study": {"config": {"trials": 3}}}}
            self.log.append(f"study {name}")
            settings = StudySettings(trials=3, images=6_400, validations=2)
            study = open_experiment_study(
                self.store, study_storage(self.home), too_slow(), SPACE, settings, "cpu", folder / "open"
            )
            work_on_study(self.store, study, 3, "cpu", folder / "work")
            commit_study(self.store, study)
        else:
            experiment = parse_tuned(name, stored_tuned(self.store)[name])
            asset = (request.asset_selection or [])[0].to_user_string()
            self.log.append(f"{asset} {name}")
            if asset == "generator_checkpoint":
                train_experiment(self.store, experiment, "cpu", folder)
            elif asset == "metric_report":
                report_experiment(self.store, experiment, "cpu", folder)
            else:
                release_experiment(self.store, experiment, "cpu", folder / "work")
        done = dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.SUCCESS, tags=dict(request.tags))
        self.instance.add_run(done)


@pytest.fixture
def daemon(
    store: Store, embedded: EmbeddedStore, home: Path, slices: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Daemon]:
    variables = {
        **embedded.environment,
        "CHESTGAN_HOME": str(home),
        "CHESTGAN_STUDY_TRIALS": "3",
        "CHESTGAN_STUDY_FLOORS": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(study_room, "EXPERIMENTS", {"tiny": too_slow()})
    build_training_set(store, "folder")
    train_experiment(store, too_slow(), "cpu", home / "train")
    report_experiment(store, too_slow(), "cpu", home / "report")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(store, instance, home)


@pytest.mark.slow
def test_a_report_that_falls_short_ends_in_a_better_set_link_by_link(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon.run() == []  # everything is off
    expected = ["study tiny", "generator_checkpoint tiny-tuned", "metric_report tiny-tuned"]
    for link, made in zip(LINKS, [*expected, "synthetic_image_set tiny-tuned"], strict=True):
        daemon.on.append(link)
        assert daemon.run() == [made]
        if link is hyperparameter_study_sensor:
            # The code location has not been reloaded: nothing further happens, whatever is on.
            daemon.on += LINKS[1:]
            assert daemon.run() == []
            daemon.on = [link]
            one = parse_tuned("tiny-tuned", stored_tuned(daemon.store)["tiny-tuned"])
            monkeypatch.setattr(tuned_room, "EXPERIMENT_DATASETS", {one.name: one.dataset})
            monkeypatch.setattr(study_room, "EXPERIMENTS", {"tiny": too_slow(), one.name: one})
    assert newest_version(daemon.store, "tiny-tuned")
    assert one.training.optimizer.lr > 1e-4
    assert daemon.run() == []
    daemon.cursors.clear()
    assert daemon.run() == []
    # Its report falls short, too: CHESTGAN_STUDY_FLOORS=1 lets nothing pass. It is not studied again.
    assert [line for line in daemon.log if line.startswith("study")] == ["study tiny"]
