"""The pipeline as people run it: `make dev` in a process of its own, with an experiment small enough for a test."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

TINY = """
description: The smallest training that goes through every part.
dataset: phantom
network: {generator_width: 4, discriminator_width: 4, latent: 8}
training: {batch: 16, images: 320, checkpoint_images: 160, sample_images: 160}
evaluation: {images: 24}
publication: {images: 12}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def delivery(phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private DICOM folder: three phantoms that are treated as people."""
    folder = tmp_path / "delivery"
    for patient in sorted(phantom_folder.iterdir())[:3]:
        shutil.copytree(patient, folder / patient.name)
    monkeypatch.setenv("CHESTGAN_FOLDER", str(folder))
    return folder


@pytest.fixture(scope="session")
def pipeline_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a fresh installation: no store, no Dagster home, one more experiment, `tiny`."""
    folder = tmp_path_factory.mktemp("installation")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "tiny.yaml").write_text(TINY)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHESTGAN_", "DAGSTER_", "AWS_"))
    }
    return {
        **kept,
        "CHESTGAN_HOME": str(folder / "local"),
        "CHESTGAN_EXPERIMENTS": str(folder / "experiments"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "OMP_NUM_THREADS": "1",
    }


@dataclass
class Dev:
    """A running `make dev`."""

    process: subprocess.Popen[str]
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
            told = json.load(answer)
        assert "errors" not in told, told["errors"]
        return told["data"]

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

    def launch(self, job: str, partition: str) -> str:
        """Start a job for one partition; returns the id of the run."""
        data = self.ask(
            """mutation($job: String!, $partition: String!) { launchRun(executionParams: {
                 selector: {repositoryLocationName: "chestgan", repositoryName: "__repository__", jobName: $job},
                 runConfigData: {},
                 executionMetadata: {tags: [{key: "dagster/partition", value: $partition}]}
               }) { __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }""",
            job=job,
            partition=partition,
        )["launchRun"]
        assert data["__typename"] == "LaunchRunSuccess", data
        return str(data["run"]["id"])

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

    def materialization(self, asset: str) -> dict[str, Any]:
        """Metadata of the newest materialization of an asset: label -> value."""
        data = self.ask(
            """query($key: [AssetKeyInput!]) { assetNodes(assetKeys: $key) {
                 assetMaterializations(limit: 1) { partition metadataEntries { label
                   ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue }
                   ... on FloatMetadataEntry { floatValue } ... on MarkdownMetadataEntry { mdStr } } } } }""",
            key=[{"path": [asset]}],
        )["assetNodes"][0]["assetMaterializations"][0]
        return {
            entry["label"]: next((entry[kind] for kind in entry if kind != "label"), None)
            for entry in data["metadataEntries"]
        }


def start_dev(environment: dict[str, str], log: Path) -> Dev:
    """Start `make dev` and wait until the UI answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("a") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "chestgan_assets.dev"],
            env={**environment, "CHESTGAN_PORT": str(port)},
            cwd=ROOT,
            stdout=out,
            stderr=out,
            text=True,
        )
    running = Dev(process, f"http://127.0.0.1:{port}", log)
    try:
        _await(running)
    except BaseException:
        process.terminate()
        raise
    return running


def _await(running: Dev) -> None:
    deadline = time.monotonic() + 120
    while "Ctrl-C ends all of it" not in running.log.read_text():
        assert running.process.poll() is None, running.log.read_text()[-3000:]
        assert time.monotonic() < deadline, running.log.read_text()[-3000:]
        time.sleep(0.5)
    while (loaded := running.location()) == "LOADING":
        time.sleep(0.2)
    assert loaded == "RepositoryLocation", loaded


def stop_dev(dev: Dev) -> int:
    """Ctrl-C; returns the exit status."""
    dev.process.send_signal(signal.SIGINT)
    return dev.process.wait(timeout=60)


@pytest.fixture(scope="module")
def dev(pipeline_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """`make dev` for the tests of one module."""
    running = start_dev(pipeline_environment, tmp_path_factory.mktemp("dev") / "log")
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stop_dev(running)
