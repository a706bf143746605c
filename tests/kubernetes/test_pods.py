"""The pipeline in pods: the whole chain, and what goes wrong in a cluster.

Run pods start the steps' pods; steps work on the store and the database. In one file, as all of it shares one
deployment and one GPU.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

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

    (training,) = deployment.namespace.steps(run, "generator_checkpoint")
    (index,) = deployment.namespace.steps(run, "synthetic_set_index")
    assert limits(training)["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits(index)


def test_a_training_that_is_interrupted_twice_goes_on_where_it_was(
    deployment: Deployment, split: str, cluster_store: Store
) -> None:
    run = deployment.materialize("generator_checkpoint", "long")
    await_true(lambda: states(cluster_store, "long"), 200, lambda: deployment.words(run)[-3000:])
    (first,) = deployment.namespace.steps(run)
    assert seen_inside(deployment, first) == "device GPU-0, user 10001, no token"
    # More than its scratch may hold: the node throws it out, without a word to the process.
    deployment.namespace.kubectl(
        "exec", name_of(first), "--", "sh", "-c", "head -c 200M /dev/zero > /scratch/full"
    )
    told = deployment.await_words(run, "Evicted")
    assert "raise the requests of the step's profile" in told
    second = await_true(
        lambda: running(deployment, run, beside=first), 200, lambda: deployment.words(run)[-3000:]
    )
    # Its node is emptied: the process is told to end, and has its grace.
    deployment.namespace.kubectl("delete", "pod", name_of(second), "--wait=false")
    deployment.succeed(run)
    result = deployment.told(run, "generator_checkpoint")
    assert result["resumed at"] > 0
    assert result["images seen"] == 24_000


def test_too_little_memory_is_told_and_a_cancel_ends_the_pods(deployment: Deployment, split: str) -> None:
    run = deployment.materialize("generator_checkpoint", "hungry")
    told = deployment.await_words(run, "OOMKilled")
    assert "more than its 154Mi of memory" in told
    assert "raise memory of the step's profile" in told
    deployment.await_words(run, "ExecutionStepUpForRetryEvent")
    deployment.end(run)
    assert deployment.web.finish(run) == "CANCELED"
    await_true(lambda: not alive(deployment, run), 90)


def test_a_cancel_ends_a_step_that_works(deployment: Deployment, split: str, cluster_store: Store) -> None:
    run = deployment.materialize("generator_checkpoint", "endless")
    await_true(lambda: states(cluster_store, "endless"), 200, lambda: deployment.words(run)[-3000:])
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


def running(deployment: Deployment, run: str, beside: dict[str, Any]) -> dict[str, Any] | None:
    """The pod of the next attempt, once it trains."""
    for pod in deployment.namespace.steps(run):
        if name_of(pod) != name_of(beside) and pod["status"]["phase"] == "Running":
            log = deployment.namespace.kubectl("logs", name_of(pod), check=False)
            if "going on at" in log:
                return pod
    return None


def alive(deployment: Deployment, run: str) -> list[str]:
    pods = deployment.namespace.pods(f"dagster/run-id={run}")
    return [json.dumps(pod["status"]) for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]


def times(pod: dict[str, Any]) -> tuple[datetime, datetime]:
    """When the container of a pod started and ended."""
    (told,) = pod["status"]["containerStatuses"]
    ended = told["state"]["terminated"]
    return datetime.fromisoformat(ended["startedAt"]), datetime.fromisoformat(ended["finishedAt"])
