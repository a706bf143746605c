"""The pipeline in pods: the whole chain, and what goes wrong in a cluster.

Run pods start the steps' pods; steps work on the store and the database. In one file, as all of it shares one
deployment and one GPU.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from chestgan_assets.partitions import patients
from chestgan_core.publishing.opening import open_set
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.store.embedded import BUCKET
from chestgan_core.store.objects import ObjectStore
from chestgan_core.store.store import Store
from chestgan_core.tuning.stored_study import latest_study
from tests.kubernetes.cluster import ROOT, Deployment, await_true
from tests.kubernetes.conftest import EXPERIMENTS, MANY, POD_PROFILES, instance
from tests.standins.postgresql import run_once
from tests.store.proxy import Proxy

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]
PATIENTS = 6


@pytest.fixture(scope="module")
def doomed(deployment: Deployment) -> dict[str, str]:
    """Runs that cannot succeed, and take minutes to say so: they begin before all others."""
    image = {"container_config": {"image": "nowhere.test/chestgan:1"}}
    config = {"execution": {"config": {"per_step_k8s_config": {"series_catalog": image}}}}
    return {
        "memory": deployment.materialize("generator_checkpoint", "hungry"),
        "image": deployment.web.launch("series_catalog_job", "phantom", config),
    }


@pytest.fixture(scope="module")
def phantoms(deployment: Deployment) -> list[str]:
    """The patients of a catalog that pods made."""
    deployment.succeed(deployment.web.launch("series_catalog_job", "phantom"))
    return deployment.web.await_patients("phantom", PATIENTS)


@pytest.fixture(scope="module")
def split(deployment: Deployment, doomed: dict[str, str], phantoms: list[str]) -> str:
    """A training set that pods made: a backfill of all patients, split. Gives the run of the last."""
    web = deployment.web
    backfill = web.backfill(phantoms, "raw_dicom", "slice_tensors")
    assert web.finish_backfill(backfill, 500) == "COMPLETED_SUCCESS"
    run = web.launch("training_set_job", "phantom")
    deployment.succeed(run)
    return run


@pytest.fixture(scope="module")
def study(deployment: Deployment, split: str) -> str:
    """A study of two workers, which needs no GPU here."""
    # One worker at a time, as a GPU would have it, is not what is to be seen.
    deployment.web.ask('mutation { setConcurrencyLimit(concurrencyKey: "gpu", limit: 3) }')
    config = {"trials": 3, "workers": 2, "images": 160, "validations": 2}
    return deployment.web.launch(
        "hyperparameter_study_job", "tuned", {"ops": {"hyperparameter_study": {"config": config}}}
    )


def test_a_backfill_of_patients_in_pods_makes_one_training_set(deployment: Deployment, split: str) -> None:
    told = deployment.told(split, "training_set")
    assert told["training patients"] + told["held-out patients"] == PATIENTS


def test_a_set_is_trained_on_the_gpu_scored_and_published(
    deployment: Deployment, split: str, cluster_store: Store, tmp_path: Path
) -> None:
    run = deployment.web.launch("synthetic_set_job", "tiny")
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


@pytest.mark.slow
def test_a_training_resumes_in_another_pod_until_a_cancel_ends_it(
    deployment: Deployment, split: str, cluster_store: Store
) -> None:
    run = deployment.materialize("generator_checkpoint", "endless")
    first = await_true(lambda: pod_of(deployment, run, 1), 100, lambda: deployment.words(run))
    await_true(lambda: checkpoints(cluster_store, "endless"), 200, lambda: deployment.words(run))
    assert seen_inside(deployment, first) == "device GPU-0, user 10001, no token"
    # More than its scratch may hold: the node throws it out, without a word to the process.
    fill = "head -c 200M /dev/zero > /scratch/full"
    deployment.namespace.kubectl("exec", name_of(first), "--", "sh", "-c", fill)
    told = deployment.await_words(run, "Evicted")
    assert "raise scratch or memory of the step's profile" in told
    second = await_true(lambda: pod_of(deployment, run, 2), 200, lambda: deployment.words(run))
    first_resumed = await_true(lambda: resumed_at(deployment, second), 200, lambda: deployment.words(run))
    # Its node is emptied: the process is told to end, and has its grace.
    deployment.namespace.kubectl("delete", "pod", name_of(second), "--wait=false")
    third = await_true(lambda: pod_of(deployment, run, 3), 200, lambda: deployment.words(run))
    assert (
        await_true(lambda: resumed_at(deployment, third), 200, lambda: deployment.words(run))
        > first_resumed
        > 0
    )
    deployment.end(run)
    assert deployment.web.finish(run) == "CANCELED"
    await_true(lambda: not alive(deployment, run), 90, lambda: alive(deployment, run))


def test_too_little_memory_is_told_at_each_attempt(deployment: Deployment, doomed: dict[str, str]) -> None:
    assert deployment.web.finish(doomed["memory"]) == "FAILURE"
    told = deployment.words(doomed["memory"])
    assert "exceeded its memory limit of 154Mi" in told
    assert "raise memory of the step's profile" in told
    assert told.count("OOMKilled") >= told.count("ExecutionStepUpForRetryEvent") == 3


@pytest.mark.slow
def test_two_steps_on_one_gpu_wait_for_each_other_also_where_the_pool_lets_both_start(
    deployment: Deployment, split: str
) -> None:
    deployment.web.ask('mutation { setConcurrencyLimit(concurrencyKey: "gpu", limit: 2) }')
    first = deployment.materialize("generator_checkpoint", "endless")
    await_true(lambda: alive(deployment, first), 200, lambda: deployment.words(first))
    second = deployment.materialize("generator_checkpoint", "other")
    # The first trains until somebody has seen the second wait, however long that takes.
    deployment.await_words(second, "Insufficient nvidia.com/gpu", 300)
    assert alive(deployment, first)
    deployment.end(first)
    assert deployment.web.finish(first) == "CANCELED"
    deployment.succeed(second)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_backfill_of_sixty_in_batches_survives_a_killed_pod_and_a_broken_patient(
    deployment: Deployment, many: Path
) -> None:
    web = deployment.web
    deployment.succeed(web.launch("series_catalog_job", "small"))
    keys = web.await_patients("small", MANY)
    broken = keys[30]
    for path in (many / "dicom" / broken.partition(":")[2]).iterdir():
        path.unlink()
    started = time.monotonic()
    backfill = web.backfill(keys, "raw_dicom", "slice_tensors")
    run = str(await_true(lambda: at_work(deployment, backfill), 300, every=0.5))
    (pod,) = deployment.namespace.steps(run, "patient_slices")
    deployment.namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    assert web.finish_backfill(backfill, 900) == "COMPLETED_FAILED"
    print(f"{(time.monotonic() - started) / MANY:.1f} s per patient")

    for asset in ("raw_dicom", "slice_tensors"):
        states = web.partitions(asset)
        assert [key for key in states["failed"] if key in keys] == [broken], deployment.words(run)[-6000:]
        # By the events: Dagster's count of partitions has missed one that two pods reported at the same moment.
        assert set(keys) - set(web.made(asset)) == {broken}
    made = [key for key in web.made("slice_tensors") if key in keys]
    assert len(made) <= MANY  # one is broken, and of the killed pod one at most is made twice
    runs = web.runs({"dagster/backfill": backfill})
    assert len(runs) == 3
    said = [web.failure(one) for one in runs if web.status(one) == "FAILURE"]
    assert len(said) == 1
    assert said[0].startswith(f"1 of 20 patients failed: {broken}: ")


def at_work(deployment: Deployment, backfill: str) -> str:
    """A run of the backfill whose pod has made some of its patients, and not the last one yet."""
    for run in deployment.web.runs({"dagster/backfill": backfill}, "STARTED"):
        made = deployment.words(run).count("MaterializationEvent patient_slices")
        if 4 <= made < 30:
            return run
    return ""


@pytest.mark.slow
def test_the_workers_of_a_study_share_its_trials(
    deployment: Deployment, study: str, cluster_store: Store
) -> None:
    deployment.succeed(study)
    stored = latest_study(cluster_store, "tuned")
    assert stored.manifest.trials == 3
    workers = [pod for pod in deployment.namespace.steps(study) if "run_trials" in step_of(pod)]
    (first, second) = sorted(times(pod) for pod in workers)
    assert second[0] < first[1]  # side by side
    assert deployment.told(study, "hyperparameter_study")["trials"] == 3


@pytest.mark.slow
def test_a_training_resumes_when_the_store_was_away_for_a_minute(
    deployment: Deployment, split: str, cluster_store: Store, s3_line: Proxy
) -> None:
    run = deployment.materialize("generator_checkpoint", "endless")
    saved = await_true(lambda: moment(cluster_store, "endless"), 200, lambda: deployment.words(run))
    await_true(lambda: moment(cluster_store, "endless") > saved, 200, lambda: deployment.words(run))
    s3_line.go_away()
    time.sleep(60)
    s3_line.come_back()
    back = datetime.now(UTC)
    await_true(lambda: moment(cluster_store, "endless") > back, 200, lambda: deployment.words(run))
    newest = deployment.namespace.steps(run)[-1]
    assert resumed_at(deployment, newest) > 0
    deployment.end(run)
    assert deployment.web.finish(run) == "CANCELED"
    await_true(lambda: not alive(deployment, run), 90, lambda: alive(deployment, run))


def test_an_image_that_is_not_there_fails_the_step_with_its_name(
    deployment: Deployment, doomed: dict[str, str]
) -> None:
    told = deployment.await_words(doomed["image"], "ExecutionStepUpForRetryEvent")
    assert "nowhere.test/chestgan:1" in told
    assert "check the name of the image" in told


@pytest.mark.slow
def test_a_run_waits_for_an_api_server_that_is_away_for_a_minute(
    deployment: Deployment, phantoms: list[str], tmp_path: Path
) -> None:
    """The run's process is here, so that what it says to the API server goes over a line that can be cut."""
    patient = phantoms[0]
    with api_line(tmp_path / "kubeconfig") as line:
        environment = beside_the_cluster(deployment, tmp_path)
        code = f"dagster.DagsterInstance.get().add_dynamic_partitions({patients.name!r}, [{patient!r}])"
        subprocess.run([sys.executable, "-c", f"import dagster; {code}"], env=environment, check=True)
        told = [
            str(Path(sys.executable).with_name("dagster")), "job", "execute", "-m", "chestgan_assets.definitions",
            "-j", "patient_slices_job", "--tags", json.dumps({"dagster/partition": patient}),
        ]  # fmt: skip
        line.go_away()
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(told, cwd=ROOT, env=environment, stdout=log, stderr=log)
        said = (tmp_path / "log").read_text
        try:
            # It starts without an API server, and asks for a pod in vain.
            await_true(lambda: line.cut > 0, 200, said)
            time.sleep(60)
            assert not steps_of_patients(deployment)
            line.come_back()
            back = datetime.now(UTC).replace(microsecond=0)
            assert process.wait(timeout=200) == 0, said()[-6000:]
        finally:
            process.kill()
    (step,) = steps_of_patients(deployment)
    assert step_of(step) == "patient_slices"
    assert datetime.fromisoformat(step["metadata"]["creationTimestamp"]) >= back


