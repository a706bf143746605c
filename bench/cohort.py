"""What takes how long with 40,000 patients and 1,000 sets: `python -m bench.cohort [PATIENTS] [SETS] [--keep FOLDER]`.

In: a real embedded store, filled with the slices of so many patients (bench/cohort_store.py) and with so many runs,
reports and sets (bench/cohort_models.py); with --keep it is filled once and stays for the next time. Out: a table on
standard output: what people, sensors and steps wait for, each in a fresh process: wall and CPU seconds (its own and
those of the store's server), requests, and MiB of memory.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.cohort_slices import CohortSlices
from bench.cohort_store import SLICE_SIZE, fill_store
from chestgan_core.config.dataset import dataset_named
from chestgan_core.local.progress import Progress
from chestgan_core.sources.catalog.stored_catalog import catalog_series, newest_catalog_version, read_patients
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.pipeline.listed import write_dataset, write_index

PATIENTS, SETS, EACH = 40_000, 1_000, 30
DATASET = "listed"
_STATUS = Path("/proc/self/status")


# What is measured. Each gets the store and the local folder; modules are loaded before the clock runs.


def _catalog(store: Store, home: Path) -> Callable[[], object]:
    return lambda: catalog_series(store, DATASET, home)


def _read_catalog(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.sources.catalog.stored_catalog import read_catalog

    return lambda: read_catalog(store, DATASET)


def _read_patients(store: Store, home: Path) -> Callable[[], object]:
    return lambda: read_patients(store, DATASET, newest_catalog_version(store, DATASET))


def _newest(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.slices.newest_slices import newest_slices

    return lambda: newest_slices(store, dataset_named(DATASET))


def _state(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.slices.drift import present_state

    return lambda: present_state(store, dataset_named(DATASET))


def _build(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.slices.training_set import build_training_set

    return lambda: build_training_set(store, DATASET)


def _drift(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.slices.drift import drift_since
    from chestgan_core.slices.training_set import open_training_set

    return lambda: drift_since(store, open_training_set(store, DATASET))


def _forget(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.forgetting.walk import find_traces

    return lambda: find_traces(store, DATASET, _name(0), home)


def _month(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.evaluation.monthly.page import report_month

    folder = Path(tempfile.mkdtemp(dir=home))
    return lambda: report_month(store, f"{datetime.now(UTC):%Y-%m}", folder)


def _index(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.publishing.versions.index_rebuild import rebuild_index

    return lambda: rebuild_index(store)


def _sets(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.publishing.versions.listing import list_sets

    return lambda: list_sets(store)


def _leaderboard(store: Store, home: Path) -> Callable[[], object]:
    from chestgan_core.evaluation.leaderboard.board import read_leaderboard

    return lambda: read_leaderboard(store, ())


MEASURED: dict[str, tuple[str, Callable[[Store, Path], Callable[[], object]]]] = {
    "catalog": ("make and commit the catalog", _catalog),
    "read-catalog": ("read the catalog", _read_catalog),
    "read-patients": ("read its patients, as a sensor's tick does", _read_patients),
    "newest": ("which patients have current slices (missing_only), the first time", _newest),
    "newest-again": ("the same, with manifests kept on this machine", _newest),
    "state": ("the digest of all shards (retraining_sensor)", _state),
    "build": ("build the training set", _build),
    "drift": ("drift since that training set (retraining_sensor)", _drift),
    "forget": ("what came of a patient (forget, before it is confirmed)", _forget),
    "index": ("rebuild the index of sets", _index),
    "sets": ("list all sets", _sets),
    "month": ("report of the month", _month),
    "leaderboard": ("read the leaderboard", _leaderboard),
}


def _measure(name: str, environment: dict[str, str], home: Path, server: int, answer: Connection) -> None:
    """In a process of its own: sends wall and CPU seconds, requests and MiB."""
    os.environ |= environment
    store, requests = Store.open(), [0]

    def count(**_: Any) -> None:
        requests[0] += 1

    store.client.meta.events.register("before-send.s3", count)
    work = MEASURED[name][1](store, home)
    of_server = psutil.Process(server)
    begun, own, its = time.monotonic(), time.process_time(), sum(of_server.cpu_times()[:2])
    work()
    wall, cpu = time.monotonic() - begun, time.process_time() - own
    its = sum(of_server.cpu_times()[:2]) - its
    # As bench/peak.py says, getrusage would begin with the peak of the parent.
    peak = next(int(line.split()[1]) for line in _STATUS.read_text().splitlines() if "VmHWM" in line) // 1024
    answer.send((wall, cpu, its, requests[0], peak))


def main() -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(prog="bench.cohort")
    parser.add_argument("patients", nargs="?", type=int, default=PATIENTS)
    parser.add_argument("sets", nargs="?", type=int, default=SETS)
    parser.add_argument("--keep", type=Path, help="folder for the store, filled where it is not")
    parser.add_argument("--only", nargs="*", choices=MEASURED, default=list(MEASURED))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        folder: Path = (given.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        write_index(folder / "index.csv", {_name(number): "first" for number in range(given.patients)})
        write_dataset(folder / "datasets", folder / "index.csv", DATASET, SLICE_SIZE)
        home = folder / "home"
        os.environ |= {"CHESTGAN_HOME": str(home), "CHESTGAN_DATASETS": str(folder / "datasets")}
        with EmbeddedStore(home) as embedded:
            _fill(embedded, folder, given.patients, given.sets)
            print(
                f"| {given.patients:,} patients, {given.sets:,} sets | wall s | CPU s | of the store | requests | MiB |"
            )
            print("|---|---|---|---|---|---|", flush=True)
            for name in given.only:
                _row(name, embedded, home)
    return 0


def _row(name: str, embedded: EmbeddedStore, home: Path) -> None:
    if name == "newest":
        for kept in (home / "manifests").glob("*.gz"):
            kept.unlink()
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    environment = embedded.environment
    child = context.Process(target=_measure, args=(name, environment, home, embedded.pid, send))
    child.start()
    send.close()
    try:
        wall, cpu, its, requests, peak = receive.recv()
        numbers = f"{wall:.1f} | {cpu:.1f} | {its:.1f} | {requests:,} | {peak:,}"
    except EOFError:
        numbers = "failed | | | |"
    print(f"| {MEASURED[name][0]} | {numbers} |", flush=True)
    child.join()


def _fill(embedded: EmbeddedStore, folder: Path, patients: int, sets: int) -> None:
    """Write what is not there yet; a killed one goes on where it was."""
    from bench.cohort_models import fill_models

    store, done = embedded.store(), folder / "filled"
    begin = int(done.read_text()) if done.exists() else 0
    if begin < patients:
        _, stored = catalog_series(store, DATASET, folder / "home")
        assert embedded.access is not None
        with Progress("fill", patients, "patients") as progress:
            progress.step(begin)
            listed = read_patients(store, DATASET, stored.version)
            for count in fill_store(embedded.access, DATASET, listed, _hashes(folder, patients), begin):
                done.write_text(str(count))
                progress.step(count - progress.done)
    if not (folder / f"models-{sets}").exists():
        assert embedded.access is not None
        fill_models(embedded.access, sets)
        (folder / f"models-{sets}").touch()


def _hashes(folder: Path, patients: int) -> np.ndarray:
    """(patients, EACH, 32) uint8, of all processors; made once."""
    file = folder / "hashes.npy"
    if not file.exists():
        with multiprocessing.get_context("spawn").Pool() as pool:
            found = pool.imap(_hashes_of, range(patients), chunksize=100)
            np.save(file, np.array(list(found), np.uint8))
    hashes: np.ndarray = np.load(file)
    return hashes[:patients]


@cache
def _slices() -> CohortSlices:
    return CohortSlices(EACH)


def _hashes_of(patient: int) -> np.ndarray:
    return np.array([np.frombuffer(bytes.fromhex(one), np.uint8) for one in _slices().hashes(patient)])


def _name(number: int) -> str:
    return f"P-{number:06d}"


if __name__ == "__main__":
    sys.exit(main())
