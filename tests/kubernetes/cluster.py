"""A namespace of the cluster that $KUBECONFIG names, and chestgan deployed in it as people have it.

In: $CHESTGAN_CLUSTER_ADDRESS, an address of this machine that pods reach; $CHESTGAN_CLUSTER_IMAGE, an image of
chestgan, or of an empty root with $CHESTGAN_CLUSTER_MOUNTS=host: then interpreter, environment and code of this machine
are mounted into it. Out: a pod with user code, webserver and daemon; what it asks for runs in pods of its own.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.pipeline.dev_server import Web

ROOT = Path(__file__).parent.parent.parent
MANIFESTS = ROOT / "deploy" / "kubernetes"
ADDRESS = os.environ.get("CHESTGAN_CLUSTER_ADDRESS", "")
IMAGE = os.environ.get("CHESTGAN_CLUSTER_IMAGE", "")
HOST_MOUNTS = os.environ.get("CHESTGAN_CLUSTER_MOUNTS") == "host"
HOME = "/opt/dagster"
SETTINGS = "/opt/settings"


class Namespace:
    """kubectl in one namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kubectl(self, *told: str, stdin: str | None = None, check: bool = True) -> str:
        ran = subprocess.run(
            ["kubectl", "-n", self.name, *told], input=stdin, capture_output=True, text=True, timeout=120
        )
        assert not check or ran.returncode == 0, f"kubectl {' '.join(told[:3])}: {ran.stderr}"
        return ran.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        """Oldest first."""
        told = json.loads(self.kubectl("get", "pods", "-o", "json", *(["-l", selector] if selector else [])))
        return sorted(told["items"], key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def steps(self, run: str, step: str = "") -> list[dict[str, Any]]:
        """The pods of a run's steps, oldest first. step: of one."""
        selector = f"dagster/run-id={run},app.kubernetes.io/component=step_worker"
        return self.pods(selector + (f",dagster/op={step}" if step else ""))


@contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    """A namespace with our accounts and rights, for the length of the block."""
    found = Namespace(name)
    subprocess.run(["kubectl", "create", "namespace", name], check=True, capture_output=True)
    try:
        for file in ("accounts.yaml", "rbac.yaml"):
            found.kubectl("apply", "-f", str(MANIFESTS / file))
        yield found
    finally:
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], capture_output=True)


# Folders of this machine that pods read as well, where they can.
SHARED: list[Path] = []


def mounts() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes and mounts of the machine's own software, where the image has none, and of SHARED."""
    if not HOST_MOUNTS:
        return [], []
    paths = dict.fromkeys(["/usr", "/etc", sys.base_prefix, sys.prefix, str(ROOT), *map(str, SHARED)])
    # A folder inside of another one is there already.
    roots = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
    return (
        [{"name": f"host-{at}", "hostPath": {"path": path}} for at, path in enumerate(roots)],
        [{"name": f"host-{at}", "mountPath": path, "readOnly": True} for at, path in enumerate(roots)],
    )


def path_variable() -> dict[str, str]:
    """What a container needs to find mounted software."""
    if not HOST_MOUNTS:
        return {}
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }


@dataclass(frozen=True)
class Deployment:
    """A deployed chestgan: its namespace and, as people see it, its webserver.

    environment: of its processes, and what a secret adds to it. database: address of the history.
    """

    namespace: Namespace
    web: Web
    environment: dict[str, str]
    secret: dict[str, str]
    database: str

    def materialize(self, asset: str, partition: str) -> str:
        """Materialize one partition of one asset, as the button of the UI does it; returns the id of the run."""
        return self.web.launch("__ASSET_JOB", partition, asset=asset)

    def end(self, run: str) -> None:
        """Terminate a run, as the button of the UI does it."""
        told = self.web.ask("mutation($id: String!) { terminateRun(runId: $id) { __typename } }", id=run)[
            "terminateRun"
        ]
        assert told["__typename"] == "TerminateRunSuccess", told

    def events(self, run: str) -> list[dict[str, Any]]:
        """The events of a run, oldest first, with type, step and words."""
        told = self.web.ask(
            """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
                 __typename ... on MessageEvent { message stepKey eventType }
                 ... on EngineEvent { error { message } }
                 ... on ExecutionStepFailureEvent { error { message } }
                 ... on ExecutionStepUpForRetryEvent { error { message } }
                 ... on MaterializationEvent { assetKey { path } partition
                   metadataEntries { label ... on IntMetadataEntry { intValue }
                                     ... on TextMetadataEntry { text } } } } } } }""",
            id=run,
        )
        return list(told["logsForRun"]["events"])

    def words(self, run: str) -> str:
        """All that the events of a run say."""
        return "\n".join(
            f"{event['__typename']} {event.get('stepKey') or ''}: {event.get('message')} "
            f"{(event.get('error') or {}).get('message', '')}"
            for event in self.events(run)
        )

    def await_words(self, run: str, words: str, seconds: float = 200) -> str:
        """Wait until the events of a run say it; returns all that they say."""

        def heard() -> str:
            said = self.words(run)
            return said if words in said else ""

        return str(await_true(heard, seconds, lambda: self.words(run)[-6000:]))

    def succeed(self, run: str, seconds: float = 280) -> None:
        """Wait for a run that must succeed."""
        status = self.web.finish(run, seconds)
        assert status == "SUCCESS", f"{status}\n{self.words(run)[-6000:]}"

    def told(self, run: str, asset: str) -> dict[str, Any]:
        """The numbers and texts of what a run materialized of an asset."""
        for event in self.events(run):
            if event["__typename"] == "MaterializationEvent" and event["assetKey"]["path"] == [asset]:
                return {
                    entry["label"]: entry.get("intValue", entry.get("text"))
                    for entry in event["metadataEntries"]
                }
        raise AssertionError(f"{asset} was not materialized\n{self.words(run)[-6000:]}")


def await_true(
    ask: Callable[[], Any], seconds: float, tell: Callable[[], object] = lambda: "", every: float = 1.0
) -> Any:
    """What ask says, once it says something. tell: what a failure shows."""
    deadline = time.monotonic() + seconds
    while not (told := ask()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s\n{tell()}"
        time.sleep(every)
    return told
