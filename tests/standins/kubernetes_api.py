"""A stand-in for the Kubernetes API server: Jobs become processes of this machine.

It answers what the executor asks for: create a Job, read its status, list the pods of a Job, read the run's own pod.
A step named in `killed` never runs; its pod was killed for its memory.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml


class Jobs:
    """Jobs by name, as they were created, and their processes."""

    def __init__(self, folder: Path, environment: dict[str, str], killed: frozenset[str]) -> None:
        self.created: dict[str, dict[str, Any]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.folder, self.environment, self.killed = folder, environment, killed

    def of_step(self, step: str) -> dict[str, Any]:
        """The Job of a step."""
        (job,) = (job for job in self.created.values() if step_of(job) == step)
        return job

    def create(self, job: dict[str, Any]) -> None:
        name = job["metadata"]["name"]
        self.created[name] = job
        if step_of(job) in self.killed:
            return
        (container,) = job["spec"]["template"]["spec"]["containers"]
        variables = {
            one["name"]: one["value"]
            for one in container["env"]
            if one["name"].startswith(("DAGSTER_", "CHESTGAN_STEP_"))
        }
        variables.pop("DAGSTER_HOME", None)
        variables["CHESTGAN_HOME"] = str(self.folder / "homes" / name)  # a new pod has an empty one
        self.processes[name] = subprocess.Popen(
            container["args"], cwd=self.folder, env={**self.environment, **variables}
        )

    def status(self, name: str) -> dict[str, Any]:
        process = self.processes.get(name)
        if process is None:
            return {"failed": 1}
        code = process.poll()
        return {"active": 1} if code is None else {"succeeded": 1} if code == 0 else {"failed": 1}

    def pod(self, name: str) -> dict[str, Any]:
        """The pod of a Job."""
        limits = self.created[name]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        state = {
            "name": "dagster",
            "image": "i",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": ended,
        }
        return {
            "metadata": {"name": f"{name}-pod"},
            "spec": {"containers": [{"name": "dagster", "resources": {"limits": limits}}]},
            "status": {"containerStatuses": [state]} if name not in self.processes else {},
        }


def step_of(job: dict[str, Any]) -> str:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return next(str(one["value"]) for one in container["env"] if one["name"] == "DAGSTER_RUN_STEP_KEY")


@contextmanager
def kubernetes_api(folder: Path, environment: dict[str, str], *killed: str) -> Iterator[tuple[Jobs, Path]]:
    """Gives the Jobs and a kubeconfig. folder, environment: of the processes that stand for pods."""
    jobs = Jobs(folder, environment, frozenset(killed))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            jobs.create(job)
            self.answer(job)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            parts = url.path.split("/")
            if "jobs" in parts:
                name = parts[parts.index("jobs") + 1]
                self.answer({**jobs.created[name], "status": jobs.status(name)})
            elif parts[-1] == "pods":
                name = parse_qs(url.query)["labelSelector"][0].partition("=")[2]
                self.answer({"kind": "PodList", "items": [jobs.pod(name)]})
            else:
                self.answer({"metadata": {"name": parts[-1], "uid": "0-1"}, "spec": {"containers": []}})

        def answer(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test's output is enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "here"}}],
                "clusters": [
                    {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}
                ],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    try:
        yield jobs, kubeconfig
    finally:
        server.shutdown()
        server.server_close()
        for process in jobs.processes.values():
            process.kill()
            process.wait(timeout=30)
