"""What waits for what: the limits of the run queue, one automatic study at a time, and what a tick says of it."""

import json
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import pytest
import yaml

from chestgan_assets.automation import study_requests
from chestgan_assets.automation.study_requests import hyperparameter_study_sensor
from chestgan_assets.automation.tick_lines import MAX_LINES, grouped, lines
from chestgan_assets.definitions import defs
from chestgan_assets.execution.executor import evaluation_pool, training_pool
from chestgan_assets.resources import StoreResource
from chestgan_assets.tags import WORK_TAG
from chestgan_core.errors import DamagedObject
from chestgan_core.evaluation.thresholds import PASSED
from chestgan_core.store.store import Store

ROOT = Path(__file__).parent.parent.parent
INSTANCES = [ROOT / "dagster.yaml", ROOT / "deploy" / "dagster.yaml"]


@pytest.mark.parametrize("path", INSTANCES, ids=["laptop", "deployed"])
def test_what_comes_by_the_hundred_leaves_places_in_the_queue_for_small_work(path: Path) -> None:
    runs = yaml.safe_load(path.read_text())["concurrency"]["runs"]
    limits = {(one["key"], one.get("value")): one["limit"] for one in runs["tag_concurrency_limits"]}
    # A backfill, and what follows it by itself, at the same time.
    many = limits[("dagster/backfill", None)] + limits[("dagster/from_automation_condition", None)]
    assert limits[("dagster/backfill", None)] < runs["max_concurrent_runs"]
    assert limits[(WORK_TAG, "study")] == 1
    if path == ROOT / "dagster.yaml":
        # Beside them one training, one report, and still one more.
        assert many + 2 < runs["max_concurrent_runs"]


def test_jobs_have_the_tags_that_the_limits_are_for() -> None:
    work = {job.name: job.tags.get(WORK_TAG, "") for job in defs.get_repository_def().get_all_jobs()}
    assert work["patient_slices_job"] == "patient"
    assert work["hyperparameter_study_job"] == "study"
    assert work["architecture_comparison_job"] == work["series_catalog_job"] == "small"
    assert work["synthetic_set_job"] == ""  # its pools limit it


@pytest.mark.parametrize(("executor", "shared"), [("k8s", True), ("multiprocess", False)])
def test_reports_do_not_wait_for_trainings_where_they_share_no_accelerator(
    executor: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathlib.Path.exists", lambda path: False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("CHESTGAN_EXECUTOR", executor)
    assert (training_pool() == evaluation_pool()) == shared


class FakeReport:
    provenance: ClassVar = {"training set": "feed"}


def tick(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    reports: dict[str, str | None],
    cursor: str = "{}",
) -> dg.SensorResult:
    """One tick. reports: experiment -> why its report falls short, PASSED, "damaged", or None without a report."""

    def newest(store: Any, name: str) -> FakeReport | None:
        if reports[name] == "damaged":
            raise DamagedObject(f"s3://b/{name}", "is damaged", "make it again")
        return None if reports[name] is None else FakeReport()

    current: list[str] = []

    class Experiment:
        provenance = None

    monkeypatch.setattr(study_requests, "EXPERIMENTS", dict.fromkeys(reports, Experiment()))
    monkeypatch.setattr(
        study_requests, "newest_payload", lambda store, name: (current.append(name), newest(store, name))[1]
    )
    monkeypatch.setattr(
        study_requests,
        "shortfall",
        lambda report, floors: (reports[current[-1]] != PASSED, str(reports[current[-1]])),
    )
    monkeypatch.setattr(StoreResource, "open", lambda self: Store(None, "bucket", ""))  # type: ignore[arg-type]
    context = dg.build_sensor_context(instance, cursor=cursor, resources={"store": StoreResource()})
    result = hyperparameter_study_sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_automatic_studies_run_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: dict[str, str | None] = {"a": "KID is too high", "b": "coverage is 0"}
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(instance, monkeypatch, reports)
        assert [request.partition_key for request in first.run_requests or []] == ["a"]
        running = dg.DagsterRun(
            job_name="hyperparameter_study_job",
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": "a"},
        )
        instance.add_run(running)
        waiting = tick(instance, monkeypatch, reports, str(first.cursor))
        assert not waiting.run_requests
        assert "b: coverage is 0; waits for the study of a" in str(waiting.skip_reason)
        instance.report_run_canceled(running)
        then = tick(instance, monkeypatch, reports, str(waiting.cursor))
        assert [request.partition_key for request in then.run_requests or []] == ["b"]
        assert sorted(json.loads(str(then.cursor))) == ["a", "b"]


def test_a_tick_says_first_what_matters_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: dict[str, str | None] = {f"e{number:02}": None for number in range(26)}
    reports |= {"passed": PASSED, "broken": "damaged"}
    with dg.DagsterInstance.ephemeral() as instance:
        skipped = tick(instance, monkeypatch, reports).skip_reason
    assert skipped is not None
    assert str(skipped.skip_message).splitlines() == [
        "• broken: s3://b/broken: is damaged; make it again",
        "• 26 experiments: no report yet",
        f"• 1 experiment: {PASSED}",
    ]


def test_more_lines_than_a_page_shows_are_a_number() -> None:
    assert lines([]) == ""
    assert lines(["a"]) == "a"
    assert lines(["a", "b"]) == "• a\n• b"
    many = grouped({f"e{number}": f"reason {number}" for number in range(30)}).splitlines()
    assert len(many) == MAX_LINES + 1
    assert many[-1] == f"• and {30 - MAX_LINES} more experiments"
