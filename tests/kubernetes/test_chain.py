"""The whole chain in pods: the daemon asks, run pods start steps, steps work on the store and the database."""

from pathlib import Path

import pytest

from chestgan_core.publishing.fetching import fetch_set
from chestgan_core.store import Store
from tests.kubernetes.cluster import Deployment

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]
PATIENTS = 6


def test_from_the_catalog_to_a_published_set(
    deployment: Deployment, cluster_store: Store, tmp_path: Path
) -> None:
    web = deployment.web
    deployment.succeed(web.launch("catalog", "phantom"))
    patients = web.await_patients("phantom", PATIENTS)[:PATIENTS]
    backfill = web.backfill(patients, "raw_dicom", "slice_tensors")
    assert web.finish_backfill(backfill, 400) == "COMPLETED_SUCCESS"
    deployment.succeed(web.launch("split", "phantom"))
    run = web.launch("synthetic_set", "tiny")
    deployment.succeed(run)

    fetch_set(cluster_store, "tiny", None, tmp_path / "set")
    assert len(list((tmp_path / "set").rglob("*.png"))) >= 12
    training, catalog = (
        deployment.namespace.steps(run, "generator_checkpoint")[0],
        deployment.namespace.steps(run)[-1],
    )
    container = training["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in catalog["spec"]["containers"][0]["resources"]["limits"]
