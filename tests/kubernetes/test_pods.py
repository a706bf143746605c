"""The pipeline in pods: the whole chain, and what goes wrong in a cluster.

Run pods start the steps' pods; steps work on the store and the database. In one file, as all of it shares one
deployment and one GPU.
"""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.embedded import BUCKET
from chestgan_core.objects import ObjectStore
from chestgan_core.publishing.fetching import fetch_set
from chestgan_core.publishing.reading import open_set
from chestgan_core.store import Store
from tests.kubernetes.cluster import Deployment, await_true

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]
PATIENTS = 6


@pytest.fixture(scope="module")
def split(deployment: Deployment) -> str:
    """A training set that pods made: catalog, a backfill of all patients, split. Gives the run of the last."""
    web = deployment.web
    deployment.succeed(web.launch("catalog", "phantom"))
    patients = web.await_patients("phantom", PATIENTS)
    backfill = web.backfill(patients, "raw_dicom", "slice_tensors")
    assert web.finish_backfill(backfill, 500) == "COMPLETED_SUCCESS"
    run = web.launch("split", "phantom")
    deployment.succeed(run)
    return run


def test_a_backfill_of_patients_in_pods_makes_one_training_set(deployment: Deployment, split: str) -> None:
    told = deployment.told(split, "training_set")
    assert told["training patients"] + told["held-out patients"] == PATIENTS


