"""chestgan in a cluster, once for all tests of it, with store and database outside of the pods."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.store import Store
from tests.kubernetes.cluster import (
    ADDRESS,
    HOME,
    IMAGE,
    ROOT,
    SETTINGS,
    SHARED,
    Deployment,
    Namespace,
    await_true,
    mounts,
    namespace,
    path_variable,
)
from tests.pipeline.dev_server import Web
from tests.pipeline.small_patients import write_small_patients
from tests.standins.ports import free_port
from tests.standins.postgresql import history_in, postgresql, run_once
from tests.store.proxy import Proxy

TINY = """
dataset: phantom
network: {generator_width: 4, discriminator_width: 4, latent_dim: 8}
training: {batch_size: 16, images: %d, checkpoint_every_images: %d, sample_every_images: %d}
evaluation: {images: 24, others: []}
publication: {images: 12}
release: {max_kid_above_floor: null, min_coverage_of_floor: null, min_diversity_of_real: null,
  max_memorized_above_floor: null, grey_levels: null}
"""
EXPERIMENTS = {
    "tiny.yaml": TINY % (320, 160, 160),
    "endless.yaml": TINY % (4_000_000, 500, 4_000_000),
    "other.yaml": TINY % (320, 160, 160) + "seed: 2\n",
    # Less than Python with torch in it can do with.
    "hungry.yaml": TINY % (320, 160, 160) + "compute: {memory_gib: 0.15}\n",
    "tuned.yaml": """
dataset: phantom
resolution: 16
network: {family: spectral, generator_width: 4, discriminator_width: 4, latent_dim: 8}
training: {loss: {kind: hinge}, batch_size: 8, images: 320, validation: {every_images: 160, images: 8}}
evaluation: {images: 24, others: []}
publication: {images: 12}
""",
}
MANY = 60
WORKSPACE = "load_from: [{grpc_server: {host: 127.0.0.1, port: 4000, location_name: chestgan}}]"
POD_PROFILES = {
    "service_account": "chestgan-steps",
    "max_concurrent": 4,
    "default_profile": "cpu",
    "profiles": {
        "cpu": {"cpu": 0.1, "memory": "2Gi", "scratch": "2Gi", "grace_seconds": 30},
        "gpu": {
            "gpus": 1, "cpu": 0.1, "memory": "2Gi", "shared_memory": "64Mi", "scratch": "100Mi", "grace_seconds": 30,
        },
    },
    # Trials without a GPU: several workers are to be seen side by side on a machine that has one.
    "steps": {"generator_checkpoint": "gpu", "metric_report": "gpu", "synthetic_image_set": "gpu"},
}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """In CI a cluster that is there must answer; elsewhere these tests are for those who have one."""
    if not os.environ.get("KUBECONFIG") or not ADDRESS or not IMAGE:
        pytest.skip(
            "set KUBECONFIG, CHESTGAN_CLUSTER_ADDRESS and CHESTGAN_CLUSTER_IMAGE (docs/kubernetes.md)"
        )
    subprocess.run(["kubectl", "get", "nodes"], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def place(cluster: None) -> Iterator[Namespace]:
    with namespace(f"chestgan-test-{uuid.uuid4().hex[:6]}") as made:
        yield made


@pytest.fixture(scope="session")
def s3_line(embedded: EmbeddedStore) -> Iterator[Proxy]:
    """The way from pods to the store of this machine, which listens on loopback only."""
    assert embedded.access is not None
    with Proxy(urlsplit(embedded.access.endpoint).port or 0, host=ADDRESS) as line:
        yield line


@pytest.fixture(scope="session")
def cluster_store(embedded: EmbeddedStore) -> Store:
    """What the pods write to."""
    return Store(s3_client(embedded.access), BUCKET, "cluster")


@pytest.fixture(scope="session")
def many(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pods see at the same path: the dataset `small` of 60 small patients, and their files."""
    folder = tmp_path_factory.mktemp("many")
    write_small_patients(folder, MANY, size=48, slices=10)
    for path in (folder, *folder.parents, *folder.rglob("*")):
        if path.is_relative_to(tmp_path_factory.getbasetemp().parent.parent):
            path.chmod(0o755 if path.is_dir() else 0o644)  # pods are another account
    SHARED.append(folder)
    return folder


