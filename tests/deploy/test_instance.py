"""deploy/dagster.yaml with a real PostgreSQL and S3 server: a run, its history, its logs, the ticks of the daemon."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from dagster._core.definitions.selector import InstigatorSelector
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus

from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.objects import ObjectStore
from tests.standins.postgresql import history_in, postgresql

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
def deployment(
    embedded: EmbeddedStore, one_patient: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    home = tmp_path_factory.mktemp("deployment")
    shutil.copyfile(ROOT / "deploy" / "dagster.yaml", home / "dagster.yaml")
    with postgresql() as address, pytest.MonkeyPatch.context() as patch:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("CHESTGAN_", "DAGSTER_", "AWS_"))}
        environment = {
            **kept,
            **embedded.environment,
            "CHESTGAN_STORE": f"s3://{BUCKET}/deployment",
            "CHESTGAN_HOME": str(home / "local"),
            "CHESTGAN_FOLDER": str(one_patient),
            "CHESTGAN_LOG": "json",
            **history_in(address),
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


@contextmanager
def daemon(deployment: Deployment, log: Path) -> Iterator[None]:
    with log.open("w") as out:
        command = [
            BIN / "dagster-daemon",
            "run",
            "--workspace",
            ROOT / "workspace.yaml",
            "--log-format",
            "json",
        ]
        home = deployment.environment["DAGSTER_HOME"]
        process = subprocess.Popen(command, cwd=home, env=deployment.environment, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def connections(deployment: Deployment) -> Iterator[list[int]]:
    """How many connections Dagster's processes have, looked at all the time. The last is after the block."""
    connection = psycopg2.connect(deployment.database)
    connection.autocommit = True
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chestgan'")
            seen.extend(count for (count,) in cursor.fetchall())

    def watch() -> None:
        while not over.wait(0.2):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        look()
        connection.close()


def old_tick(instance: dg.DagsterInstance) -> int:
    """A tick of 40 days ago of the sensor that registers patients."""
    sensor = InstigatorSelector(
        location_name="chestgan", repository_name="__repository__", name="patient_partitions_sensor"
    )
    tick = TickData(
        instigator_origin_id="of another place",
        instigator_name=sensor.name,
        instigator_type=InstigatorType.SENSOR,
        status=TickStatus.SUCCESS,
        timestamp=time.time() - 40 * 24 * 3600,
        selector_id=sensor.get_id(),
        run_ids=["of 40 days ago"],
    )
    return instance.create_tick(tick).tick_id


def log_of_the_step(deployment: Deployment, run: str) -> list[str]:
    (log,) = [item for item in deployment.logs.list(f"storage/{run}/") if item.key.endswith(".err")]
    return deployment.logs.get_bytes(log.key, "").decode().splitlines()


@pytest.mark.slow
def test_history_is_in_postgresql_and_the_log_of_a_step_in_s3_line_by_line(
    deployment: Deployment, tmp_path: Path
) -> None:
    with deployment.instance() as instance:
        old = old_tick(instance)
        with connections(deployment) as seen:
            job = ["job", "execute", "-m", "chestgan_assets.definitions", "-j", "series_catalog_job"]
            ran = subprocess.run(
                [BIN / "dagster", *job, "--tags", json.dumps({"dagster/partition": "folder"})],
                env=deployment.environment,
                cwd=deployment.environment["DAGSTER_HOME"],
                capture_output=True,
                text=True,
            )
            assert ran.returncode == 0, ran.stderr
            with daemon(deployment, tmp_path / "daemon.log"):
                deadline = time.monotonic() + 150
                while not instance.get_dynamic_partitions("patient"):
                    assert time.monotonic() < deadline, (tmp_path / "daemon.log").read_text()
                    time.sleep(0.3)

        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.SUCCESS
        made = instance.get_latest_materialization_event(dg.AssetKey("series_catalog"))
        assert made is not None
        assert made.run_id == run.run_id

        # Each line of the step's log is an object that says where it comes from.
        lines = [json.loads(line) for line in log_of_the_step(deployment, run.run_id)]
        where = {(line["run"], line["step"], line["partition"]) for line in lines}
        assert where == {(run.run_id, "series_catalog", "folder")}
        assert all(datetime.fromisoformat(line["time"]) and line["level"] for line in lines)
        assert any(line["message"].startswith("series_catalog folder") for line in lines)  # our own messages
        events = [line.get("event") for line in lines]  # each of Dagster's own once
        assert events.count("STEP_START") == events.count("STEP_SUCCESS") == 1

        # The daemon's sensor ticked: patients and the pool of downloads are there, an old tick is gone.
        pools = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
        assert pools["download"] == 2
        ticks = deployment.rows("SELECT id FROM job_ticks")
        assert ticks
        assert (old,) not in ticks
        for line in (tmp_path / "daemon.log").read_text().splitlines():
            assert isinstance(json.loads(line), dict)

    assert 0 < max(seen) <= 20
    assert seen[-1] == 0


