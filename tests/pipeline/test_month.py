"""A month of automation, day by day: real slices, trainings and reports in a store, a real webhook, nothing twice."""

import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import pyarrow.parquet as pq
import pytest

from chestgan_assets.automation import monthly_schedules as monthly_room
from chestgan_assets.automation import retraining as retraining_room
from chestgan_assets.automation import study_requests as study_room
from chestgan_assets.automation.monthly_schedules import (
    monthly_reports_schedule,
    monthly_synthetic_sets_schedule,
    monthly_training_sets_schedule,
)
from chestgan_assets.automation.retraining import retraining_sensor
from chestgan_assets.automation.study_requests import hyperparameter_study_sensor
from chestgan_assets.automation.webhook_messages import (
    run_failure_webhook_sensor,
    synthetic_set_webhook_sensor,
)
from chestgan_assets.resources import StoreResource
from chestgan_core.config.experiment import parse_experiment
from chestgan_core.errors import BadInput
from chestgan_core.evaluation.monthly.page import report_month
from chestgan_core.evaluation.scoring.gate import GateResult, RuleResult
from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement, RowContext
from chestgan_core.evaluation.scoring.report_payload import RunReport
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.evaluation.thresholds import shortfall, thresholds
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.slices.training_set import build_training_set, open_training_set
from chestgan_core.sources.annotations.boxes import Annotations, TumourBox
from chestgan_core.sources.annotations.stored import commit_annotations
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.run import train_experiment
from chestgan_core.training.run_manifest import RunManifest
from tests.pipeline.stages import Stages, edited, tiny
from tests.standins.receiver import Receiver

SENSORS = (
    retraining_sensor,
    hyperparameter_study_sensor,
    run_failure_webhook_sensor,
    synthetic_set_webhook_sensor,
)


