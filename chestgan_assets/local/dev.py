"""`make dev`: embedded store, webserver, daemon and portal together, until Ctrl-C.

Input: $CHESTGAN_PORT (3000), $CHESTGAN_PORTAL_PORT (8080). Output: addresses on standard output; the logs of the
servers in the local folder. Everything listens on 127.0.0.1 and refuses other web pages and, on Linux, other accounts.
The state survives a restart, and nothing that was started survives this process: after kill -9 the servers and their
runs end within seconds.
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
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

import dagster as dg

from chestgan_assets.automation.webserver import VARIABLE as UI_ADDRESS
from chestgan_assets.local import portal, supervisor
from chestgan_assets.local.installation import (
    ROOT,
    Installation,
    local_installation,
    private_temporary_folder,
)
from chestgan_assets.local.orphaned_runs import dev_lock, fail_orphaned_runs
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.environment import whole_number_from_environment
from chestgan_core.local.home import home
from chestgan_core.local.log_lines import configure_logging
from chestgan_core.local.webhook import ADDRESS as WEBHOOK
from chestgan_core.tuning.tuned import fetch_tuned

PORT = os.environ.get("CHESTGAN_PORT", "3000")
ADDRESS = f"http://127.0.0.1:{PORT}"
GROUPS = ("acquisition", "slices", "training", "evaluation", "publication")
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
        _require_ports()
        with (
            local_installation() as installed,
            dev_lock(installed.dagster_home) as lock,
            _without_orphans(installed),
            _with_tuned_experiments(installed),
            _servers(installed, lock, webhook := portal.webhook_variables()) as servers,
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
                if not announced and _answers() and all(server.poll() is None for server in servers.values()):
                    announced = True
                    print(_addresses(installed, webhook), flush=True)
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


@contextlib.contextmanager
def _with_tuned_experiments(installed: Installation) -> Iterator[None]:
    # The servers ask no store when they load.
    try:
        fetch_tuned(installed.store)
    except ChestganError as error:
        _log.warning("tuned experiments are those of this home: %s", error)
    yield


def _require_ports() -> None:
    """Before anything starts: a second daemon on the same home would execute the first one's runs."""
    ports = {"CHESTGAN_PORT": PORT, portal.VARIABLE: portal.PORT}
    for variable in ports:
        whole_number_from_environment(variable, 1, 65535)
    if int(PORT) == int(portal.PORT):
        raise BadInput(portal.VARIABLE, "is the port of the UI, too", "choose two different ports")
    for variable, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", int(port)))
            except OSError as error:
                raise BadInput(
                    f"port {port}", "is in use", f"try {variable}={int(port) + 1} make dev"
                ) from error


def _addresses(installed: Installation, webhook: Mapping[str, str]) -> str:
    opened = ",".join(f"global@global:{group}" for group in GROUPS)
    environment = installed.environment
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL", "AWS")
    return (
        f"\nDagster UI   {ADDRESS}\n"
        f"lineage      {ADDRESS}/asset-groups?expanded={opened}\n"
        f"runs         {ADDRESS}/runs\n"
        f"portal       {portal.ADDRESS}{_first_steps(webhook)}\n"
        f"store        {installed.store.uri()} at {endpoint}\n"
        f"state, logs  {home()}\n"
        "Ctrl-C ends all of it.\n"
    )


def _first_steps(webhook: Mapping[str, str]) -> str:
    elsewhere = (
        "" if webhook else f"\n             messages of the pipeline go to ${WEBHOOK}, not to the portal"
    )
    return f"; its first administrator: {' '.join(portal.COMMAND)} --add-administrator NAME{elsewhere}"


@contextlib.contextmanager
def _servers(installed: Installation, lock: int, webhook: Mapping[str, str]) -> Iterator[dict[str, Server]]:
    """Webserver and daemon, each with its own code server, and the portal, until the block ends. They hold the lock of
    dev_lock too.

    Each is run by a supervisor (supervisor.py), and ends when the pipe to it closes: at the end of the block, or when
    this process is killed.
    """
    workspace = ["--workspace", str(ROOT / "workspace.yaml")]
    daemon = str(Path(sys.executable).with_name("dagster-daemon"))
    commands = {
        "webserver": [
            *(sys.executable, "-m", "chestgan_assets.web.server", "--host", "127.0.0.1", "--port", PORT),
            *workspace,
        ],
        "daemon": [daemon, "run", *workspace],
        "portal": portal.COMMAND,
    }
    running: dict[str, Server] = {}
    with private_temporary_folder(installed.dagster_home) as temporary, contextlib.ExitStack() as lifelines:
        environment = {
            **installed.environment,
            **webhook,
            UI_ADDRESS: os.environ.get(UI_ADDRESS) or ADDRESS,
            "TMPDIR": str(temporary),
            "CHESTGAN_UI_OWN_ACCOUNT": os.environ.get("CHESTGAN_UI_OWN_ACCOUNT") or "yes",
        }
        own = {"portal": portal.portal_variables(ADDRESS)}
        try:
            for name, command in commands.items():
                read_end, write_end = os.pipe()
                lifelines.callback(os.close, write_end)
                with _log_file(name).open("ab") as log:
                    running[name] = subprocess.Popen(
                        [sys.executable, "-IS", supervisor.__file__, str(read_end), *command],
                        # Not in the repository: Dagster would warn that it does not use the dagster.yaml there.
                        cwd=installed.dagster_home,
                        env={**environment, **own.get(name, {})},
                        stdout=log,
                        stderr=log,
                        pass_fds=(lock, read_end),
                        start_new_session=True,  # Ctrl-C reaches this process alone, which ends the others in order
                    )
                os.close(read_end)
            yield running
        finally:
            lifelines.close()
            for server in running.values():
                server.wait()


def _log_file(name: str) -> Path:
    return home() / f"{name}.log"


def _answers() -> bool:
    """Whether UI and portal do."""
    try:
        for page in (f"{ADDRESS}/server_info", f"{portal.ADDRESS}/health"):
            with urllib.request.urlopen(page, timeout=2):  # noqa: S310 a fixed http address
                pass
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
