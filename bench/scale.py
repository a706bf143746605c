"""What a patient costs beside its own work: `python -m bench.scale [--patients 300] [--batch 1 20 50]`.

In: small generated patients, and what runs on one machine: webserver, daemon, code server and store of `make dev`.
Out: a table on standard output: wall and processor seconds per patient of a backfill, and beside the bare functions on
the same patients. Processor seconds are those of all processes of `make dev` but the store, whose work is the same in
both. The bare functions run in one process before each backfill and after it, with a store of their own.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.ratio import Ratio
from chestgan_core.local.log_lines import configure_logging
from tests.pipeline.dev_server import Dev, start_dev, stop_dev
from tests.pipeline.small_patients import fresh_environment, write_small_patients

PATIENTS, SMALL = 300, 40
SLICES, SIDE = 8, 48


@dataclass(frozen=True)
class Measured:
    """Seconds per patient of a backfill, and of the bare functions; runs: that the backfill took."""

    wall: float
    cpu: float
    bare_wall: float
    bare_cpu: float
    runs: int

    def row(self, batch: int | None) -> str:
        """A row of the table."""
        beside = f"{self.cpu - self.bare_cpu:.2f} | {self.wall - self.bare_wall:.2f}"
        return f"| {batch or 'usual'} | {self.runs} | {self.wall:.2f} | {self.cpu:.2f} | {beside} |"


def main() -> int:
    """Measure and print."""
    configure_logging()
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--batch", type=int, nargs="*", help="patients per run, one backfill each")
    args = parser.parse_args()
    print(
        f"| {args.patients} patients: per run | runs | wall s | processor s | beside the bare: processor s | wall s |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    for batch in args.batch or [None]:
        print(measured(args.patients, batch).row(batch), flush=True)
    return 0


def measure() -> list[Ratio]:
    """For `make bench`: some patients, processor seconds of each beside the bare functions."""
    found = measured(SMALL, None)
    return [
        Ratio(
            name="a patient of a backfill beside its own work / 1 s",
            ours=found.cpu - found.bare_cpu,
            theirs=1.0,
            unit="processor s",
            target=1.0,
            note=f"{SMALL} small patients in {found.runs} runs; the bare functions take {found.bare_cpu:.2f} s",
            at_most=True,
        )
    ]


def measured(patients: int, batch: int | None) -> Measured:
    """A backfill of so many patients. batch: patients per run; None: the usual number."""
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        folder = Path(scratch)
        environment = {
            **fresh_environment(),
            **write_small_patients(folder, patients, SIDE, SLICES),
            "CHESTGAN_HOME": str(folder / "home"),
        }
        if batch:
            environment["CHESTGAN_BATCH"] = str(batch)
        before = _bare(folder / "before", environment)
        wall, cpu, runs = _backfill(folder, environment, patients)
        after = _bare(folder / "after", environment)
        bare_wall, bare_cpu = ((a + b) / 2 / patients for a, b in zip(before, after, strict=True))
        return Measured(wall / patients, cpu / patients, bare_wall, bare_cpu, runs)


def _backfill(folder: Path, environment: dict[str, str], patients: int) -> tuple[float, float, int]:
    """Wall seconds, processor seconds, runs."""
    dev = start_dev(environment, folder / "log")
    try:
        assert dev.finish(dev.launch("series_catalog_job", "small")) == "SUCCESS"
        keys = dev.await_patients("small", patients)
        time.sleep(15)  # until the sensors have nothing to do any more
        cpu, started = _cpu_seconds(dev), time.monotonic()
        backfill = dev.backfill(keys, "raw_dicom", "slice_tensors")
        status = dev.finish_backfill(backfill, 60 * patients)
        wall, spent = time.monotonic() - started, _cpu_seconds(dev) - cpu
        made = dev.partitions("slice_tensors")["materialized"]
        assert (status, len(made)) == ("COMPLETED_SUCCESS", patients), (status, len(made))
        return wall, spent, len(dev.runs({"dagster/backfill": backfill}))
    finally:
        stop_dev(dev)


def _cpu_seconds(dev: Dev) -> float:
    """Of all processes of `make dev`, those that have ended included, but for the store."""
    total = 0.0
    for process in [
        psutil.Process(dev.process.pid),
        *psutil.Process(dev.process.pid).children(recursive=True),
    ]:
        try:
            if process.name() != "weed":
                used = process.cpu_times()
                total += used.user + used.system + used.children_user + used.children_system
        except psutil.NoSuchProcess:
            continue
    return total


BARE = """
import os, sys, time
from pathlib import Path
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.embedded import EmbeddedStore
home = Path(sys.argv[1])
with EmbeddedStore(home) as embedded:
    store = embedded.store()
    catalog, _ = catalog_series(store, "small", home)
    wall, cpu = time.monotonic(), time.process_time()
    for patient in catalog.patients:
        archive_patient(store, "small", patient, home)
        normalize_patient(store, "small", patient, home)
    print(time.monotonic() - wall, time.process_time() - cpu)
"""


def _bare(home: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of the functions that a patient's run calls, for all patients."""
    home.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", BARE, str(home)],
        env={**environment, "CHESTGAN_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    wall, cpu = map(float, ran.stdout.split())
    return wall, cpu


if __name__ == "__main__":
    sys.exit(main())
