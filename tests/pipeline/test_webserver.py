"""The chain through the real webserver and daemon: jobs, a backfill, failures, and in a real browser."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from chestgan_assets.metadata import FILES
from tests.browser_fixtures import CHROMIUM
from tests.pipeline.dev_server import Dev, start_dev, stop_dev

MUTATION = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "chestgan",
    repositoryName: "__repository__", jobName: "series_catalog_job"},
    executionMetadata: {tags: [{key: "dagster/partition", value: "phantom"}]}}) { __typename } }"""
AS_JSON = {"Content-Type": "application/json"}


def answered(dev: Dev, path: str, body: bytes | None = None, **headers: str) -> int:
    """The status of a request that is not one of the UI."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{dev.address}{path}", body, named), timeout=30
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_no_page_of_another_site_starts_a_run(dev: Dev) -> None:
    by_get = f"/graphql?{urllib.parse.urlencode({'query': MUTATION})}"
    body = json.dumps({"query": MUTATION}).encode()
    evil = "http://evil.example"
    # An <img>, a link, a form, a script of a foreign page, and one that calls itself by our address (DNS rebinding).
    assert answered(dev, by_get) == 405
    assert answered(dev, by_get, Origin=evil) == 403
    assert answered(dev, by_get, Accept="text/html", Sec_Fetch_Mode="navigate") == 405
    assert answered(dev, by_get, b"", Content_Type="application/x-www-form-urlencoded") == 415
    assert answered(dev, "/graphql", body, Content_Type="text/plain") == 415
    assert answered(dev, "/graphql", body, **AS_JSON, Origin=evil) == 403
    assert answered(dev, "/graphql", body, **AS_JSON, Origin="null") == 403
    assert answered(dev, "/graphql", body, **AS_JSON, Sec_Fetch_Site="cross-site") == 403
    assert answered(dev, "/graphql", body, **AS_JSON, Host="evil.example") == 403
    assert answered(dev, "/report_asset_materialization/raw_dicom", b"{}", **AS_JSON, Origin=evil) == 403
    websocket = dev.address.replace("http", "ws") + "/graphql"
    with pytest.raises(InvalidStatus) as refused:
        connect(websocket, origin=evil, subprotocols=["graphql-ws"])  # type: ignore[list-item, arg-type]
    assert refused.value.response.status_code == 403
    with connect(websocket, origin=dev.address, subprotocols=["graphql-ws"]) as own:  # type: ignore[list-item, arg-type]
        own.send('{"type": "connection_init"}')
        assert json.loads(own.recv(timeout=30))["type"] == "connection_ack"
    assert dev.runs({}) == []


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs root, to be somebody else")
def test_other_accounts_of_the_machine_see_nothing(dev: Dev) -> None:
    code = "import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1]).read())"
    for path in ("/server_info", "/files/reports/tiny/a/b/report.html"):
        tried = subprocess.run(
            ["/usr/bin/env", "python3", "-c", code, f"{dev.address}{path}"],
            user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True,
        )  # fmt: skip
        assert "403" in tried.stderr
        assert not tried.stdout
    home = Path(_environment(dev)["CHESTGAN_HOME"])
    assert home.stat().st_mode & 0o077 == 0
    for process in [
        psutil.Process(dev.process.pid),
        *psutil.Process(dev.process.pid).children(recursive=True),
    ]:
        for one in process.net_connections("unix"):
            if one.laddr and one.laddr.startswith("/tmp") and Path(one.laddr).exists():
                folder, path = Path(one.laddr).parent, Path(one.laddr)
                assert not (folder.stat().st_mode & 0o077 and path.stat().st_mode & 0o077), one.laddr


def _environment(dev: Dev) -> dict[str, str]:
    return psutil.Process(dev.process.pid).environ()


def test_the_catalog_registers_a_partition_for_every_patient(dev: Dev) -> None:
    assert dev.finish(dev.launch("series_catalog_job", "phantom")) == "SUCCESS"
    keys = dev.await_patients("phantom", 6)
    assert len(keys) == 6
    assert all(key.startswith("phantom:PH-") for key in keys)
    metadata = dev.materialization("series_catalog")
    assert metadata["patients"] == 6
    assert "localizer" in {row["reason"] for row in metadata["left out files"]}


def test_patients_are_backfilled_as_the_ui_does_it(dev: Dev) -> None:
    backfill = dev.backfill(dev.patients()[:3], "raw_dicom", "slice_tensors")
    assert dev.finish_backfill(backfill) == "COMPLETED_SUCCESS"
    metadata = dev.materialization("slice_tensors")
    assert metadata["slices"] > 0
    assert metadata["preview"].startswith("![")


def test_an_experiment_goes_from_training_to_a_published_set(dev: Dev) -> None:
    assert dev.finish(dev.launch("training_set_job", "phantom")) == "SUCCESS"
    assert dev.finish(dev.launch("synthetic_set_job", "tiny")) == "SUCCESS"
    report = dev.materialization("metric_report")
    assert any(row["extractor"].startswith("efficientnet-lite0") for row in report["measures"])
    assert isinstance(report["KID x 1000"], float)
    assert report["KID x 1000, floor"] > 0
    assert report["contact sheet"].startswith("![")
    published = dev.materialization("synthetic_image_set")
    assert published["images"] == 12
    assert "## Release gate" in published["card"]
    assert dev.materialization("synthetic_set_index")["sets"] == 1
    assert dev.materialization("reader_study_images")["patients"] >= 1
    animation = dev.materialization("generator_checkpoint")["animation"]
    for link, kind in (
        (report["report"], b"<!doctype html>"),
        (report["report, PDF"], b"%PDF-"),
        (animation, b"GIF8"),
        (published["whole card"], b"<!doctype html>"),
    ):
        assert link.startswith(FILES)
        with urllib.request.urlopen(f"{dev.address}{link}", timeout=30) as answer:
            assert answer.read(len(kind)).lower() == kind.lower(), link
    for asset in ("raw_dicom", "generator_checkpoint", "metric_report", "synthetic_image_set"):
        used = dev.materialization(asset)
        assert used["CPU hours"] > 0, asset
        assert used["bytes read"] + used["bytes written"] > 0, asset


def test_what_the_gate_refuses_has_a_report_and_is_not_published(dev: Dev) -> None:
    run = dev.launch("synthetic_set_job", "strict")
    assert dev.finish(run) == "FAILURE"
    events = dev.ask(
        """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events { __typename
             ... on AssetCheckEvaluationEvent { evaluation { checkName success } }
             ... on MaterializationEvent { assetKey { path } } } } } } }""",
        id=run,
    )["runOrError"]["eventConnection"]["events"]
    checks = {
        event["evaluation"]["checkName"]: event["evaluation"]["success"]
        for event in events
        if "evaluation" in event
    }
    assert (checks["finite"], checks["distance"]) == (True, False)
    made = {event["assetKey"]["path"][0] for event in events if "assetKey" in event}
    assert "metric_report" in made
    assert "synthetic_image_set" not in made


def test_a_failed_step_says_what_to_do(dev: Dev) -> None:
    run = dev.launch("series_catalog_job", "folder")  # CHESTGAN_FOLDER is not set in this installation
    assert dev.finish(run) == "FAILURE"
    events = dev.ask(
        """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events {
             ... on ExecutionStepFailureEvent { error { message } failureMetadata { description } } } } } } }""",
        id=run,
    )["runOrError"]["eventConnection"]["events"]
    said = [event["failureMetadata"]["description"] for event in events if event.get("failureMetadata")]
    assert said == ["CHESTGAN_FOLDER: is not set; set it to the folder that holds the DICOM files or zips"]


@pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"),
    reason="no chromium here (Debian: apt-get install chromium)",
)
def test_a_person_materializes_an_asset_in_the_browser(dev: Dev, tmp_path: Path) -> None:
    assert CHROMIUM, "install chromium"
    from playwright.sync_api import TimeoutError as PlaywrightTimeout
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{dev.address}/asset-groups")
        expect(page.get_by_text("acquisition").first).to_be_visible(timeout=60_000)
        page.goto(f"{dev.address}/assets/training_set")
        page.get_by_role("button", name="Materialize").first.click(timeout=60_000)
        dialog = page.get_by_role("dialog")
        # A training set is made of DICOM or of pictures; Dagster warns that no pictures are there.
        dialog.get_by_role("button", name="Confirm").click(timeout=60_000)
        # The page behind has a link to the same partition; the first click may come before the list is loaded.
        other = 'a:not([href^="/assets"])'
        choice = page.locator(f"label, [role=menuitem], {other}", has_text=re.compile("phantom(?!_)")).last
        for _ in range(6):
            dialog.get_by_text("Select a partition").click(timeout=60_000)
            with suppress(PlaywrightTimeout):
                choice.click(timeout=10_000)
                break
        page.keyboard.press("Escape")
        dialog.get_by_role("button", name="Launch 1 run").click(timeout=60_000)
        _newest_run(dev, "training_set")
        page.goto(f"{dev.address}/runs")
        expect(page.get_by_text("Success").first).to_be_visible(timeout=120_000)
        page.screenshot(path=tmp_path / "runs.png")
        browser.close()


def _newest_run(dev: Dev, asset: str) -> None:
    """Wait for a run that a person started in the UI and see it succeed."""
    deadline = time.monotonic() + 60
    query = """{ runsOrError(limit: 1) { ... on Runs { results { id assetSelection { path } } } } }"""
    while True:
        runs: list[dict[str, Any]] = dev.ask(query)["runsOrError"]["results"]
        newest = runs[0] if runs else {"id": "", "assetSelection": []}
        if newest["assetSelection"] == [{"path": [asset]}]:
            break
        assert time.monotonic() < deadline, newest
        time.sleep(0.5)
    assert dev.finish(newest["id"]) == "SUCCESS"


def test_a_run_that_fails_is_told_to_the_administrators_of_the_portal(
    dev: Dev, pipeline_environment: dict[str, str]
) -> None:
    with urllib.request.urlopen(f"{dev.portal}/ready", timeout=20) as answer:
        assert json.load(answer) == {"database": "ok", "store": "ok"}
    deadline = time.monotonic() + 90
    while not dev.ticks("run_failure_webhook_sensor"):  # messages start from its first tick on
        assert time.monotonic() < deadline
        time.sleep(0.5)
    run = dev.launch("training_set_job", "folder")  # a dataset without a catalog
    assert dev.finish(run) == "FAILURE"
    database = f"file:{pipeline_environment['CHESTGAN_HOME']}/portal.sqlite?mode=ro"
    with closing(sqlite3.connect(database, uri=True)) as tables:
        while not (
            told := [
                row for row in tables.execute("SELECT kind, content FROM notifications") if run in row[1]
            ]
        ):
            assert time.monotonic() < deadline + 60, dev.ticks("run_failure_webhook_sensor")[:3]
            time.sleep(0.5)
    ((kind, text),) = told
    content = json.loads(text)
    assert (kind, content["run"], content["steps"]) == ("run-failed", run, ["training_set"])
    assert (content["job"], content["partition"]) == ("training_set_job", "folder")
    assert f"portal       {dev.portal}" in dev.log.read_text()


def test_ctrl_c_ends_every_process_and_kill_too_and_a_restart_finds_the_history(
    dev: Dev, pipeline_environment: dict[str, str]
) -> None:
    started = psutil.Process(dev.process.pid).children(recursive=True)
    assert len(started) >= 9  # store; three supervisors with webserver, daemon and portal; two code servers
    assert stop_dev(dev) == 0
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive, [process.cmdline() for process in alive]

    killed = start_dev(pipeline_environment, dev.log.with_name("second-log"))
    run = killed.launch("training_set_job", "phantom")
    while killed.status(run) not in ("STARTED", "SUCCESS"):
        time.sleep(0.1)
    started = psutil.Process(killed.process.pid).children(recursive=True)
    killed.process.kill()
    killed.process.wait()

    again = start_dev(pipeline_environment, dev.log.with_name("third-log"))
    try:
        _, alive = psutil.wait_procs(started, timeout=1)
        assert not alive, [process.cmdline() for process in alive]
        said = again.log.read_text()
        assert "the temporary files of a killed process were removed" in said
        # The run had its last moments to end by itself.
        if again.status(run) not in ("SUCCESS", "CANCELED"):
            assert again.status(run) == "FAILURE"
        assert again.materialization("synthetic_image_set")["images"] == 12
        assert again.materialization("synthetic_image_set")["dagster/uri"].startswith("s3://")
    finally:
        assert stop_dev(again) == 0
