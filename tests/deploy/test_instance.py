"""deploy/dagster.yaml with a real PostgreSQL and a real S3 server: one run, its history, its logs, the daemon's ticks."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import psycopg2
import pytest
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus

from chestgan_core.embedded import BUCKET, EmbeddedStore
from chestgan_core.objects import ObjectStore, s3_client
from tests.standins.postgresql import postgresql

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent


@dataclass
class Deployment:
    """Environment of its processes, address of its database, bucket of its logs."""

    environment: dict[str, str]
    database: str
    logs: ObjectStore

    def rows(self, query: str) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(self.database)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(self.environment["DAGSTER_HOME"]) as instance:
            yield instance


@pytest.fixture(scope="module")
def deployment(embedded: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    home = tmp_path_factory.mktemp("deployment")
    shutil.copyfile(ROOT / "deploy" / "dagster.yaml", home / "dagster.yaml")
    with postgresql() as address, pytest.MonkeyPatch.context() as patch:
        told = urlsplit(address)
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("CHESTGAN_", "DAGSTER_", "AWS_"))}
        environment = {
            **kept,
            **embedded.environment,
            "CHESTGAN_STORE": f"s3://{BUCKET}/deployment",
            "CHESTGAN_HOME": str(home / "local"),
            "CHESTGAN_LOG": "json",
            "CHESTGAN_POSTGRES_HOST": str(told.hostname),
            "CHESTGAN_POSTGRES_PORT": str(told.port),
            "CHESTGAN_POSTGRES_USER": str(told.username),
            "CHESTGAN_POSTGRES_PASSWORD": str(told.password),
            "CHESTGAN_POSTGRES_DB": told.path[1:],
            "CHESTGAN_LOGS_BUCKET": BUCKET,
            "CHESTGAN_LOGS_PREFIX": "logs-of-steps",
            "DAGSTER_HOME": str(home),
            "OMP_NUM_THREADS": "1",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.delenv("CHESTGAN_LOG")  # of this process stay as they are
        logs = ObjectStore(s3_client(embedded.access), BUCKET, "logs-of-steps")
        yield Deployment(environment, address, logs)


@pytest.mark.slow
def test_a_run_leaves_history_in_postgresql_and_its_log_in_s3(deployment: Deployment) -> None:
    with deployment.instance() as instance:
        origin = _old_ticks(instance)
        ran = subprocess.run(
            [BIN / "dagster", "job", "execute", "-m", "chestgan_assets.definitions", "-j", "catalog",
             "--tags", json.dumps({"dagster/partition": "phantom"})],
            env=deployment.environment, cwd=deployment.environment["DAGSTER_HOME"], capture_output=True, text=True,
        )  # fmt: skip
        print(ran.stdout, ran.stderr)
        assert ran.returncode == 0
        print(origin)
        for item in deployment.logs.list():
            print(item)
            print(deployment.logs.get_bytes(item.key, "").decode())
        assert 0


def _old_ticks(instance: dg.DagsterInstance) -> str:
    return ""