@pytest.fixture(scope="session")
def deployment(
    place: Namespace,
    embedded: EmbeddedStore,
    s3_line: Proxy,
    many: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    assert embedded.access is not None
    with postgresql(ADDRESS) as database:
        history = history_in(database)
        run_once(database, (ROOT / "deploy" / "compose" / "studies.sql").read_text())
        secret = {
            "AWS_ACCESS_KEY_ID": embedded.access.key,
            "AWS_SECRET_ACCESS_KEY": embedded.access.secret,
            "CHESTGAN_POSTGRES_PASSWORD": history.pop("CHESTGAN_POSTGRES_PASSWORD"),
            "CHESTGAN_STUDY_STORAGE": urlsplit(database)._replace(path="/studies").geturl(),
        }
        environment = {
            **path_variable(),
            "CHESTGAN_EXECUTOR": "k8s",
            "CHESTGAN_STORE": f"s3://{BUCKET}/cluster",
            "AWS_ENDPOINT_URL": s3_line.url,
            "AWS_DEFAULT_REGION": embedded.access.region,
            "CHESTGAN_POD_PROFILES": f"{SETTINGS}/pod_profiles.yaml",
            "CHESTGAN_EXPERIMENTS": f"{SETTINGS}/experiments",
            "CHESTGAN_DATASETS": str(many / "datasets"),
            "CHESTGAN_FOLDER": str(many / "dicom"),
            "CHESTGAN_BATCH": "20",
            "CHESTGAN_LOGS_BUCKET": BUCKET,
            "CHESTGAN_LOGS_PREFIX": "cluster-logs",
            **history,
            "CHESTGAN_HOME": "/tmp/chestgan",
            "DAGSTER_HOME": HOME,
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "OMP_NUM_THREADS": "1",
        }
        place.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "chestgan"}, "stringData": secret},
            config_map(
                "dagster-instance",
                {"dagster.yaml": yaml.safe_dump(instance(place, environment)), "workspace.yaml": WORKSPACE},
            ),
            config_map("chestgan-pod-profiles", {"pod_profiles.yaml": yaml.safe_dump(POD_PROFILES)}),
            config_map("chestgan-experiments", EXPERIMENTS),
            servers(environment),
        )
        port = free_port()
        web = Web(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("web") / "log")
        found = Deployment(place, web, environment, secret, database)
        await_ready(place)
        with web.log.open("w") as log:
            forward = subprocess.Popen(
                ["kubectl", "-n", place.name, "port-forward", "pod/chestgan", f"{port}:3000"],
                stdout=log,
                stderr=log,
            )
        try:
            await_true(lambda: answers(web), 240, web.log.read_text)
            yield found
        finally:
            forward.terminate()
            forward.wait(timeout=30)
            place.kubectl("delete", "jobs,pods", "--all", "--grace-period=1", check=False)


def instance(place: Namespace, environment: dict[str, str]) -> dict[str, Any]:
    """The instance of a deployment, with runs in pods."""
    volumes, mounted = mounts()
    told: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    told["run_monitoring"] |= {"poll_interval_seconds": 15, "start_timeout_seconds": 180}
    told["compute_logs"]["config"]["upload_interval"] = 5
    told["run_launcher"] = {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {
            "service_account_name": "chestgan",
            "instance_config_map": "dagster-instance",
            "dagster_home": HOME,
            "job_namespace": place.name,
            "job_image": IMAGE,
            "image_pull_policy": "IfNotPresent",
            "env_vars": [f"{name}={value}" for name, value in environment.items()],
            "env_secrets": ["chestgan"],
            "volumes": [*volumes, *settings_volumes(), {"name": "tmp", "emptyDir": {}}],
            # Nothing else can be written in a step's pod: Dagster keeps logs there until they are sent.
            "volume_mounts": [*mounted, *settings_mounts(), {"name": "tmp", "mountPath": "/tmp"}],
            "run_k8s_config": {
                "container_config": {"resources": {"requests": {"cpu": "50m", "memory": "300Mi"}}},
                "pod_spec_config": {"termination_grace_period_seconds": 30},
            },
        },
    }
    return told


def settings_volumes() -> list[dict[str, Any]]:
    return [
        {"name": name, "configMap": {"name": name}}
        for name in ("dagster-instance", "chestgan-pod-profiles", "chestgan-experiments")
    ]


def settings_mounts() -> list[dict[str, Any]]:
    return [
        {"name": "dagster-instance", "mountPath": f"{HOME}/dagster.yaml", "subPath": "dagster.yaml"},
        {"name": "dagster-instance", "mountPath": f"{HOME}/workspace.yaml", "subPath": "workspace.yaml"},
        {
            "name": "chestgan-pod-profiles",
            "mountPath": f"{SETTINGS}/pod_profiles.yaml",
            "subPath": "pod_profiles.yaml",
        },
        {"name": "chestgan-experiments", "mountPath": f"{SETTINGS}/experiments"},
    ]


def servers(environment: dict[str, str]) -> dict[str, Any]:
    """User code, webserver and daemon, in one pod."""
    volumes, mounted = mounts()
    local = {"name": "local", "emptyDir": {}}

    def server(name: str, *command: str) -> dict[str, Any]:
        return {
            "name": name,
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": list(command),
            "workingDir": "/tmp",
            "env": [
                *({"name": key, "value": value} for key, value in environment.items()),
                {"name": "DAGSTER_CURRENT_IMAGE", "value": IMAGE},
            ],
            "envFrom": [{"secretRef": {"name": "chestgan"}}],
            "volumeMounts": [*mounted, *settings_mounts(), {"name": "local", "mountPath": "/tmp"}],
        }

    workspace = ["--workspace", f"{HOME}/workspace.yaml"]
    code = [
        "-h",
        "127.0.0.1",
        "-p",
        "4000",
        "-m",
        "chestgan_assets.definitions",
        "--location-name",
        "chestgan",
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "chestgan"},
        "spec": {
            "serviceAccountName": "chestgan",
            "terminationGracePeriodSeconds": 5,
            "volumes": [*volumes, *settings_volumes(), local],
            "containers": [
                server("code", "dagster", "api", "grpc", *code),
                {
                    **server("webserver", "chestgan-webserver", "-h", "0.0.0.0", "-p", "3000", *workspace),
                    "readinessProbe": {"httpGet": {"path": "/server_info", "port": 3000}, "periodSeconds": 2},
                },
                server("daemon", "dagster-daemon", "run", *workspace),
            ],
        },
    }


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def await_ready(place: Namespace) -> None:
    def running() -> bool:
        told = json.loads(place.kubectl("get", "pod", "chestgan", "-o", "json"))["status"]
        return told["phase"] == "Running" and all(one["ready"] for one in told["containerStatuses"])

    await_true(running, 240, lambda: place.kubectl("describe", "pod", "chestgan"))


def answers(web: Web) -> bool:
    try:
        return web.location() == "RepositoryLocation"
    except (OSError, AssertionError):
        return False
