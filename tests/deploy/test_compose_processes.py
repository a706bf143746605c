"""The commands of compose.yaml as processes: code server, webservers, daemon, against a real PostgreSQL and a real S3
server, with the instance of deployments. What is left out are the containers around them.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest

from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from tests.deploy.files import DEPLOY, ROOT, compose
from tests.pipeline.conftest import write_small_phantoms
from tests.pipeline.dev_server import Web
from tests.standins.ports import free_port
from tests.standins.postgresql import history_in, postgresql, run_once

BIN = Path(sys.executable).parent
SERVERS = ("webserver", "webserver-read-only", "daemon")
SOCKETS = "/run/chestgan"

# Four servers of Dagster begin at once, each with some seconds of imports; beside other tests that is minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class Composed:
    """What compose.yaml starts. folder: homes and logs of the services; database: address of the history's."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, int]
    database: str

    def words(self, command: list[str]) -> list[str]:
        """A command of a service, with ports of this machine in place of those of the containers."""
        replaced = {
            "/etc/chestgan/workspace.yaml": str(self.folder / "workspace.yaml"),
            "0.0.0.0": "127.0.0.1",
        }
        program, *rest = [replaced.get(word, word).replace(SOCKETS, str(self.folder)) for word in command]
        return [str(BIN / program), *rest]

    def command(self, service: str) -> list[str]:
        words = self.words(compose()["services"][service]["command"])
        return [str(self.ports[service]) if word == "3000" else word for word in words]

    def environment_of(self, service: str) -> dict[str, str]:
        home = self.folder / service
        home.mkdir(exist_ok=True)
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(DEPLOY / "dagster.yaml", home / "dagster.yaml")
        places = {"HOME": home, "DAGSTER_HOME": home, "CHESTGAN_HOME": home / "local"}
        return {**self.environment, **{name: str(path) for name, path in places.items()}}

    def healthy(self, service: str) -> bool:
        """The service's own health check."""
        _, *command = compose()["services"][service]["healthcheck"]["test"]
        command = [word.replace(":3000/", f":{self.ports.get(service)}/") for word in self.words(command)]
        ran = subprocess.run(command, env=self.environment_of(service), cwd=self.folder, capture_output=True)
        return ran.returncode == 0

    def listens(self, service: str) -> bool:
        """Whether it takes connections; the daemon, which is started last, takes none."""
        if service == "daemon":
            return True
        if service == "code":
            return (self.folder / "code.sock").is_socket()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[service]), 5):
            return True
        return False

    def web(self, service: str) -> Web:
        """A webserver; its runs are in the log of the daemon."""
        return Web(f"http://127.0.0.1:{self.ports[service]}", self.folder / "daemon.log")

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()[-3000:]


