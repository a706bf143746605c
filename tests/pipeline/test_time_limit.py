"""A batch of patients that outlives `dagster/max_runtime`: what is made stays, the daemon's retry makes the rest."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.pipeline.dev_server import ROOT, Dev, start_dev, stop_dev
from tests.standins import Fault, Faults, StandInCollection, nbia_stand_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENTS = 6
# Seconds of a run: more than its first patients take on a busy machine, less than a download waits for a silent server.
LIMIT = 25


@pytest.fixture
def dev(pipeline_environment: dict[str, str], tmp_path: Path) -> Iterator[Dev]:
    """`make dev` with a collection whose server is silent once, in the middle of the patients."""
    collection = StandInCollection(tmp_path / "collection", patients=PATIENTS)
    silent = collection.chest_series()[PATIENTS // 2]
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    settings["run_monitoring"]["poll_interval_seconds"] = 5  # 120 by default
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with ExitStack() as stack:
        faults = Faults(once={silent.uid: [Fault.STALLED]})
        server = stack.enter_context(nbia_stand_in(collection, faults=faults))
        collection.write_nbia_dataset(tmp_path / "datasets", "tcia", server.url)
        environment = {
            **pipeline_environment,
            "CHESTGAN_HOME": str(tmp_path / "home"),
            "DAGSTER_HOME": str(tmp_path / "dagster"),
            "CHESTGAN_DATASETS": str(tmp_path / "datasets"),
            "CHESTGAN_BATCH": str(PATIENTS),
        }
        running = start_dev(environment, tmp_path / "log")
        stack.callback(stop_dev, running)
        yield running


def test_a_batch_that_outlives_its_time_limit_keeps_what_is_made_and_its_retry_makes_the_rest(
    dev: Dev,
) -> None:
    assert dev.finish(dev.launch("series_catalog_job", "tcia")) == "SUCCESS"
    keys = dev.await_patients("tcia", PATIENTS)
    backfill = dev.backfill(keys, "raw_dicom", "slice_tensors", tags={"dagster/max_runtime": str(LIMIT)})
    assert dev.finish_backfill(backfill, 400) == "COMPLETED_SUCCESS"
    again, first = dev.runs({"dagster/backfill": backfill})
    assert (dev.status(first), dev.status(again)) == ("FAILURE", "SUCCESS")
    for asset in ("raw_dicom", "slice_tensors"):
        assert Counter(dev.made(asset)) == Counter(keys)
        assert set(dev.partitions(asset)["materialized"]) == set(keys)
