"""`make dev` in a process of its own, and the requests of a browser."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.standins.ports import free_port

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Web:
    """A webserver, as a browser sees it. log: what a failure shows of it."""

    address: str
    log: Path

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """One GraphQL request over HTTP, as the browser sends it."""
        request = urllib.request.Request(
            f"{self.address}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            data = json.load(answer)
        assert "errors" not in data, data["errors"]
        return dict(data["data"])

    def location(self) -> str:
        """LOADING, RepositoryLocation, or the error with which the code location failed to load."""
        entry = self.ask(
            """{ workspaceOrError { ... on Workspace { locationEntries { loadStatus
                 locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
        )["workspaceOrError"]["locationEntries"][0]
        if entry["loadStatus"] == "LOADING":
            return "LOADING"
        loaded = entry["locationOrLoadError"]
        return str(loaded.get("message", loaded["__typename"]))

    def launch(self, job: str, partition: str = "", config: object = None, asset: str = "") -> str:
        """Start a job, for one partition or with a configuration; returns the run's id. asset: of the job, only it."""
        data = self.try_to_launch(job, partition, config, asset)
        assert data["__typename"] == "LaunchRunSuccess", data
        return str(data["run"]["id"])

    def try_to_launch(
        self, job: str, partition: str = "", config: object = None, asset: str = ""
    ) -> dict[str, Any]:
        """What the webserver answers to it."""
        return dict(
            self.ask(
                """mutation($job: String!, $assets: [AssetKeyInput!], $tags: [ExecutionTag!], $config: RunConfigData) {
                     launchRun(executionParams: {
                     selector: {repositoryLocationName: "chestgan", repositoryName: "__repository__", jobName: $job,
                                assetSelection: $assets},
                     runConfigData: $config, executionMetadata: {tags: $tags}
                   }) { __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message }
                        ... on RunConfigValidationInvalid { errors { message } } } }""",
                job=job,
                assets=[{"path": [asset]}] if asset else None,
                tags=[{"key": "dagster/partition", "value": partition}] if partition else [],
                config=config or {},
            )["launchRun"]
        )

    def status(self, run: str) -> str:
        """STARTED, SUCCESS, FAILURE, ..."""
        return str(
            self.ask("query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run)[
                "runOrError"
            ]["status"]
        )

    def finish(self, run: str, seconds: float = 240) -> str:
        """Wait for the end of a run; returns its status."""
        deadline = time.monotonic() + seconds
        while (status := self.status(run)) not in ("SUCCESS", "FAILURE", "CANCELED"):
            assert time.monotonic() < deadline, f"{run} is still {status}\n{self.log.read_text()[-2000:]}"
            time.sleep(0.5)
        return status

    def patients(self) -> list[str]:
        """The registered patient partitions."""
        data = self.ask("""{ assetNodes(assetKeys: [{path: ["raw_dicom"]}]) { partitionKeys } }""")
        return list(data["assetNodes"][0]["partitionKeys"])

    def await_patients(self, dataset: str, number: int, seconds: float = 120) -> list[str]:
        """The partitions of a dataset, once the sensor has registered so many."""
        deadline = time.monotonic() + seconds
        while len(keys := [key for key in self.patients() if key.startswith(f"{dataset}:")]) < number:
            assert time.monotonic() < deadline, f"{len(keys)} of {number}\n{self.log.read_text()[-2000:]}"
            time.sleep(0.5)
        return keys

    def backfill(self, partitions: list[str], *assets: str, tags: Mapping[str, str] | None = None) -> str:
        """Start a backfill as the dialog of the UI does it; returns its id. tags: of its runs."""
        started = self.ask(
            """mutation($assets: [AssetKeyInput!], $names: [String!], $tags: [ExecutionTag!]) {
                 launchPartitionBackfill(backfillParams: {
                 assetSelection: $assets, partitionNames: $names, tags: $tags})
               { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            assets=[{"path": [asset]} for asset in assets],
            names=partitions,
            tags=[{"key": key, "value": value} for key, value in (tags or {}).items()],
        )["launchPartitionBackfill"]
        assert started["__typename"] == "LaunchBackfillSuccess", started
        return str(started["backfillId"])

    def backfill_status(self, backfill: str) -> str:
        """REQUESTED while it is in progress, COMPLETED_SUCCESS, COMPLETED_FAILED, CANCELED, ..."""
        return str(
            self.ask(
                """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
                     ... on PartitionBackfill { status } } }""",
                id=backfill,
            )["partitionBackfillOrError"]["status"]
        )

    def finish_backfill(self, backfill: str, seconds: float = 280) -> str:
        """Wait for the end of a backfill; returns its status."""
        deadline = time.monotonic() + seconds
        while (status := self.backfill_status(backfill)) in ("REQUESTED", "COMPLETING"):
            assert time.monotonic() < deadline, f"{status}\n{self.log.read_text()[-2000:]}"
            time.sleep(1)
        return status

    def newest_backfill(self) -> str:
        """Its id; "" when there is none."""
        data = self.ask(
            "{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills { results { id } } } }"
        )["partitionBackfillsOrError"]["results"]
        return str(data[0]["id"]) if data else ""

    def failure(self, run: str) -> str:
        """What the failed steps of a run say to a person."""
        data = self.ask(
            """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events {
                 ... on ExecutionStepFailureEvent { failureMetadata { description } } } } } } }""",
            id=run,
        )["runOrError"]["eventConnection"]["events"]
        said = [event["failureMetadata"]["description"] for event in data if event.get("failureMetadata")]
        return "\n".join(said)

    def runs(self, tags: dict[str, str], *statuses: str) -> list[str]:
        """Runs with these tags, newest first."""
        data = self.ask(
            "query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results { id } } } }",
            filter={
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
                **({"statuses": statuses} if statuses else {}),
            },
        )["runsOrError"]["results"]
        return [str(run["id"]) for run in data]

    def await_run(self, tags: dict[str, str], seconds: float = 120) -> str:
        """The newest run with these tags, once there is one."""
        deadline = time.monotonic() + seconds
        while not (found := self.runs(tags)):
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(1)
        return found[0]

    def run_tags(self, run: str) -> dict[str, str]:
        """The tags of a run."""
        data = self.ask(
            "query($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }", id=run
        )
        return {tag["key"]: tag["value"] for tag in data["runOrError"]["tags"]}

    def check(self, asset: str, name: str) -> dict[str, Any]:
        """The newest evaluation of an asset check."""
        data = self.ask(
            """query($key: AssetKeyInput!, $name: String!) { assetCheckExecutions(assetKey: $key, checkName: $name,
                 limit: 1) { evaluation { success metadataEntries { label ... on IntMetadataEntry { intValue }
                 ... on TableMetadataEntry { table { records } } } } } }""",
            key={"path": [asset]},
            name=name,
        )
        return dict(data["assetCheckExecutions"][0]["evaluation"])

    def turn_on(self, sensor: str) -> None:
        """As the switch in the UI does it."""
        data = self.ask(
            """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
                 __typename ... on PythonError { message } } }""",
            sensor=self._sensor(sensor),
        )["startSensor"]
        assert data["__typename"] == "Sensor", data

    def ticks(self, sensor: str) -> list[dict[str, Any]]:
        """Ticks of a sensor that have ended, the newest first."""
        data = self.ask(
            """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState {
                 ticks(limit: 40) { status timestamp endTimestamp skipReason error { message } } } } } }""",
            sensor=self._sensor(sensor),
        )["sensorOrError"]["sensorState"]["ticks"]
        return [tick for tick in data if tick["endTimestamp"]]

    def _sensor(self, name: str) -> dict[str, str]:
        return {"repositoryLocationName": "chestgan", "repositoryName": "__repository__", "sensorName": name}

    def partitions(self, asset: str) -> dict[str, list[str]]:
        """Patients by state of an asset: materialized, failed, missing, running (Dagster's words)."""
        data = self.ask(
            """query($key: [AssetKeyInput!]) { assetNodes(assetKeys: $key) { assetPartitionStatuses {
                 ... on DefaultPartitionStatuses { materializedPartitions failedPartitions unmaterializedPartitions
                 materializingPartitions } } } }""",
            key=[{"path": [asset]}],
        )["assetNodes"][0]["assetPartitionStatuses"]
        return {name.removesuffix("Partitions"): list(keys) for name, keys in data.items()}

    def made(self, asset: str) -> list[str]:
        """The partition of each materialization, but for those of what another run had made."""
        data = self.ask(
            """query($key: [AssetKeyInput!]) { assetNodes(assetKeys: $key) {
                 assetMaterializations(limit: 1000) { partition metadataEntries { label } } } }""",
            key=[{"path": [asset]}],
        )["assetNodes"][0]["assetMaterializations"]
        return [
            one["partition"]
            for one in data
            if all(entry["label"] != "made by run" for entry in one["metadataEntries"])
        ]

    def materialization(self, asset: str) -> dict[str, Any]:
        """Metadata of the newest materialization of an asset: label -> value, of a table its rows."""
        data = self.ask(
            """query($key: [AssetKeyInput!]) { assetNodes(assetKeys: $key) {
                 assetMaterializations(limit: 1) { partition metadataEntries { label
                   ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue }
                   ... on FloatMetadataEntry { floatValue } ... on MarkdownMetadataEntry { mdStr }
                   ... on UrlMetadataEntry { url }
                   ... on TableMetadataEntry { table { records } } } } } }""",
            key=[{"path": [asset]}],
        )["assetNodes"][0]["assetMaterializations"][0]
        values = {
            entry["label"]: next((entry[kind] for kind in entry if kind != "label"), None)
            for entry in data["metadataEntries"]
        }
        return {
            label: [json.loads(row) for row in value["records"]] if isinstance(value, dict) else value
            for label, value in values.items()
        }


@dataclass
class Dev(Web):
    """A running `make dev`. portal: its address."""

    process: subprocess.Popen[str]
    portal: str


def start_dev(environment: dict[str, str], log: Path) -> Dev:
    """Start `make dev` and wait until the UI answers."""
    port, portal = free_port(), free_port()
    before = log.stat().st_size if log.exists() else 0
    with log.open("a") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "chestgan_assets.local.dev"],
            env={**environment, "CHESTGAN_PORT": str(port), "CHESTGAN_PORTAL_PORT": str(portal)},
            cwd=ROOT,
            stdout=out,
            stderr=out,
            text=True,
        )
    running = Dev(f"http://127.0.0.1:{port}", log, process, f"http://127.0.0.1:{portal}")
    try:
        _await(running, before)
    except BaseException:
        process.terminate()
        raise
    return running


def _await(running: Dev, before: int) -> None:
    deadline = time.monotonic() + 120
    while "Ctrl-C ends all of it" not in running.log.read_text()[before:]:
        assert running.process.poll() is None, running.log.read_text()[-3000:]
        assert time.monotonic() < deadline, running.log.read_text()[-3000:]
        time.sleep(0.5)
    while (loaded := running.location()) == "LOADING":
        time.sleep(0.2)
    assert loaded == "RepositoryLocation", loaded


def cut_power(dev: Dev) -> None:
    """Every process of it ends at once, without a chance to say or write anything."""
    processes = [*psutil.Process(dev.process.pid).children(recursive=True), psutil.Process(dev.process.pid)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=20)
    dev.process.wait(timeout=20)


def stop_dev(dev: Dev) -> int:
    """Ctrl-C; returns the exit status."""
    dev.process.send_signal(signal.SIGINT)
    return dev.process.wait(timeout=60)
