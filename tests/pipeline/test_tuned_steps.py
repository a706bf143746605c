"""What a study found is trained, scored and published: never twice, never what chance found, never what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from chestgan_assets.automation import tuned_experiments as tuned_room
from chestgan_assets.automation.tuned_steps import (
    tuned_publication_sensor,
    tuned_report_sensor,
    tuned_training_sensor,
)
from chestgan_assets.definitions import defs
from chestgan_assets.resources import StoreResource
from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.names import experiment_files
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.forgotten import put_artefact_tombstone
from chestgan_core.store.store import Store
from chestgan_core.tuning.tuned import load_stored_experiment, publish_tuned
from tests.pipeline.stages import tiny

LINKS = (tuned_training_sensor, tuned_report_sensor, tuned_publication_sensor)
FOUND = {
    "experiment": "small", "study": "0" * 16, "trial": 2, "trials": 5, "kid": 0.2, "initial": 0.5, "error": 0.02,
    "floor": 0.01, "extractor": "efficientnet-lite0:abc", "images": 8, "training_set": "v1", "budget": "64 images",
}  # fmt: skip


def found(name: str = "tiny", fields: dict[str, Any] | None = None, **provenance: Any) -> Experiment:
    """tiny() as a study would have written it. fields: of the experiment that differ."""
    values = {**tiny().model_dump(), **(fields or {}), "provenance": {**FOUND, **provenance}}
    del values["name"]
    return parse_experiment(values, name, "test")


class Loop:
    """A store with tuned experiments, a code server that has loaded them, and a daemon that keeps cursors."""

    def __init__(
        self, store: Store, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch, home: Path
    ) -> None:
        self.store, self.instance, self.patch, self.home = store, instance, patch, home
        self.cursors: dict[str, str | None] = {}
        self.steps = 0

    def study(self, *experiments: Experiment, loaded: bool = True) -> None:
        """Studies have written these, and the code location has been reloaded."""
        for one in experiments:
            publish_tuned(self.store, one)
        if loaded:
            self.patch.setattr(
                tuned_room, "EXPERIMENT_DATASETS", {one.name: one.dataset for one in experiments}
            )

    def tick(self, sensor: dg.SensorDefinition) -> tuple[list[dg.RunRequest], str]:
        """The requests of one tick, and what it says where it has none."""
        context = dg.build_sensor_context(
            self.instance,
            cursor=self.cursors.get(sensor.name),
            resources={"store": StoreResource(uri=self.store.uri())},
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursors[sensor.name] = result.cursor or self.cursors.get(sensor.name)
        said = result.skip_reason.skip_message if result.skip_reason else ""
        return list(result.run_requests or []), str(said)

    def ticks(self) -> list[str]:
        """What all three links request now."""
        return [
            f"{(request.asset_selection or [])[0].to_user_string()} {request.partition_key}"
            for sensor in LINKS
            for request in self.tick(sensor)[0]
        ]

    def launched(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """The daemon has launched a request, and its run is in this state."""
        tags = {**request.tags, "dagster/partition": str(request.partition_key)}
        return self.instance.add_run(dg.DagsterRun(job_name="synthetic_set_job", status=status, tags=tags))

    def report(self, experiment: Experiment) -> None:
        self.steps += 1
        report_experiment(self.store, experiment, "cpu", self.home / f"report-{self.steps}")

    def publish(self, experiment: Experiment) -> str:
        self.steps += 1
        folder = self.home / f"set-{self.steps}"
        folder.mkdir(parents=True)
        return release_experiment(self.store, experiment, "cpu", folder).version


@pytest.fixture
def loop(
    store: Store, embedded: EmbeddedStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loop]:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_HOME", str(home))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Loop(store, instance, monkeypatch, home)


@pytest.fixture
def ready(loop: Loop) -> Loop:
    """With a training set, of which only the manifest counts here."""
    loop.store.commit(keys.training_set_manifest("folder", "v1"), {}, {"kind": "training-set"})
    loop.store.update_pointer(keys.training_set_latest("folder"), {"version": "v1"})
    return loop


def test_the_links_are_off_until_somebody_turns_them_on() -> None:
    for sensor in LINKS:
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
        assert "Off by default." in str(sensor.description)
        assert sensor.name in {one.name for one in defs.get_repository_def().sensor_defs}


def test_what_no_study_has_written_is_nobodys_business(loop: Loop) -> None:
    for sensor in LINKS:
        assert loop.tick(sensor) == ([], tuned_room.NONE)


def test_what_a_study_found_is_trained_once(ready: Loop) -> None:
    ready.study(found())
    (request,), _ = ready.tick(tuned_training_sensor)
    assert (request.partition_key, request.asset_selection) == ("tiny", [dg.AssetKey("generator_checkpoint")])
    assert ready.ticks() == []
    ready.launched(request, dg.DagsterRunStatus.STARTED)
    ready.cursors.clear()  # a daemon that lost its cursor
    requests, said = ready.tick(tuned_training_sensor)
    assert not requests
    assert said.endswith("waits for the run for that")


@pytest.mark.parametrize(
    ("status", "words"),
    [(dg.DagsterRunStatus.FAILURE, "failed"), (dg.DagsterRunStatus.CANCELED, "was canceled")],
)
def test_a_run_that_failed_is_not_requested_again_and_the_tick_says_so(
    ready: Loop, status: dg.DagsterRunStatus, words: str
) -> None:
    ready.study(found())
    (request,), _ = ready.tick(tuned_training_sensor)
    ready.launched(request, status)
    for _ in range(3):
        requests, said = ready.tick(tuned_training_sensor)
        assert not requests
        assert f"the run for that {words}: start it by hand, it is not requested again" in said
    # Another training set is another state.
    ready.store.commit(keys.training_set_manifest("folder", "v2"), {}, {"kind": "training-set"})
    ready.store.update_pointer(keys.training_set_latest("folder"), {"version": "v2"})
    (again,), _ = ready.tick(tuned_training_sensor)
    assert again.run_key != request.run_key


def test_a_request_whose_run_was_deleted_is_not_lost_silently(ready: Loop) -> None:
    ready.study(found())
    assert ready.ticks() == ["generator_checkpoint tiny"]
    assert "its run is gone: start it by hand" in ready.tick(tuned_training_sensor)[1]


def test_another_finding_is_trained_anew(ready: Loop) -> None:
    ready.study(found())
    (first,), _ = ready.tick(tuned_training_sensor)
    ready.launched(first, dg.DagsterRunStatus.SUCCESS)
    ready.study(found(fields={"seed": 7}))
    (second,), _ = ready.tick(tuned_training_sensor)
    assert second.run_key != first.run_key


def test_two_studies_at_once_are_two_runs_and_the_pool_orders_them(ready: Loop) -> None:
    ready.study(found("a-tuned"), found("b-tuned"))
    requests, _ = ready.tick(tuned_training_sensor)
    assert [request.partition_key for request in requests] == ["a-tuned", "b-tuned"]
    node = defs.resolve_asset_graph().get(dg.AssetKey("generator_checkpoint"))
    assert node.pools


@pytest.mark.parametrize(
    ("provenance", "said"),
    [
        ({"kid": 0.5, "trial": 0}, "nothing better than the experiment as it is"),
        ({"kid": 0.47}, "which may be chance: up to 44.8 would be"),
        ({"initial": None, "error": None}, "no score of the unchanged experiment"),
        ({"error": None}, "does not say how exact its scores are"),
    ],
)
def test_what_is_better_by_chance_only_is_not_trained(
    ready: Loop, provenance: dict[str, Any], said: str
) -> None:
    ready.study(found(**provenance))
    requests, why = ready.tick(tuned_training_sensor)
    assert not requests
    assert said in why


def test_what_is_not_loaded_yet_waits_for_the_reload(ready: Loop) -> None:
    ready.study(found(), loaded=False)
    for sensor in LINKS:
        requests, said = ready.tick(sensor)
        assert not requests
        assert (
            said
            == "tiny: is not loaded yet: reload the code location, or leave it to tuned_experiments_sensor"
        )


def test_a_person_who_trains_it_meanwhile_is_not_disturbed(ready: Loop) -> None:
    ready.study(found())
    tags = {"dagster/partition": "tiny"}
    by_hand = dg.DagsterRun("synthetic_set_job", status=dg.DagsterRunStatus.STARTED, tags=tags)
    ready.instance.add_run(by_hand)
    requests, said = ready.tick(tuned_training_sensor)
    assert not requests
    assert said.endswith("waits for a run of it that is in flight")
    ready.instance.report_run_canceled(by_hand)
    assert ready.ticks() == ["generator_checkpoint tiny"]


def test_a_patient_who_withdrew_holds_up_the_training_until_there_is_another_set(ready: Loop) -> None:
    ready.study(found())
    put_artefact_tombstone(ready.store, keys.training_set_manifest("folder", "v1"), "training-set", {})
    requests, said = ready.tick(tuned_training_sensor)
    assert not requests
    assert "a patient of the training set has withdrawn; waits for a new one of folder" in said
    ready.store.commit(keys.training_set_manifest("folder", "v2"), {}, {"kind": "training-set"})
    ready.store.update_pointer(keys.training_set_latest("folder"), {"version": "v2"})
    assert ready.ticks() == ["generator_checkpoint tiny"]


def test_a_withdrawn_run_is_left_to_retraining(loop: Loop, trained: Any) -> None:
    loop.study(found())
    put_artefact_tombstone(loop.store, keys.run_manifest("tiny", trained.name), "generator", {})
    for sensor in LINKS:
        requests, said = loop.tick(sensor)
        assert not requests
        assert "has withdrawn" in said


def test_a_training_is_scored_and_what_passed_is_published_each_once(
    loop: Loop, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = found()
    loop.study(one)
    assert loop.ticks() == ["metric_report tiny"]
    assert loop.ticks() == []
    assert "1 experiment: has no report yet" in loop.tick(tuned_publication_sensor)[1]

    loop.report(one)
    assert loop.ticks() == ["synthetic_image_set tiny"]
    assert loop.ticks() == []
    version = loop.publish(one)
    loop.cursors.clear()  # and nothing in the history either: the store alone says that all is done
    for sensor, said in zip(LINKS, ("is trained", "is scored", "is published"), strict=True):
        assert loop.tick(sensor) == ([], f"1 experiment: {said}")

    # Stricter rules: the numbers are judged again, and nothing is published that they refuse.
    strict = found(fields={"release": {"max_kid_above_floor": 0}})
    loop.study(strict)
    assert "waits for one with these" in loop.tick(tuned_publication_sensor)[1]
    assert loop.ticks() == ["metric_report tiny"]
    loop.report(strict)
    requests, said = loop.tick(tuned_publication_sensor)
    assert not requests
    assert "is not published: KID x 1000 above its floor is " in said

    # What somebody has withdrawn stays withdrawn.
    loop.study(one)
    loop.report(one)
    withdraw_set(loop.store, "tiny", version, "an error")
    requests, said = loop.tick(tuned_publication_sensor)
    assert not requests
    assert f"version {version} of these images was withdrawn; not published again" in said

    # More images are another set.
    more = found(fields={"publication": {"images": 7}})
    loop.study(more)
    loop.report(more)
    assert loop.ticks() == ["synthetic_image_set tiny"]


def test_a_report_of_an_earlier_training_publishes_nothing(loop: Loop, reported: Any) -> None:
    one = found()
    loop.study(one)
    assert loop.ticks() == ["synthetic_image_set tiny"]
    loop.cursors.clear()
    other = found(fields={"seed": 7})
    loop.study(other)
    assert loop.ticks() == ["generator_checkpoint tiny"]
    for sensor in LINKS[1:]:
        assert "was trained with the configuration of an earlier study" in loop.tick(sensor)[1]


def test_a_damaged_report_of_one_keeps_no_other_waiting(ready: Loop, reported: Any) -> None:
    ready.study(found(), found("other-tuned"))
    ready.store.update_pointer(keys.report_latest("tiny"), {"run": "gone", "version": "gone"})
    ready.store.update_pointer(keys.training_set_latest("folder"), {"version": "v1"})
    (request,), _ = ready.tick(tuned_training_sensor)
    assert request.partition_key == "other-tuned"
    requests, said = ready.tick(tuned_report_sensor)
    assert not requests
    assert "tiny: " in said


def test_what_this_version_cannot_use_is_named_and_the_others_go_on(ready: Loop) -> None:
    ready.study(found())
    ready.store.change_pointer(
        keys.tuned_experiments(), lambda present: {**present, "old-tuned": "dataset: folder\n"}
    )
    requests, _ = ready.tick(tuned_training_sensor)
    assert [request.partition_key for request in requests] == ["tiny"]
    assert "old-tuned: cannot be used: was not written by a study" in ready.tick(tuned_training_sensor)[1]


def test_a_file_of_a_persons_own_is_left_alone(
    ready: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tiny.yaml").write_text("dataset: phantom\ntraining: {images: 10}\n")
    monkeypatch.setenv("CHESTGAN_EXPERIMENTS", str(tmp_path / "own"))
    ready.study(found())
    for sensor in LINKS:
        assert "tiny.yaml in $CHESTGAN_EXPERIMENTS has its name" in ready.tick(sensor)[1]


def test_a_pod_that_was_new_while_the_store_was_down_fetches_what_its_step_needs(ready: Loop) -> None:
    publish_tuned(ready.store, one := found("small-tuned"))
    assert "small-tuned" not in experiment_files()
    assert load_stored_experiment(ready.store, "small-tuned") == one


def test_the_cursor_holds_one_state_for_each_experiment(ready: Loop) -> None:
    for seed in range(5):
        ready.study(found(fields={"seed": seed}))
        ready.tick(tuned_training_sensor)
    assert list(json.loads(str(ready.cursors["tuned_training_sensor"]))) == ["tiny"]