def test_a_set_is_trained_on_the_gpu_scored_and_published(
    deployment: Deployment, split: str, cluster_store: Store, tmp_path: Path
) -> None:
    run = deployment.web.launch("synthetic_set", "tiny")
    deployment.succeed(run)
    fetch_set(cluster_store, "tiny", None, tmp_path / "set")
    assert len(open_set(tmp_path / "set")) == 12

    # The step's log is in S3, and not only in a pod that goes.
    assert "Exception" not in deployment.words(run)
    logs = [
        item.key
        for item in ObjectStore(cluster_store.client, BUCKET, "cluster-logs").list()
        if run in item.key
    ]
    assert len(logs) >= 4

    (training,) = deployment.namespace.steps(run, "generator_checkpoint")
    (index,) = deployment.namespace.steps(run, "synthetic_set_index")
    assert limits(training)["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits(index)


def test_a_training_goes_on_in_another_pod_until_a_cancel_ends_it(
    deployment: Deployment, split: str, cluster_store: Store
) -> None:
    run = deployment.materialize("generator_checkpoint", "endless")
    first = await_true(lambda: pod_of(deployment, run, 1), 100, lambda: deployment.words(run))
    await_true(lambda: states(cluster_store, "endless"), 200, lambda: deployment.words(run))
    assert seen_inside(deployment, first) == "device GPU-0, user 10001, no token"
    # More than its scratch may hold: the node throws it out, without a word to the process.
    fill = "head -c 200M /dev/zero > /scratch/full"
    deployment.namespace.kubectl("exec", name_of(first), "--", "sh", "-c", fill)
    told = deployment.await_words(run, "Evicted")
    assert "raise scratch or memory of the step's profile" in told
    second = await_true(lambda: pod_of(deployment, run, 2), 200, lambda: deployment.words(run))
    resumed = await_true(lambda: went_on_at(deployment, second), 200, lambda: deployment.words(run))
    # Its node is emptied: the process is told to end, and has its grace.
    deployment.namespace.kubectl("delete", "pod", name_of(second), "--wait=false")
    third = await_true(lambda: pod_of(deployment, run, 3), 200, lambda: deployment.words(run))
    assert await_true(lambda: went_on_at(deployment, third), 200, lambda: deployment.words(run)) > resumed > 0
    deployment.end(run)
    assert deployment.web.finish(run) == "CANCELED"
    await_true(lambda: not alive(deployment, run), 90, lambda: alive(deployment, run))


def test_too_little_memory_is_told_and_a_cancel_ends_the_pods(deployment: Deployment, split: str) -> None:
    run = deployment.materialize("generator_checkpoint", "hungry")
    told = deployment.await_words(run, "OOMKilled")
    assert "more than its 154Mi of memory" in told
    assert "raise memory of the step's profile" in told
    deployment.await_words(run, "ExecutionStepUpForRetryEvent")
    deployment.end(run)
    assert deployment.web.finish(run) == "CANCELED"
    await_true(lambda: not alive(deployment, run), 90)


def test_two_steps_on_one_gpu_wait_for_each_other_also_where_the_pool_lets_both_start(
    deployment: Deployment, split: str
) -> None:
    deployment.web.ask('mutation { setConcurrencyLimit(concurrencyKey: "gpu", limit: 2) }')
    runs = [deployment.materialize("generator_checkpoint", name) for name in ("one", "other")]
    for run in runs:
        deployment.succeed(run)
    # A step tells its result before its container has ended.
    await_true(lambda: not any(alive(deployment, run) for run in runs), 60)
    (first, second) = sorted(times(deployment.namespace.steps(run)[0]) for run in runs)
    assert first[1] <= second[0]
    assert any("Insufficient nvidia.com/gpu" in deployment.words(run) for run in runs)


def test_an_image_that_is_not_there_fails_the_step_with_its_name(deployment: Deployment) -> None:
    image = {"container_config": {"image": "nowhere.test/chestgan:1"}}
    run = deployment.web.launch(
        "catalog", "phantom", {"execution": {"config": {"per_step_k8s_config": {"series_catalog": image}}}}
    )
    told = deployment.await_words(run, "ExecutionStepUpForRetryEvent")
    assert "nowhere.test/chestgan:1" in told
    assert "check the name of the image" in told
    deployment.end(run)
    assert deployment.web.finish(run) == "CANCELED"


def name_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def limits(pod: dict[str, Any]) -> dict[str, str]:
    return dict(pod["spec"]["containers"][0]["resources"]["limits"])


def states(store: Store, experiment: str) -> list[str]:
    """The training states of an experiment in the store."""
    return [item.key for item in store.list(f"experiments/{experiment}/") if "state" in item.key]


def seen_inside(deployment: Deployment, pod: dict[str, Any]) -> str:
    """What a step's process finds around itself."""
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    look = (
        f'echo "device $NVIDIA_VISIBLE_DEVICES, user $(id -u), $(test -e {token} && echo a || echo no) token"'
    )
    return deployment.namespace.kubectl("exec", name_of(pod), "--", "sh", "-c", look).strip()


def pod_of(deployment: Deployment, run: str, attempt: int) -> dict[str, Any] | None:
    """The pod of an attempt of the step generator_checkpoint, once it runs."""
    for pod in deployment.namespace.steps(run):
        # dagster-step-<hash>, and from the second attempt on dagster-step-<hash>-1, ...
        job = pod["metadata"]["labels"]["job-name"].split("-")[2:]
        if len(job) == (2 if attempt > 1 else 1) and (attempt == 1 or job[1] == str(attempt - 1)):
            return pod if pod["status"]["phase"] == "Running" else None
    return None


def went_on_at(deployment: Deployment, pod: dict[str, Any]) -> int:
    """The images that a training had seen when this pod took it up, 0 as long as it has not."""
    said = re.search(
        r"going on at ([\d,]+) images", deployment.namespace.kubectl("logs", name_of(pod), check=False)
    )
    return int(said[1].replace(",", "")) if said else 0


def alive(deployment: Deployment, run: str) -> list[str]:
    pods = deployment.namespace.pods(f"dagster/run-id={run}")
    return [json.dumps(pod["status"]) for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]


def times(pod: dict[str, Any]) -> tuple[datetime, datetime]:
    """When the container of a pod started and ended."""
    (told,) = pod["status"]["containerStatuses"]
    ended = told["state"]["terminated"]
    return datetime.fromisoformat(ended["startedAt"]), datetime.fromisoformat(ended["finishedAt"])