def steps_of_patients(deployment: Deployment) -> list[dict[str, Any]]:
    """The pods of the job patient_slices_job, oldest first; backfills have a job of their own."""
    return deployment.namespace.pods("dagster/job=patient_slices_job")


@contextmanager
def api_line(kubeconfig: Path) -> Iterator[Proxy]:
    """A way to the API server that can be cut, and a file that leads over it."""
    told = json.loads(
        subprocess.run(
            ["kubectl", "config", "view", "--raw", "--flatten", "--minify", "-o", "json"],
            check=True, capture_output=True, text=True,
        ).stdout
    )  # fmt: skip
    cluster = told["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    with Proxy(server.port or 443, target=str(server.hostname)) as line:
        cluster["tls-server-name"] = server.hostname
        cluster["server"] = line.url.replace("http:", "https:")
        kubeconfig.write_text(yaml.safe_dump(told))
        yield line


def beside_the_cluster(deployment: Deployment, folder: Path) -> dict[str, str]:
    """The environment of a process of this machine that starts steps in the cluster; its settings are in the folder.

    With a history of its own: the daemon of the deployment fails runs that have no pod.
    """
    of_pods = {**deployment.environment, "CHESTGAN_POSTGRES_DB": "beside"}
    run_once(deployment.database, "CREATE DATABASE beside")
    told = instance(deployment.namespace, of_pods)
    told["run_launcher"]["config"] |= {
        "load_incluster_config": False,
        "kubeconfig_file": str(folder / "kubeconfig"),
    }
    (folder / "dagster.yaml").write_text(yaml.safe_dump(told))
    (folder / "pod_profiles.yaml").write_text(yaml.safe_dump(POD_PROFILES))
    (folder / "experiments").mkdir()
    for name, text in EXPERIMENTS.items():
        (folder / "experiments" / name).write_text(text)
    return {
        **os.environ,
        **of_pods,
        **deployment.secret,
        "CHESTGAN_POD_PROFILES": str(folder / "pod_profiles.yaml"),
        "CHESTGAN_EXPERIMENTS": str(folder / "experiments"),
        "CHESTGAN_HOME": str(folder / "home"),
        "DAGSTER_HOME": str(folder),
    }


def name_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def step_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["dagster/op"])


def limits(pod: dict[str, Any]) -> dict[str, str]:
    return dict(pod["spec"]["containers"][0]["resources"]["limits"])


def checkpoints(store: Store, experiment: str) -> list[str]:
    """The checkpoints of an experiment in the store."""
    return [
        item.key for item in store.list(f"experiments/{experiment}/") if item.key.endswith("/checkpoint.pt")
    ]


def moment(store: Store, experiment: str) -> datetime | None:
    """When a training last saved its checkpoint."""
    found = checkpoints(store, experiment)
    if not found:
        return None
    told = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{found[0]}")
    return told["LastModified"]


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


def resumed_at(deployment: Deployment, pod: dict[str, Any]) -> int:
    """The images that a training had seen when this pod took it up, 0 as long as it has not."""
    said = re.search(
        r"resumed at ([\d,]+) images", deployment.namespace.kubectl("logs", name_of(pod), check=False)
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
