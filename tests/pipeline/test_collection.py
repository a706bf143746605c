"""A collection behind stand-in servers that fail on and off, as an operator loads it: catalog, sensor, backfill.

The power is cut in the middle of the backfill; with the next start it ends complete.
"""

import hashlib
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from chestgan_core.config.dataset import dataset_named
from chestgan_core.slices.newest_slices import newest_slices
from chestgan_core.sources.archive.raw_archive import fetch_archive
from chestgan_core.store.embedded import EmbeddedStore
from tests.pipeline.dev_server import Dev, cut_power, start_dev, stop_dev
from tests.standins import Fault, Faults, StandInCollection, idc_stand_in, nbia_stand_in
from tests.standins.idc import publish

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Enough that some are complete, two in work and some not begun when the power goes.
PATIENTS, BATCH = 8, 4


@dataclass
class Place:
    """A home, two collections and their servers."""

    environment: dict[str, str]
    log: Path
    commons: StandInCollection
    tcia: StandInCollection
    gone: str  # patient of tcia whose series the server does not have any more


@pytest.fixture(scope="module")
def place(
    pipeline_environment: dict[str, str], embedded: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("collection")
    commons = StandInCollection(folder / "commons", patients=PATIENTS)
    tcia = StandInCollection(folder / "tcia", patients=2, seed=1)
    gone = tcia.chest_series()[1]
    datasets = folder / "datasets"
    with ExitStack() as stack:
        faulty = Faults.for_each(series.uid for series in commons.chest_series())
        server = stack.enter_context(idc_stand_in(commons, embedded, faults=faulty))
        commons.write_idc_dataset(datasets, "commons", server.url)
        faulty = Faults(always={gone.uid: Fault.GONE})
        server = stack.enter_context(nbia_stand_in(tcia, faults=faulty))
        tcia.write_nbia_dataset(datasets, "tcia", server.url)
        environment = {
            **pipeline_environment,
            "CHESTGAN_HOME": str(folder / "home"),
            "CHESTGAN_DATASETS": str(datasets),
            "CHESTGAN_BATCH": str(BATCH),
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CHESTGAN_DATASETS", str(datasets))
            yield Place(environment, folder / "log", commons, tcia, gone.patient)


@pytest.fixture(scope="module")
def loaded(place: Place) -> Iterator[Dev]:
    """After: catalog, registered patients, a backfill of all, power cut in the middle, start, end of the backfill."""
    dev = start_dev(place.environment, place.log)
    try:
        assert dev.finish(dev.launch("series_catalog_job", "commons")) == "SUCCESS"
        dev.await_patients("commons", PATIENTS)
        config = {"ops": {"start_backfill": {"config": {"dataset": "commons"}}}}
        assert dev.finish(dev.launch("backfill_patients_job", config=config)) == "SUCCESS"
        deadline = time.monotonic() + 500
        # In the middle: some patients are complete, and at least one is being worked on.
        while len(dev.partitions("slice_tensors")["materialized"]) < 2 or not dev.runs({}, "STARTED"):
            assert time.monotonic() < deadline, place.log.read_text()[-2000:]
            time.sleep(0.3)
        cut_power(dev)
        dev = start_dev(place.environment, place.log)
        assert dev.finish_backfill(dev.newest_backfill(), 700) == "COMPLETED_SUCCESS"
        yield dev
    finally:
        if dev.process.poll() is None:
            stop_dev(dev)


def test_a_backfill_ends_complete_in_spite_of_faults_and_a_power_cut(loaded: Dev, place: Place) -> None:
    assert "of a killed process were marked as failed" in place.log.read_text()
    for asset in ("raw_dicom", "slice_tensors"):
        assert sum(key.startswith("commons:") for key in loaded.partitions(asset)["materialized"]) == PATIENTS
        assert not loaded.partitions(asset)["failed"]


def test_a_power_cut_repeats_no_more_than_the_patients_in_hand(loaded: Dev) -> None:
    made = loaded.made("slice_tensors")
    again = [key for key in set(made) if made.count(key) > 1]
    assert len(made) == PATIENTS + len(again)
    assert len(again) <= 2  # runs at a time
    # Two runs for eight patients, and one more for each that was ended.
    assert len(loaded.runs({"dagster/backfill": loaded.newest_backfill()})) <= 4


def test_nothing_is_lost_and_nothing_half_written_is_readable(
    loaded: Dev, place: Place, tmp_path: Path
) -> None:
    with EmbeddedStore(Path(place.environment["CHESTGAN_HOME"])) as running:
        store = running.store()
        for series in place.commons.chest_series():
            fetched = fetch_archive(store, "commons", series.patient, tmp_path / series.patient)
            (archive,) = fetched.zips
            with zipfile.ZipFile(archive) as entries:
                names = [name for name in entries.namelist() if name.endswith(".dcm")]
                archived = {digest(entries.read(name)) for name in names}
            assert archived == {digest(path.read_bytes()) for path in series.files}
        found, missing = newest_slices(store, dataset_named("commons"))
    assert len(found) == PATIENTS
    assert not missing
    assert not list(Path(place.environment["CHESTGAN_HOME"]).glob("spool/**/*.dcm"))


def test_a_series_that_is_gone_fails_its_own_patient_and_is_named(loaded: Dev, place: Place) -> None:
    assert loaded.finish(loaded.launch("series_catalog_job", "tcia")) == "SUCCESS"
    keys = loaded.await_patients("tcia", 2)
    backfill = loaded.backfill(keys, "raw_dicom", "slice_tensors")
    assert loaded.finish_backfill(backfill) == "COMPLETED_FAILED"
    states = loaded.partitions("raw_dicom")
    failed = [key for key in states["failed"] if key.startswith("tcia:")]
    assert failed == [f"tcia:{place.gone}"]
    assert {key for key in keys if key in states["materialized"]} == set(keys) - set(failed)
    (run,) = loaded.runs({"dagster/backfill": backfill}, "FAILURE")  # of both patients
    (series,) = [series for series in place.tcia.chest_series() if series.patient == place.gone]
    assert series.uid in loaded.failure(run)
    assert loaded.failure(run).startswith("1 of 2 patients failed: ")
    # The daily check finds it.
    assert loaded.finish(loaded.launch("health_checks_job")) == "SUCCESS"
    check = loaded.check("collections", "no_failed_partitions")
    assert not check["success"]
    assert f"tcia:{place.gone}" in str(check["metadataEntries"])


def test_a_revised_series_is_fetched_again_and_its_slices_follow(
    loaded: Dev, place: Place, embedded: EmbeddedStore
) -> None:
    before = loaded.materialization("slice_tensors")
    loaded.turn_on("new_series_sensor")
    # The sensor remembers the present catalog at its first tick.
    deadline = time.monotonic() + 120
    while not loaded.ticks("new_series_sensor"):
        assert time.monotonic() < deadline
        time.sleep(1)
    chosen = place.commons.revise(place.commons.chest_series()[4])
    publish(place.commons, embedded)
    place.commons.write_index(Path(place.environment["CHESTGAN_DATASETS"]) / "commons.parquet")
    assert loaded.finish(loaded.launch("series_catalog_job", "commons")) == "SUCCESS"
    run = loaded.await_run({"dagster/sensor_name": "new_series_sensor"}, 240)
    assert loaded.finish(run) == "SUCCESS"
    assert loaded.run_tags(run)["dagster/partition"] == f"commons:{chosen.patient}"
    assert loaded.materialization("slice_tensors") != before


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
