"""deploy/helm: versions, names, and what of the values ends in Dagster's own configuration, against its schemas."""

import re
from typing import Any

import kubernetes.client
import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import (
    get_concurrency_config,
    retention_config_schema,
    validate_concurrency_config,
)
from dagster_aws.s3 import S3ComputeLogManager
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job

from chestgan_assets.execution.executor import GPU_POOL
from chestgan_assets.execution.pod_profiles import load_pod_settings, pod_config
from chestgan_core import __version__
from tests.deploy.files import DEPLOY, OVERLAYS, ROOT, code_server, locked, manifests, snake_case, values
from tests.deploy.test_manifests import assert_restricted

EVERY = ("", *OVERLAYS)


def test_the_chart_has_the_version_of_the_lock() -> None:
    """Chart and library go together."""
    chart = (DEPLOY / "helm" / "values.yaml").read_text() + (ROOT / "docs" / "deploy.md").read_text()
    versions = set(re.findall(r"--version (\S+)", chart)) | set(re.findall(r"version (1\.\d+\.\d+)", chart))
    assert versions == {locked("dagster")}


@pytest.mark.parametrize("overlay", EVERY)
def test_one_image_with_a_tag_of_its_own(overlay: str) -> None:
    """Every step pod takes the image that its code server has at that moment."""
    chart = values(overlay)
    images = [
        chart["dagsterWebserver"]["image"],
        chart["dagsterDaemon"]["image"],
        code_server(chart)["image"],
    ]
    assert images[0] == images[1] == images[2]
    assert images[0]["tag"] == __version__


def names(kind: str) -> set[str]:
    return {chart["metadata"]["name"] for _, chart in manifests() if chart["kind"] == kind}


@pytest.mark.parametrize("overlay", EVERY)
def test_accounts_secrets_and_config_maps_are_those_of_the_manifests(overlay: str) -> None:
    chart = values(overlay)
    assert chart["global"]["serviceAccountName"] in names("ServiceAccount")
    assert load_pod_settings().service_account in names("ServiceAccount")
    assert chart["serviceAccount"]["create"] is chart["rbacEnabled"] is False
    code = code_server(chart)
    for part in (chart["dagsterWebserver"], chart["dagsterDaemon"], code):
        assert part["envConfigMaps"] == [{"name": "chestgan"}]
        assert part["envSecrets"] == [
            {"name": "chestgan-s3", "optional": True},
            {"name": "chestgan-webhook", "optional": True},
        ]
    assert "chestgan" in names("ConfigMap")
    (password,) = (one["valueFrom"]["secretKeyRef"] for one in code["env"] if "valueFrom" in one)
    assert password == {"name": chart["global"]["postgresqlSecretName"], "key": "postgresql-password"}
    assert chart["postgresql"]["enabled"] is chart["generatePostgresqlPasswordSecret"] is False


def test_every_pod_of_the_code_has_the_executor_setting() -> None:
    code = code_server(values())
    assert {"name": "CHESTGAN_EXECUTOR", "value": "k8s"} in code["env"]
    assert code["includeConfigInLaunchedRuns"] == {"enabled": True}


def test_the_environment_names_places_that_are_mounted() -> None:
    mounted = tuple(mount["mountPath"] for mount in code_server(values())["volumeMounts"])
    text = (DEPLOY / "kubernetes" / "environment.yaml").read_text()
    paths = re.findall(r": (/\S+)", text)
    assert {"/etc/chestgan/pod_profiles.yaml", "/etc/chestgan-ca/ca.pem"} <= set(paths)
    assert all(path.startswith(mounted) for path in paths)
    assert values()["global"]["dagsterHome"] in mounted


def launcher(overlay: str) -> dict[str, Any]:
    """The run launcher's configuration, with what the chart adds by itself."""
    chart = values(overlay)
    own = chart["runLauncher"]["config"]["k8sRunLauncher"]
    # The chart writes what is inside of runK8sConfig as it stands.
    inside = {
        snake: own["runK8sConfig"][name] for name in own["runK8sConfig"] for snake in snake_case({name: 0})
    }
    return {
        **snake_case(
            {name: value for name, value in own.items() if name not in ("runK8sConfig", "securityContext")}
        ),
        "security_context": own["securityContext"],
        "run_k8s_config": inside,
        "service_account_name": chart["global"]["serviceAccountName"],
        "dagster_home": chart["global"]["dagsterHome"],
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": chart["global"]["postgresqlSecretName"],
    }


@pytest.mark.parametrize("overlay", EVERY)
def test_the_run_launcher_is_one_of_dagster(overlay: str) -> None:
    checked = process_config(K8sRunLauncher.config_type(), launcher(overlay))
    assert checked.success, checked.errors


