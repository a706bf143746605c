"""`make dev`: embedded store, webserver and daemon together, until Ctrl-C.

In: $CHESTGAN_PORT (3000). Out: addresses on standard error; the logs of the servers in the local folder. Everything
listens on 127.0.0.1, and the state survives a restart.
"""

import contextlib
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

from chestgan_assets.local.environment import ROOT, local_environment
from chestgan_assets.local.orphaned_runs import end_orphans, only_dev
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.environment import number_from_environment
from chestgan_core.local.home import home
from chestgan_core.store.store import Store

PORT = os.environ.get("CHESTGAN_PORT", "3000")
ADDRESS = f"http://127.0.0.1:{PORT}"
GROUPS = ("acquisition", "slices", "training", "evaluation", "publication")
PATIENCE = 20.0  # seconds that a server gets to end by itself

STORE_EVERY = 15.0  # seconds between two looks at the store

Server = subprocess.Popen[bytes]


def main() -> int:
    """Run until a signal or until a server ends by itself; returns the exit status."""
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        _require_port()
        with (
            local_environment() as environment,
            only_dev(Path(environment["DAGSTER_HOME"])) as lock,
            _without_orphans(environment),
            _servers(environment, lock) as servers,
        ):
            os.environ.update(environment)
            store, told, looked = Store.open(), False, time.monotonic()
            while not stopped:
                if time.monotonic() - looked > STORE_EVERY:
                    # It may have been started by another command, and have ended with it.
                    store.check()
                    looked = time.monotonic()
                for name, server in servers.items():
                    if server.poll() is not None:
                        print(f"dev: the {name} has ended; read {_log(name)}", file=sys.stderr)
                        return 1
                if not told and _answers() and servers["webserver"].poll() is None:
                    told = True
                    _tell(environment)
                time.sleep(0.3)
            print("ending; runs that are going on are stopped", file=sys.stderr, flush=True)
    except BadInput as error:
        print(f"dev: {error}", file=sys.stderr)
        return 2
    except ChestganError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _without_orphans(environment: dict[str, str]) -> Iterator[None]:
    # In a home that somebody else made, other machines may execute runs.
    if not os.environ.get("DAGSTER_HOME"):
        folder = environment["DAGSTER_HOME"]
        with dg.DagsterInstance.from_config(folder) as instance:
            if ended := end_orphans(instance, Path(folder)):
                print(
                    f"{ended} runs of a process that was killed are failed now", file=sys.stderr, flush=True
                )
    yield


def _require_port() -> None:
    """Before anything is started: a second daemon on the same home would take the first one's runs."""
    number_from_environment("CHESTGAN_PORT", 1, 65535)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(PORT)))
        except OSError as error:
            raise BadInput(
                f"port {PORT}", "is in use", f"try CHESTGAN_PORT={int(PORT) + 1} make dev"
            ) from error


def _tell(environment: dict[str, str]) -> None:
    opened = ",".join(f"global@global:{group}" for group in GROUPS)
    print(
        f"\nDagster UI   {ADDRESS}\n"
        f"lineage      {ADDRESS}/asset-groups?expanded={opened}\n"
        f"runs         {ADDRESS}/runs\n"
        f"store        {environment['CHESTGAN_STORE']} at {environment.get('AWS_ENDPOINT_URL', 'AWS')}\n"
        f"state, logs  {home()}\n"
        "Ctrl-C ends all of it.\n",
        file=sys.stderr,
        flush=True,
    )


@contextlib.contextmanager
def _servers(environment: dict[str, str], lock: int) -> Iterator[dict[str, Server]]:
    """Webserver and daemon, each with its own code server, ended with the block. lock: of only_dev, for them too."""
    workspace = ["--workspace", str(ROOT / "workspace.yaml")]
    commands = {
        "webserver": ["dagster-webserver", "--host", "127.0.0.1", "--port", PORT, *workspace],
        "daemon": ["dagster-daemon", "run", *workspace],
    }
    running: dict[str, Server] = {}
    try:
        for name, (program, *arguments) in commands.items():
            with _log(name).open("ab") as log:
                running[name] = subprocess.Popen(
                    [str(Path(sys.executable).with_name(program)), *arguments],
                    # Not in the repository: Dagster would warn that it does not use the dagster.yaml there.
                    cwd=environment["DAGSTER_HOME"],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C reaches this process alone, which ends the rest in order
                )
        yield running
    finally:
        for server in running.values():
            _signal(server, signal.SIGTERM)
        for server in running.values():
            _end_group(server)


def _log(name: str) -> Path:
    return home() / f"{name}.log"


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{ADDRESS}/server_info", timeout=2):  # noqa: S310 a fixed http address
            return True
    except OSError:
        return False


def _end_group(server: Server) -> None:
    """Nothing that was started may stay: code servers and run workers belong to the group of their server."""
    deadline = time.monotonic() + PATIENCE
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
