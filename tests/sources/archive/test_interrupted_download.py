"""Downloads that are killed, fail or are superseded by a revision: which files are kept, and which are never mixed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from chestgan_core.errors import SourceRefused
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series, read_catalog
from chestgan_core.sources.nbia.client import NbiaClient
from chestgan_core.sources.series_rows import delivery_name
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.standins import Fault, Faults, StandInCollection
from tests.standins.routes import Route, archived, files_of

Started: TypeAlias = Callable[[str, str], subprocess.Popen[bytes]]

ARCHIVE = """
import sys
from pathlib import Path
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.store.store import Store
archive_patient(Store.open(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
"""


@pytest.fixture
def in_a_process(embedded: EmbeddedStore, store: Store, home: Path) -> Iterator[Started]:
    """Starts archiving a patient in a process of its own."""
    running: list[subprocess.Popen[bytes]] = []

    def start(dataset: str, patient: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", ARCHIVE, store.uri(), dataset, patient, str(home)]
        running.append(subprocess.Popen(command, env={**os.environ, **embedded.environment}))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_a_delivery_that_lost_its_bytes_in_a_power_cut_is_fetched_again(
    collection: StandInCollection, store: Store, home: Path, tmp_path: Path, nbia: Route
) -> None:
    (series,) = collection.chest_series()
    with nbia.serve(collection) as server:
        nbia.write(collection, server)
        catalog_series(store, nbia.dataset, home)
        (row,) = read_catalog(store, nbia.dataset).of(series.patient)
        spool = home / "spool" / nbia.dataset / delivery_name(row)
        spool.mkdir(parents=True)
        (spool / "delivery.zip").write_bytes(bytes(1000))
        archive_patient(store, nbia.dataset, series.patient, home)
    assert archived(store, nbia.dataset, series.patient, tmp_path / "got") == files_of(series)


def test_a_killed_download_resumes_where_it_stopped(
    idc: Route,
    collection: StandInCollection,
    store: Store,
    home: Path,
    tmp_path: Path,
    in_a_process: Started,
) -> None:
    (series,) = collection.chest_series()
    # The last files never arrive, so the process is in the middle of the download when it is killed.
    faults = Faults(always={f"{series.uid} {key}": Fault.STALLED for key, _ in series.objects()[8:]})
    with idc.serve(collection, faults) as server:
        idc.write(collection, server)
        catalog_series(store, idc.dataset, home)
        process = in_a_process(idc.dataset, series.patient)
        spool = home / "spool" / idc.dataset
        deadline = time.monotonic() + 60
        while len(list(spool.glob("*/[!.]*.dcm"))) < 8:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = {path.name for path in spool.glob("*/[!.]*.dcm")}
        assert len(kept) == 8
        assert not list(store.list(f"raw/{idc.dataset}/"))
        server.log.clear()
        faults.heal()
        done = archive_patient(store, idc.dataset, series.patient, home)
        assert {
            request.path.rpartition("/")[2] for request in server.log if request.path.endswith(".dcm")
        } == {key.rpartition("/")[2] for key, _ in series.objects()[8:]}
    assert done.files == 12
    assert archived(store, idc.dataset, series.patient, tmp_path / "got") == files_of(series)
    assert list(spool.iterdir()) == []


def test_a_zip_that_was_complete_when_the_process_was_killed_is_not_fetched_again(
    embedded: EmbeddedStore, datasets: Path, collection: StandInCollection, store: Store, home: Path
) -> None:
    route = Route("nbia", embedded, datasets)
    (series,) = collection.chest_series()
    with route.serve(collection) as server:
        route.write(collection, server)
        catalog_series(store, route.dataset, home)
        archive_patient(store, route.dataset, series.patient, home)
        # The state between the download and the commit.
        (item,) = [item for item in store.list(f"raw/{route.dataset}/") if item.key.endswith(".zip")]
        delivery = home / "spool" / route.dataset / Path(item.key).stem
        delivery.mkdir()
        server.log.clear()
        NbiaClient(server.url).fetch(series.uid, delivery / "delivery.zip")
        for stored in list(store.list(f"raw/{route.dataset}/")):
            store.delete(stored.key)
        server.log.clear()
        assert archive_patient(store, route.dataset, series.patient, home).fetched_series == 1
        assert server.count("getImageWithMD5Hash") == 0


def test_files_of_an_older_revision_in_the_spool_are_not_mixed_in(
    idc: Route, collection: StandInCollection, store: Store, home: Path, tmp_path: Path
) -> None:
    (series,) = collection.chest_series()
    faults = Faults(always={f"{series.uid} {series.objects()[-1][0]}": Fault.GONE})
    with idc.serve(collection, faults) as server:
        idc.write(collection, server)
        catalog_series(store, idc.dataset, home)
        with pytest.raises(SourceRefused):
            archive_patient(store, idc.dataset, series.patient, home)
        assert list((home / "spool").rglob("*.dcm"))
        revised = collection.revise(series)
        idc.write(collection, server)
        catalog_series(store, idc.dataset, home)
        archive_patient(store, idc.dataset, series.patient, home)
    assert archived(store, idc.dataset, series.patient, tmp_path / "got") == files_of(revised)
    assert not list((home / "spool").rglob("*.dcm"))