@pytest.mark.parametrize("overlay", EVERY)
def test_logs_retention_and_limits_are_dagsters(overlay: str) -> None:
    chart = values(overlay)
    logs = snake_case(chart["computeLogManager"]["config"]["s3ComputeLogManager"])
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CHESTGAN_LOGS_BUCKET", "CHESTGAN_LOGS_PREFIX"):
            patch.setenv(name, "set")
        checked = process_config(S3ComputeLogManager.config_type(), logs)
    assert checked.success, checked.errors
    assert logs["upload_interval"] == 30
    kept = snake_case({name: value for name, value in chart["retention"].items() if name != "enabled"})
    checked = process_config(retention_config_schema().config_type, kept)
    assert checked.success, checked.errors
    limits = snake_case({name: value for name, value in chart["concurrency"].items() if name != "enabled"})
    validate_concurrency_config({"concurrency": limits})
    checked = process_config(get_concurrency_config().config_type, limits)
    assert checked.success, checked.errors
    # In both places it is an error of the chart, at the installation.
    queue = chart["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert not {"maxConcurrentRuns", "tagConcurrencyLimits", "blockOpConcurrencyLimitedRuns"} & queue.keys()


def job(overlay: str, component: str, step: dict[str, Any] | None = None) -> dict[str, Any]:
    """The Job of a run or of a step, as dagster-k8s builds it of launcher, code server and step."""
    code = code_server(values(overlay))
    context = {
        "image_pull_policy": code["image"]["pullPolicy"],
        "env_config_maps": [one["name"] for one in code["envConfigMaps"]],
        "env_secrets": [one["name"] for one in code["envSecrets"]],
        "env": code["env"],
        "volume_mounts": code["volumeMounts"],
        "volumes": code["volumes"],
        "resources": code["resources"],
    }
    chart = launcher(overlay)
    under = K8sContainerContext.create_from_config({"k8s": {
        "run_k8s_config": chart["run_k8s_config"], "security_context": chart["security_context"],
        "service_account_name": chart["service_account_name"],
    }})  # fmt: skip
    merged = under.merge(K8sContainerContext.create_from_config({"k8s": context}))
    if step:
        merged = merged.merge(K8sContainerContext.create_from_config({"k8s": {"run_k8s_config": step}}))
    config = DagsterK8sJobConfig(
        job_image="registry.example/chestgan:0.1.0",
        dagster_home=chart["dagster_home"],
        postgres_password_secret=chart["postgres_password_secret"],
    )
    built = construct_dagster_k8s_job(
        config, ["dagster", "api"], "run", user_defined_k8s_config=merged.run_k8s_config, component=component
    )
    return dict(kubernetes.client.ApiClient().sanitize_for_serialization(built))


@pytest.mark.parametrize("overlay", EVERY)
def test_run_pods_meet_the_restricted_standard(overlay: str) -> None:
    built = job(overlay, "run_worker")
    spec = built["spec"]["template"]["spec"]
    assert_restricted(spec)
    assert built["spec"]["ttlSecondsAfterFinished"] == 86400
    assert spec["serviceAccountName"] == "chestgan"
    assert {"name": "CHESTGAN_EXECUTOR", "value": "k8s"} in spec["containers"][0]["env"]


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_step_pods_of_the_values_meet_it_too(profile: str) -> None:
    """Volumes of the code server and of the profile come together in one pod, whose names must not meet."""
    steps = load_pod_settings()
    spec = job("gpu", "step_worker", pod_config(steps.profiles[profile], steps))["spec"]["template"]["spec"]
    assert_restricted(spec)
    (container,) = spec["containers"]
    volumes = [volume["name"] for volume in spec["volumes"]]
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert len(set(volumes)) == len(volumes)
    assert len(set(places)) == len(places)
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert spec["serviceAccountName"] == "chestgan-steps"
    assert spec["automountServiceAccountToken"] is False
    assert container["resources"]["limits"]["memory"] == steps.profiles[profile].memory
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) is (profile == "gpu")


def test_pools_begin_with_one_place() -> None:
    assert values()["concurrency"]["pools"] == {"granularity": "op", "defaultLimit": 1}
    assert f"concurrency set {GPU_POOL} " in (DEPLOY / "helm" / "values.yaml").read_text()


def test_anchors_of_one_file_are_not_meant_for_another() -> None:
    """Overlays are parsed alone."""
    for overlay in OVERLAYS:
        yaml.safe_load((DEPLOY / "helm" / f"{overlay}.yaml").read_text())
