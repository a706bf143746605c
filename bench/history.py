"""Dagster's history after so many patients were made: `python -m bench.history [PATIENTS] [--postgresql]`.

In: a real run of twenty small patients in a fresh home, whose rows are copied under other names until the history is
that of so many patients, on SQLite or on a PostgreSQL server that is started for it. Out: a table on standard output:
bytes of the history, and seconds of what people and sensors ask it for. The copies differ in run and partition alone,
so the sizes are those of real events.
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
import yaml

from bench.partitions import QUERIES, rss_of, timed
from chestgan_assets.assets.patient_results import PATIENT_ASSETS
from chestgan_assets.execution.partition_runs import failed_partitions
from chestgan_assets.execution.usage import month_sums
from chestgan_core.local.log_lines import configure_logging
from tests.pipeline.dev_server import ROOT, Dev, start_dev, stop_dev
from tests.pipeline.listed import write_dataset, write_index
from tests.pipeline.small_patients import fresh_environment, write_small_patients
from tests.standins.postgresql import history_in, postgresql

PATIENTS, REAL = 40_000, 20
PAGE = """{ assetNodes(assetKeys: [{path: ["slice_tensors"]}]) { assetMaterializations(limit: 50) {
    partition metadataEntries { label } } } }"""


def main() -> int:
    """Fill and measure."""
    configure_logging()
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("patients", type=int, nargs="?", default=PATIENTS)
    parser.add_argument("--postgresql", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        environment = _environment(folder, args.patients)
        if args.postgresql:
            environment |= _on_postgresql(folder, stack.enter_context(postgresql()))
        os.environ.update({name: environment[name] for name in environment if name.startswith("CHESTGAN")})
        home = Path(environment.get("DAGSTER_HOME", folder / "home" / "dagster"))
        run = _real_run(environment, folder / "log", args.patients)
        kind = "PostgreSQL" if args.postgresql else "SQLite"
        print(f"| {args.patients:,} patients on {kind} | seconds |\n|---|---|", flush=True)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            timed("copying the rows", lambda: _copy(instance, run, args.patients))
            print(f"| GB of the history | {_bytes(instance, home) / 1e9:.2f} |", flush=True)
            timed("daily check: failed patients", lambda: _failed(instance))
            timed(
                "month: sums of usage",
                lambda: month_sums(instance, f"{time.gmtime().tm_year}-{time.gmtime().tm_mon:02}"),
            )
        dev = start_dev(environment, folder / "log")
        try:
            _measure(dev)
        finally:
            stop_dev(dev)
    return 0


def _environment(folder: Path, patients: int) -> dict[str, str]:
    write_index(folder / "index.csv", {f"P-{number:06d}": "first" for number in range(patients)})
    write_dataset(folder / "datasets", folder / "index.csv")
    return {
        **fresh_environment(),
        **write_small_patients(folder, REAL, size=128, slices=16),
        "CHESTGAN_HOME": str(folder / "home"),
        "CHESTGAN_BATCH": str(REAL),
    }


def _on_postgresql(folder: Path, address: str) -> dict[str, str]:
    """A home of Dagster whose history is in a database, else as on a laptop."""
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    settings["storage"] = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())["storage"]
    (folder / "dagster").mkdir()
    (folder / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return {"DAGSTER_HOME": str(folder / "dagster"), **history_in(address)}


def _real_run(environment: dict[str, str], log: Path, patients: int) -> str:
    """The run of the real patients; all of both datasets are registered."""
    dev = start_dev(environment, log)
    try:
        assert dev.finish(dev.launch("series_catalog_job", "small")) == "SUCCESS"
        keys = dev.await_patients("small", REAL)
        backfill = dev.backfill(keys, "raw_dicom", "slice_tensors")
        assert dev.finish_backfill(backfill) == "COMPLETED_SUCCESS"
        assert dev.finish(dev.launch("series_catalog_job", "listed")) == "SUCCESS"
        timed("until the sensor has registered all", lambda: dev.await_patients("listed", patients, 1200))
        (run,) = dev.runs({"dagster/backfill": backfill})
        return run
    finally:
        stop_dev(dev)


def _copy(instance: dg.DagsterInstance, run: str, patients: int) -> None:
    """The rows of the run again and again, under other names."""
    from dagster._core.storage.event_log.schema import (
        AssetCheckExecutionsTable,
        AssetEventTagsTable,
        SqlEventLogStorageTable,
    )
    from dagster._core.storage.runs.schema import RunsTable, RunTagsTable

    events, runs = instance.event_log_storage, instance.run_storage
    partitions = instance.get_dynamic_partitions("patient")
    real = [key for key in partitions if key.startswith("small:")]
    listed = [key for key in partitions if key.startswith("listed:")]
    with events.index_connection() as connection:  # type: ignore[attr-defined]
        of_events = _rows(connection, SqlEventLogStorageTable, run)
        of_checks = _rows(connection, AssetCheckExecutionsTable, run)
        last = connection.execute(db.select(db.func.max(SqlEventLogStorageTable.c.id))).scalar()
        numbers = {row["id"] for row in of_events}
        of_tags = [
            dict(row._mapping)
            for row in connection.execute(db.select(AssetEventTagsTable))
            if row._mapping["event_id"] in numbers
        ]
    with runs.connect() as connection:  # type: ignore[attr-defined]
        of_run, of_run_tags = (_rows(connection, table, run) for table in (RunsTable, RunTagsTable))
    for start in range(0, patients, REAL):
        names = {run: str(uuid.uuid4()), **dict(zip(real, listed[start : start + REAL], strict=False))}
        offset = (start // REAL + 1) * (max(numbers) - min(numbers) + 1) + last - max(numbers)
        with events.index_connection() as connection:  # type: ignore[attr-defined]
            for table, rows in (
                (SqlEventLogStorageTable, of_events),
                (AssetEventTagsTable, of_tags),
                (AssetCheckExecutionsTable, of_checks),
            ):
                connection.execute(table.insert(), [_renamed(row, names, offset) for row in rows])
        with runs.connect() as connection:  # type: ignore[attr-defined]
            for table, rows in ((RunsTable, of_run), (RunTagsTable, of_run_tags)):
                connection.execute(table.insert(), [_renamed(row, names, offset) for row in rows])
    with events.index_connection() as connection:  # type: ignore[attr-defined]
        # PostgreSQL counts by itself, and did not see the numbers of the copies.
        if connection.dialect.name == "postgresql":
            name = SqlEventLogStorageTable.name
            connection.execute(
                db.text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), MAX(id)) FROM {name}")
            )


def _rows(connection: Any, table: Any, run: str) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(db.select(table).where(table.c.run_id == run))]


def _renamed(row: dict[str, Any], names: dict[str, str], offset: int) -> dict[str, Any]:
    """A row without its own number, with other names, and with the number of its event moved."""
    found = {}
    for column, value in row.items():
        if column == "id":
            if "event" in row and "asset_key" in row:  # other rows refer to the number of an event
                found[column] = value + offset
            continue
        if (
            column in ("event_id", "evaluation_event_storage_id", "materialization_event_storage_id")
            and value
        ):
            found[column] = value + offset
        elif isinstance(value, str):
            for before, after in names.items():
                if before in value:
                    value = value.replace(before, after)
            found[column] = value
        else:
            found[column] = value
    return found


def _bytes(instance: dg.DagsterInstance, home: Path) -> int:
    """Of the index of events, or of the database."""
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        if connection.dialect.name == "postgresql":
            return int(connection.execute(db.text("SELECT pg_database_size(current_database())")).scalar())
    return sum(path.stat().st_size for path in home.rglob("*.db*"))


def _failed(instance: dg.DagsterInstance) -> None:
    assert not failed_partitions(instance, "patient", PATIENT_ASSETS)


def _measure(dev: Dev) -> None:
    for name, query in {**QUERIES, "UI: events of an asset": PAGE}.items():
        timed(f"{name}, first", lambda query=query: dev.ask(query))  # type: ignore[misc]
        timed(f"{name}, again", lambda query=query: dev.ask(query))  # type: ignore[misc]
    time.sleep(60)
    for sensor in ("patient_partitions_sensor", "slice_tensors_automation_sensor"):
        for tick in dev.ticks(sensor)[:1]:
            print(f"| a tick of {sensor} | {tick['endTimestamp'] - tick['timestamp']:.1f} |", flush=True)
    timed("the daily checks, as a run", lambda: dev.finish(dev.launch("health_checks_job")))
    print(f"| all processes together, GiB | {rss_of(dev) / 2**30:.2f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