class Month:
    """Store, instance, and a daemon that keeps cursors and executes what is requested, under its run key."""

    def __init__(self, store: Store, instance: dg.DagsterInstance, home: Path) -> None:
        self.store, self.instance, self.home = store, instance, home
        self.cursors: dict[str, str | None] = {}
        self.log: list[tuple[int, str]] = []
        self.said: dict[str, str] = {}
        self.day = 0
        self.steps = 0

    def slices(self) -> None:
        catalog, _ = catalog_series(self.store, "folder", self.home)
        for patient in catalog.patients:
            archive_patient(self.store, "folder", patient, self.home)
            normalize_patient(self.store, "folder", patient, self.home)

    def make(self, job: str, partition: str = "") -> None:
        self.steps += 1
        folder = self.home / f"step-{self.steps}"
        if job == "training_set_job":
            build_training_set(self.store, "folder")
        elif job == "monthly_report_job":
            report_month(self.store, partition, folder)
        elif job == "synthetic_set_job":
            train_experiment(self.store, tiny(), "cpu", folder / "train")
            self.report()

    def report(self, **rules: float) -> None:
        """Score the newest run under these release rules."""
        strict = parse_experiment({**tiny().model_dump(), "release": rules or tiny().release}, "tiny", "test")
        self.steps += 1
        report_experiment(self.store, strict, "cpu", self.home / f"step-{self.steps}" / "report")

    def launch(self, job: str, request: dg.RunRequest) -> None:
        self.log.append((self.day, f"{job} {request.partition_key}"))
        self.make(job, str(request.partition_key))
        done = dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.SUCCESS, tags=dict(request.tags))
        self.instance.add_run(done)

    def tick(self, sensor: dg.SensorDefinition) -> None:
        context = dg.build_sensor_context(
            self.instance,
            cursor=self.cursors.get(sensor.name),
            resources={"store": StoreResource(uri=self.store.uri())},
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        if result.cursor is not None:
            self.cursors[sensor.name] = result.cursor
        self.said[sensor.name] = result.skip_reason.skip_message if result.skip_reason else ""
        for request in result.run_requests or []:
            self.launch(str(request.job_name or sensor.job_name), request)

    def schedules(self, moment: datetime) -> None:
        for schedule in (
            monthly_training_sets_schedule,
            monthly_synthetic_sets_schedule,
            monthly_reports_schedule,
        ):
            _, _, monthday, _, _ = str(schedule.cron_schedule).split()
            if moment.day != int(monthday):
                continue
            resources = (
                {} if schedule is monthly_reports_schedule else {"store": StoreResource(uri=self.store.uri())}
            )
            context = dg.build_schedule_context(
                self.instance, scheduled_execution_time=moment, resources=resources
            )
            answer = schedule(context)
            for request in [answer] if isinstance(answer, dg.RunRequest) else answer:
                assert isinstance(request, dg.RunRequest)
                assert str(request.run_key).startswith(f"monthly:{moment:%Y-%m}:")
                self.launch(schedule.job_name, request)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with Receiver() as running:
        monkeypatch.setenv("CHESTGAN_WEBHOOK", running.url)
        monkeypatch.setenv("CHESTGAN_WEBHOOK_SECRET", "0123456789abcdef-of-tests")
        yield running


@pytest.fixture
def month(
    store: Store, embedded: EmbeddedStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Month]:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    for room in (monthly_room, retraining_room, study_room):
        monkeypatch.setattr(room, "EXPERIMENTS", {"tiny": tiny()})
    with dg.DagsterInstance.ephemeral() as instance:
        yield Month(store, instance, home)


@dg.op
def breaks() -> None:
    raise RuntimeError("Mustermann^Erika")


@dg.job
def broken() -> None:
    breaks()


@pytest.mark.slow
def test_a_month_requests_what_is_new_and_nothing_twice(
    month: Month, receiver: Receiver, phantom_folder: Path, delivery: Path, slices: object, stages: Stages
) -> None:
    for sensor in SENSORS:
        month.tick(sensor)
    assert month.said["retraining_sensor"].startswith("1 experiment: no checkpoint")
    stages.bring("reported", month.store)
    for day in range(2, 34):
        month.day = day
        moment = datetime(2026, 3, 1, 6, tzinfo=UTC) + timedelta(days=day - 1)
        if day == 9:
            patient = sorted(phantom_folder.iterdir())[3]
            shutil.copytree(patient, delivery / patient.name)
            month.slices()
        if day == 15:
            month.report(max_kid_above_floor=0)
        if day == 18:
            month.report(max_kid_above_floor=1)  # the study did not help
        if day == 20:
            tags = {"dagster/partition": "folder:P123"}
            broken.execute_in_process(instance=month.instance, raise_on_error=False, tags=tags)
            receiver.statuses = [404]
        for _ in range(3 if day in (9, 15, 18, 20) else 1):
            for sensor in SENSORS:
                month.tick(sensor)
        month.schedules(moment)
    assert month.log == [
        (2, "monthly_report_job 2026-02"),
        (9, "training_set_job folder"),
        (9, "synthetic_set_job tiny"),
        (15, "hyperparameter_study_job tiny"),
        (32, "training_set_job folder"),
        (32, "synthetic_set_job tiny"),
        (33, "monthly_report_job 2026-03"),
    ]
    # Refused once, delivered at the next tick under the same id, and never again.
    assert len(receiver.requests) == 2
    assert receiver.requests[0][1] == receiver.requests[1][1]
    message = json.loads(receiver.requests[1][1])
    assert (message["kind"], message["job"], message["partition"]) == ("run-failed", "broken", "folder")
    assert message["steps"] == ["breaks"]
    assert b"Mustermann" not in receiver.requests[1][1]
    assert b"P123" not in receiver.requests[1][1]


def test_a_daemon_that_lost_its_cursor_requests_nothing_again(
    month: Month, phantom_folder: Path, delivery: Path, slices: object, reported: object
) -> None:
    patient = sorted(phantom_folder.iterdir())[3]
    shutil.copytree(patient, delivery / patient.name)
    month.slices()
    for _ in range(4):
        month.cursors.clear()
        month.tick(retraining_sensor)
    assert month.log == [(0, "training_set_job folder"), (0, "synthetic_set_job tiny")]
    assert month.said["retraining_sensor"] == "1 experiment: no new slices"


def test_an_experiment_that_cannot_be_read_takes_the_month_from_no_other(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monthly_room, "EXPERIMENTS", {"broken": tiny(), "tiny": tiny()})
    for name in ("broken", "tiny"):
        month.store.update_pointer(keys.run_latest(name), {"run": "r"})
    month.store.put_bytes(b"{", keys.run_manifest("broken", "r"))
    manifest = RunManifest("r", {}, "folder", "v1", "cpu", "float32", 64, 1.0, 0, None, None)
    month.store.commit(keys.run_manifest("tiny", "r"), {}, asdict(manifest))
    month.make = lambda job, partition="": None  # type: ignore[method-assign]  # only what is requested counts here
    month.schedules(datetime(2026, 3, 1, 6, tzinfo=UTC))
    assert month.log == [(0, "training_set_job folder"), (0, "synthetic_set_job tiny")]


def draw(store: Store, slices: Sequence[Mapping[str, str]], left: int) -> None:
    """Somebody draws a tumour on these slices, and it is gathered."""
    boxes = tuple(
        TumourBox(one["patient"], one["sop_uid"], left, 20, left + 6, 30, "A", "voc") for one in slices
    )
    stored = commit_annotations(store, "folder", Annotations(boxes, {}), {"kind": "tumour-annotations"})
    store.update_pointer(keys.annotations_latest("folder"), {"version": stored.version})


def test_tumours_drawn_anew_retrain_what_is_told_of_them_where_they_change_enough_slices(
    month: Month, slices: object, trained: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = pq.read_table(
        io.BytesIO(month.store.read(open_training_set(month.store, "folder").artefact, "slices.parquet")),
        columns=["patient", "sop_uid"],
    ).to_pylist()
    draw(month.store, used[: len(used) // 2], left=10)
    month.tick(retraining_sensor)
    assert month.said["retraining_sensor"] == "1 experiment: no new slices"

    placing = edited(network={"family": "spectral"}, conditions={"tumour": {}})
    monkeypatch.setattr(retraining_room, "EXPERIMENTS", {"tiny": placing})
    for _ in range(3):
        month.tick(retraining_sensor)
    assert month.log == [(0, "training_set_job folder"), (0, "synthetic_set_job tiny")]

    month.log.clear()
    draw(month.store, used[: len(used) // 2 + 1], left=10)  # all slices of its series, and one box more
    monkeypatch.setenv("CHESTGAN_RETRAIN_FRACTION", "1")
    for _ in range(3):
        month.tick(retraining_sensor)
    assert month.log == [(0, "training_set_job folder")]
    assert month.said["retraining_sensor"].endswith(": not enough")
    assert "tumours were drawn anew on " in month.said["retraining_sensor"]


def test_a_message_that_is_refused_for_a_day_holds_back_no_other(
    month: Month, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    month.tick(run_failure_webhook_sensor)
    for _ in range(2):
        broken.execute_in_process(instance=month.instance, raise_on_error=False)
    receiver.statuses = [400]
    month.tick(run_failure_webhook_sensor)
    assert month.said["run_failure_webhook_sensor"].startswith(
        "0 delivered, 2 waiting, 0 dropped; webhook: answered 400"
    )
    monkeypatch.setattr("chestgan_assets.automation.webhook_messages.MAX_AGE", 0.0)
    receiver.statuses = [400]
    month.tick(run_failure_webhook_sensor)
    assert month.said["run_failure_webhook_sensor"] == "1 delivered, 0 waiting, 1 dropped"


def test_a_new_set_is_announced_once(month: Month, receiver: Receiver) -> None:
    month.tick(synthetic_set_webhook_sensor)
    made = dg.AssetMaterialization("synthetic_image_set", partition="tiny", metadata={"images": 6})
    month.instance.report_runless_asset_event(made)
    for _ in range(3):
        month.tick(synthetic_set_webhook_sensor)
    (message,) = (json.loads(body) for _, body in receiver.requests)
    assert (message["kind"], message["set"], message["images"]) == ("set-published", "tiny", 6)


def test_a_report_falls_short_by_its_gate_or_where_configured_by_a_kid_too_far_above_its_floor() -> None:
    def report(floor: float, *rules: RuleResult) -> RunReport:
        found = Measurement(0.06, "", floor=FloorValue(floor))
        rows = RowContext("net", (9, 9), "", "", 0).rows(lambda: {"KID": found})
        gate = GateResult(all(rule.passed for rule in rules), rules)
        return cast("RunReport", SimpleNamespace(row=lambda measure: rows[0], gate=gate))

    assert shortfall(report(0.01), None)[0] is False
    assert shortfall(report(0.01), 5.0)[0] is True
    assert shortfall(report(0.01), 7.0)[0] is False
    assert shortfall(report(-0.001), 5.0)[0] is False
    failed = RuleResult("coverage", "coverage", 0.0, 0.1, "higher", False, 0.1, "coverage is 0")
    assert shortfall(report(0.01, failed), None) == (True, "refused by the release gate: coverage is 0")


@pytest.mark.parametrize("value", ["nan", "-1", "0", "many", "inf"])
def test_an_invalid_threshold_is_refused_by_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_DRIFT", value)
    with pytest.raises(BadInput, match="CHESTGAN_DRIFT"):
        thresholds()
