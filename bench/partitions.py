"""Dagster with 40,000 patients: `python -m bench.partitions [PATIENTS]`.

In: a collection that is only listed, in a fresh home with the real store, webserver and daemon. Out: a table on
standard output: seconds of the catalog, the sensor's ticks, a backfill of all patients, and what the UI asks for. No
image is fetched: the backfill is cancelled when its first runs are queued.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.pipeline.dev_server import Dev, start_dev, stop_dev
from tests.pipeline.listed import write_dataset, write_index

PATIENTS = 40_000
QUERIES = {
    "UI: partitions of an asset": """{ assetNodes(assetKeys: [{path: ["raw_dicom"]}]) { partitionKeys } }""",
    "UI: state of all partitions": """{ assetNodes(assetKeys: [{path: ["slice_tensors"]}]) { assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions failedPartitions unmaterializedPartitions } } } }""",
    "UI: counts in the lineage": """{ assetNodes { assetKey { path } partitionStats {
        numMaterialized numFailed numPartitions numMaterializing } } }""",
    "UI: list of backfills": """{ partitionBackfillsOrError(limit: 10) { ... on PartitionBackfills { results {
        id status numPartitions } } } }""",
    "UI: page of runs": """{ runsOrError(limit: 25) { ... on Runs { results { id status tags { key value } } } } }""",
}


def main() -> int:
    """Measure and print."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else PATIENTS
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        folder = Path(scratch)
        write_index(folder / "index.csv", {f"P-{number:06d}": "first" for number in range(patients)})
        write_dataset(folder / "datasets", folder / "index.csv")
        environment = {
            **os.environ,
            "CHESTGAN_HOME": str(folder / "home"),
            "CHESTGAN_DATASETS": str(folder / "datasets"),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        environment.pop("DAGSTER_HOME", None)
        environment.pop("CHESTGAN_STORE", None)
        dev = start_dev(environment, folder / "log")
        try:
            _measure(dev, patients)
        finally:
            stop_dev(dev)
    return 0


def _measure(dev: Dev, patients: int) -> None:
    print(f"| {patients:,} patients | seconds |\n|---|---|", flush=True)
    timed("catalog, as a run", lambda: dev.finish(dev.launch("series_catalog_job", "listed")))
    timed("until the sensor has registered all", lambda: dev.await_patients("listed", patients, 1200))
    time.sleep(20)  # the tick that finds nothing to do any more
    for tick in reversed(dev.ticks("patient_partitions_sensor")):
        if "registered" in (tick["skipReason"] or ""):
            print(
                f"| a tick that registers 5,000 | {tick['endTimestamp'] - tick['timestamp']:.1f} |",
                flush=True,
            )
    last = dev.ticks("patient_partitions_sensor")[0]
    print(f"| a tick with nothing to do | {last['endTimestamp'] - last['timestamp']:.1f} |", flush=True)
    for name, query in QUERIES.items():
        timed(name, lambda query=query: dev.ask(query))  # type: ignore[misc]
    keys = dev.patients()
    backfill = str(
        timed("request a backfill of all", lambda: dev.backfill(keys, "raw_dicom", "slice_tensors"))
    )
    timed("until its first run is queued", lambda: dev.await_run({"dagster/backfill": backfill}, 1200))
    timed("UI: page of the backfill", lambda: dev.backfill_status(backfill))
    for name, query in QUERIES.items():
        timed(f"{name}, during the backfill", lambda query=query: dev.ask(query))  # type: ignore[misc]
    dev.ask("mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }", id=backfill)
    for tick in dev.ticks("slice_tensors_automation_sensor")[:1]:
        print(
            f"| a tick of slice_tensors_automation_sensor | {tick['endTimestamp'] - tick['timestamp']:.1f} |"
        )
    print(f"| all processes together, GiB | {rss_of(dev) / 2**30:.2f} |", flush=True)


def rss_of(dev: Dev) -> int:
    """Resident bytes of all processes of `make dev`."""
    return sum(_rss(child) for child in psutil.Process(dev.process.pid).children(recursive=True))


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def timed(name: str, work: Callable[[], Any]) -> Any:
    """Do it, and print a row with its seconds; returns what it returned."""
    started = time.monotonic()
    result = work()
    print(f"| {name} | {time.monotonic() - started:.1f} |", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
