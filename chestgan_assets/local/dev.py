"""`make dev`: embedded store, webserver and daemon together, until Ctrl-C.

Input: $CHESTGAN_PORT (3000). Output: addresses on standard output; the logs of the servers in the local folder.
Everything listens on 127.0.0.1, and the state survives a restart.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import dagster as dg

from chestgan_assets.local.installation import ROOT, Installation, local_installation
from chestgan_assets.local.orphaned_runs import dev_lock, fail_orphaned_runs
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.environment import number_from_environment
from chestgan_core.local.home import home
from chestgan_core.local.log_lines import configure_logging

PORT = os.environ.get("CHESTGAN_PORT", "3000")
ADDRESS = f"http://127.0.0.1:{PORT}"
GROUPS = ("acquisition", "slices", "training", "evaluation", "publication")
GRACE = 20.0  # seconds for a server to end by itself
STORE_CHECK_INTERVAL = 15.0  # seconds

Server = subprocess.Popen[bytes]


_log = logging.getLogger(__name__)


def main() -> int:
    """Run until a signal arrives or a server ends by itself; returns the exit status."""
    configure_logging()
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        _require_port()
        with (
            local_installation() as installed,
            dev_lock(installed.dagster_home) as lock,
            _without_orphans(installed),
            _servers(installed, lock) as servers,
        ):
            announced, checked = False, time.monotonic()
            while not stopped:
                if time.monotonic() - checked > STORE_CHECK_INTERVAL:
                    # Another command may have started it, and have ended it too.
                    installed.store.check()
                    checked = time.monotonic()
                for name, server in servers.items():
                    if server.poll() is not None:
                        _log.error("dev: the %s has ended; read %s", name, _log_file(name))
                        return 1
                if not announced and _answers() and servers["webserver"].poll() is None:
                    announced = True
                    print(_addresses(installed), flush=True)
                time.sleep(0.3)
            _log.info("shutting down; running steps are stopped")
    except BadInput as error:
        _log.error("dev: %s", error)
        return 2
    except ChestganError as error:
        _log.error("dev: %s", error)
        return 1
    return 0


@contextlib.contextmanager
def _without_orphans(installed: Installation) -> Iterator[None]:
    # In a home that somebody else set up, other machines may execute runs.
    if not os.environ.get("DAGSTER_HOME"):
        folder = installed.dagster_home
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            if failed := fail_orphaned_runs(instance, folder):
                _log.info("%d runs of a killed process were marked as failed", failed)
    yield


def _require_port() -> None:
    """Before anything starts: a second daemon on the same home would execute the first one's runs."""
    number_from_environment("CHESTGAN_PORT", 1, 65535)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(PORT)))
        except OSError as error:
            raise BadInput(
                f"port {PORT}", "is in use", f"try CHESTGAN_PORT={int(PORT) + 1} make dev"
            ) from error


def _addresses(installed: Installation) -> str:
    opened = ",".join(f"global@global:{group}" for group in GROUPS)
    environment = installed.environment
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL", "AWS")
    return (
        f"\nDagster UI   {ADDRESS}\n"
        f"lineage      {ADDRESS}/asset-groups?expanded={opened}\n"
        f"runs         {ADDRESS}/runs\n"
        f"store        {installed.store.uri()} at {endpoint}\n"
        f"state, logs  {home()}\n"
        "Ctrl-C ends all of it.\n"
    )


@contextlib.contextmanager
def _servers(installed: Installation, lock: int) -> Iterator[dict[str, Server]]:
    """Webserver and daemon, each with its own code server, until the block ends. They hold the lock of dev_lock too."""
    workspace = ["--workspace", str(ROOT / "workspace.yaml")]
    commands = {
        "webserver": ["dagster-webserver", "--host", "127.0.0.1", "--port", PORT, *workspace],
        "daemon": ["dagster-daemon", "run", *workspace],
    }
    running: dict[str, Server] = {}
    try:
        for name, (program, *arguments) in commands.items():
            with _log_file(name).open("ab") as log:
                running[name] = subprocess.Popen(
                    [str(Path(sys.executable).with_name(program)), *arguments],
                    # Not in the repository: Dagster would warn that it does not use the dagster.yaml there.
                    cwd=installed.dagster_home,
                    env=installed.environment,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C reaches this process alone, which ends the others in order
                )
        yield running
    finally:
        for server in running.values():
            _signal(server, signal.SIGTERM)
        for server in running.values():
            _end_group(server)


def _log_file(name: str) -> Path:
    return home() / f"{name}.log"


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{ADDRESS}/server_info", timeout=2):  # noqa: S310 a fixed http address
            return True
    except OSError:
        return False


def _end_group(server: Server) -> None:
    """End a server with its code servers and run workers, which belong to its process group."""
    deadline = time.monotonic() + GRACE
    while _group_lives(server):
        if time.monotonic() > deadline:
            _signal(server, signal.SIGKILL)
        time.sleep(0.1)


def _group_lives(server: Server) -> bool:
    server.poll()  # a zombie still counts as a member of its group
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal(server: Server, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    sys.exit(main())