@pytest.fixture(scope="module")
def composed(embedded: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("composed")
    with postgresql() as url, ExitStack() as stack:
        account = urlsplit(url)
        command = compose()["x-environment"]
        ours = ("CHESTGAN", "AWS", "DAGSTER")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            **{
                name: str(value)
                for name, value in command.items()
                if value is not None and "$" not in str(value)
            },
            **history_in(url),
            "CHESTGAN_STUDY_STORAGE": f"postgresql+psycopg2://{account.username}@{account.hostname}:{account.port}/studies",
            "PGPASSWORD": str(account.password),
            **embedded.environment,
            "CHESTGAN_LOGS_BUCKET": BUCKET,
            "CHESTGAN_LOGS_PREFIX": "composed/logs",
            "CHESTGAN_DATASETS": str(write_small_phantoms(folder / "datasets")),
            "PYTHONPATH": str(ROOT),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        run_once(url, (DEPLOY / "compose" / "studies.sql").read_text())
        composed = Composed(folder, environment, {name: free_port() for name in SERVERS}, url)
        workspace = (DEPLOY / "compose" / "workspace.yaml").read_text()
        (folder / "workspace.yaml").write_text(workspace.replace(SOCKETS, str(folder)))
        tables = subprocess.run(
            composed.command("tables"),
            env=composed.environment_of("tables"),
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert tables.returncode == 0, tables.stderr
        # In the order in which compose starts them: each when what it depends on is healthy.
        for wave in (("code",), ("webserver", "webserver-read-only", "daemon")):
            for service in wave:
                stack.enter_context(_server(composed, service))
            for service in wave:
                # A health check imports Dagster: the first when there is something to be healthy.
                await_true(lambda service=service: composed.listens(service), composed, service)
                await_true(lambda service=service: composed.healthy(service), composed, service)
        yield composed


def await_true(condition: Callable[[], bool], composed: Composed, service: str) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, composed.log(service)
        time.sleep(1)


@contextmanager
def _server(composed: Composed, service: str) -> Iterator[None]:
    with (composed.folder / f"{service}.log").open("wb") as log:
        process = psutil.Popen(
            composed.command(service),
            env=composed.environment_of(service),
            cwd=composed.folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=20)
        for one in alive:
            one.kill()
        psutil.wait_procs(alive, timeout=10)


def test_a_run_goes_from_the_webserver_over_queue_and_daemon_into_the_code_server(
    composed: Composed, embedded: EmbeddedStore
) -> None:
    run = composed.web("webserver").launch("series_catalog_job", "phantom")  # which needs no network
    assert composed.web("webserver-read-only").finish(run, 300) == "SUCCESS", composed.log("code")
    connection = psycopg2.connect(composed.database)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT status FROM runs WHERE run_id = %s", (run,))
            assert cursor.fetchall() == [("SUCCESS",)]
    finally:
        connection.close()
    listed = s3_client(embedded.access).list_objects_v2(Bucket=BUCKET, Prefix=f"composed/logs/storage/{run}")
    assert any(one["Key"].endswith(".err") for one in listed["Contents"])
    # One JSON object a line, from the process of the step.
    lines = (composed.folder / "code.log").read_text().splitlines()
    said = [json.loads(line) for line in lines if line.startswith("{") and run in line]
    assert {"phantom"} == {line["partition"] for line in said if "partition" in line}


def test_the_read_only_webserver_shows_everything_and_starts_nothing(composed: Composed) -> None:
    read_only = composed.web("webserver-read-only")
    assert read_only.try_to_launch("series_catalog_job", "phantom")["__typename"] == "UnauthorizedError"
    nodes = read_only.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
    assert ["generator_checkpoint"] in [node["assetKey"]["path"] for node in nodes]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(
            urllib.request.Request(
                f"{read_only.address}/report_asset_materialization/synthetic_set_index",
                data=b"{}",
                headers={"Content-Type": "application/json"},
            ),
            timeout=20,
        )


@pytest.mark.parametrize("service", ["webserver", "webserver-read-only"])
def test_no_page_of_another_site_reaches_a_webserver(composed: Composed, service: str) -> None:
    address = composed.web(service).address
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(
                urllib.request.Request(f"{address}/server_info", headers=headers), timeout=20
            )
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(f"{address}/graphql?query=%7Bversion%7D", timeout=20)


def test_studies_have_a_database_of_their_own(composed: Composed) -> None:
    """In that of the history Optuna finds the number of Dagster's last migration, and refuses."""
    opened = (
        "from pathlib import Path; from chestgan_core.tuning.storage import study_storage;"
        "study_storage(Path('.'))"
    )
    environment = composed.environment_of("code")

    def ran(storage: str) -> subprocess.CompletedProcess[str]:
        command = {**environment, "CHESTGAN_STUDY_STORAGE": storage}
        return subprocess.run([sys.executable, "-c", opened], env=command, capture_output=True, text=True)

    own = environment["CHESTGAN_STUDY_STORAGE"]
    assert ran(own).returncode == 0, ran(own).stderr
    shared = ran(own.rpartition("/")[0] + "/" + composed.database.rpartition("/")[2])
    assert shared.returncode != 0