@pytest.mark.slow
def test_old_events_go_and_what_was_made_stays(deployment: Deployment) -> None:
    """Of the run of the test before."""
    script = (ROOT / "deploy" / "trim-event-log.sql").read_text()
    types = "SELECT dagster_event_type, count(*) FROM event_logs GROUP BY 1"
    before = dict(deployment.rows(types))
    assert {"ENGINE_EVENT", "LOGS_CAPTURED", "ASSET_MATERIALIZATION"} < before.keys()
    deployment.rows(script)
    assert dict(deployment.rows(types)) == before
    deployment.rows("UPDATE event_logs SET timestamp = timestamp - INTERVAL '91 days'")
    deployment.rows(script)
    after = dict(deployment.rows(types))
    assert not {"ENGINE_EVENT", "LOGS_CAPTURED"} & after.keys()
    with deployment.instance() as instance:
        (run,) = instance.get_runs()
        assert instance.get_latest_materialization_event(dg.AssetKey("series_catalog")) is not None
        assert instance.get_run_stats(run.run_id).steps_succeeded == 1
        assert instance.get_materialized_partitions(dg.AssetKey("series_catalog")) == {"folder"}


def test_the_connections_of_a_webserver_are_those_that_it_may_have(deployment: Deployment) -> None:
    with deployment.instance() as instance, connections(deployment) as seen:
        # What `dagster-webserver --db-pool-max-overflow 2` does.
        instance.optimize_for_webserver(statement_timeout=5_000, pool_recycle=3_600, max_overflow=2)
        over = time.monotonic() + 2

        def ask() -> None:
            while time.monotonic() < over:
                instance.get_runs_count()
                instance.all_asset_keys()
                instance.all_instigator_state()

        with ThreadPoolExecutor(16) as pool:
            for asked in [pool.submit(ask) for _ in range(16)]:
                asked.result()
    assert 3 < max(seen) <= 3 * (1 + 2)


def test_no_other_driver_of_postgresql_is_used(deployment: Deployment) -> None:
    with deployment.instance() as instance:
        address = instance.event_log_storage.postgres_url  # type: ignore[attr-defined]  # of PostgreSQL only
    assert address.startswith("postgresql+psycopg2://")


def test_the_rule_of_the_documentation_is_one_that_a_server_takes(embedded: EmbeddedStore) -> None:
    page = (ROOT / "docs" / "observe.md").read_text()
    rule = next(
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.S) if "Rules" in block
    )
    client = s3_client(embedded.access)
    client.create_bucket(Bucket="rules")
    client.put_bucket_lifecycle_configuration(Bucket="rules", LifecycleConfiguration=rule)
    kept = client.get_bucket_lifecycle_configuration(Bucket="rules")["Rules"]
    assert {one["ID"]: one["Status"] for one in kept} == {"logs": "Enabled", "parts": "Enabled"}
