"""The resources of a step's pod, and how dead and waiting pods are reported: on Jobs as they are built, and on pods as
the Kubernetes client reads them.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from kubernetes.client import ApiClient, V1Pod

from chestgan_assets.definitions import defs
from chestgan_assets.execution.pod_failures import why_dead, why_waiting
from chestgan_assets.execution.pod_profiles import (
    SHIPPED,
    PodSettings,
    load_pod_settings,
    require_known_steps,
    step_pod_config,
)
from chestgan_core.config.experiment import Compute, parse_experiment
from chestgan_core.errors import BadInput

ROOT = Path(__file__).parent.parent.parent


def job_of(steps: PodSettings, step: str, machine: Compute | None = None) -> dict[str, Any]:
    """The Job of a step, as the API server gets it."""
    step_config = step_pod_config(steps, step, "mine", machine)
    config = DagsterK8sJobConfig(job_image="chestgan:1", dagster_home="/opt/dagster")
    job = construct_dagster_k8s_job(
        config, ["dagster"], "a-step", UserDefinedDagsterK8sConfig.from_dict(step_config)
    )
    return dict(ApiClient().sanitize_for_serialization(job))


def test_a_training_gets_a_gpu_shared_memory_and_the_time_to_write_its_state() -> None:
    spec = job_of(load_pod_settings(), "generator_checkpoint")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
        "limits": {"memory": "16Gi", "nvidia.com/gpu": "1"},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/scratch", "/dev/shm"}
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in spec["volumes"]
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["terminationGracePeriodSeconds"] == 120


@pytest.mark.parametrize(
    "step", ["raw_dicom", "training_set", "hyperparameter_study.commit_study", "synthetic_set_index"]
)
def test_what_computes_nothing_on_a_gpu_does_not_hold_one(step: str) -> None:
    (container,) = job_of(load_pod_settings(), step)["spec"]["template"]["spec"]["containers"]
    assert list(container["resources"]["limits"]) == ["memory"]


@pytest.mark.parametrize(
    "step", ["hyperparameter_study.open_study", "hyperparameter_study.run_trials[worker_3]"]
)
def test_the_steps_of_an_asset_get_what_the_asset_gets(step: str) -> None:
    (container,) = job_of(load_pod_settings(), step)["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("step", ["generator_checkpoint", "raw_dicom"])
def test_every_step_meets_the_restricted_standard_and_has_no_rights(step: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    job = job_of(load_pod_settings(), step)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["serviceAccountName"] == "chestgan-steps"
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # A pod that Kubernetes starts again would find its step begun already, and end without a word.
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["ttlSecondsAfterFinished"] == 86_400


def test_an_experiment_may_request_more() -> None:
    requested = Compute(gpus=4, cpu=16, memory_gib=96)
    (container,) = job_of(load_pod_settings(), "generator_checkpoint", requested)["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["resources"]["requests"] == {"cpu": "16", "memory": "98304Mi", "nvidia.com/gpu": "4"}


def test_gpus_of_an_experiment_are_for_the_steps_that_have_one() -> None:
    (container,) = job_of(load_pod_settings(), "raw_dicom", Compute(gpus=4))["spec"]["template"]["spec"][
        "containers"
    ]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]


def test_an_experiment_without_gpus_requests_none() -> None:
    (container,) = job_of(load_pod_settings(), "metric_report", Compute(gpus=0))["spec"]["template"]["spec"][
        "containers"
    ]
    assert list(container["resources"]["limits"]) == ["memory"]


def test_what_an_experiment_requests_does_not_change_its_fingerprint() -> None:
    fields = {"dataset": "phantom", "training": {"images": 100}}
    plain = parse_experiment(fields, "plain", "here")
    large = parse_experiment({**fields, "compute": {"gpus": 8, "memory_gib": 200}}, "large", "here")
    assert plain.fingerprint() == large.fingerprint()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"default_profile": "gigantic"}, "gigantic is not a profile; choose one of cpu"),
        ({"profiles": {"cpu": {"memory": "much"}}}, "profiles.cpu.memory"),
        ({"profiles": {"cpu": {"gpu": 1}}}, "profiles.cpu.gpu"),
        ({"max_concurrent": 0}, "max_concurrent"),
    ],
)
def test_a_wrong_settings_file_names_the_field(
    change: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"service_account": "s", "default_profile": "cpu", "profiles": {"cpu": {}}, **change}
    (tmp_path / "pod_profiles.yaml").write_text(yaml.safe_dump(fields))
    monkeypatch.setenv("CHESTGAN_POD_PROFILES", str(tmp_path / "pod_profiles.yaml"))
    with pytest.raises(BadInput, match=said.replace(".", r"\.")):
        load_pod_settings()


def test_a_step_of_no_asset_is_answered_with_the_nearest() -> None:
    assets = [one.node_def.name for one in defs.assets or () if isinstance(one, dg.AssetsDefinition)]
    settings = load_pod_settings()
    require_known_steps(settings, assets)
    assert "patient_slices" in assets  # one step, two assets
    wrong = settings.model_copy(update={"steps": {"generator_checkpont": "gpu"}})
    with pytest.raises(BadInput, match="did you mean generator_checkpoint"):
        require_known_steps(wrong, assets)


def test_the_settings_can_be_checked_before_they_are_deployed(tmp_path: Path) -> None:
    def ran(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chestgan_assets.execution.pod_profiles"],
            env={"CHESTGAN_POD_PROFILES": str(path), "PATH": "/usr/bin:/bin"},
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip

    assert "generator_checkpoint" in ran(SHIPPED).stdout
    refused = ran(tmp_path / "nowhere.yaml")
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("variables", "status"), [({}, 1), ({"CHESTGAN_EXECUTOR": "multiprocess"}, 0)])
def test_a_pod_without_an_executor_setting_refuses_to_work(variables: dict[str, str], status: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from chestgan_assets.execution.executor import executor; print(executor().name)"],
        env={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "PATH": "/usr/bin:/bin", **variables},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == status, ran.stderr
    assert ("is not set in this pod" in ran.stderr) == bool(status)


def pod(status: dict[str, Any], memory: str = "2Gi") -> V1Pod:
    """A pod as the client reads it from the API server."""
    fields = {
        "metadata": {"name": "step-1"},
        "spec": {"containers": [{"name": "dagster", "resources": {"limits": {"memory": memory}}}]},
        "status": status,
    }
    answer = type("Answer", (), {"data": json.dumps(fields)})
    return ApiClient().deserialize(answer, "V1Pod")


def container(state: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "name": "dagster",
        "image": "chestgan:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }
    return {"containerStatuses": [fields]}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), "exceeded its memory limit of 2Gi"),
        (container({"terminated": {"exitCode": 17, "reason": "Error"}}), "exit code 17"),
        (container({"terminated": {"exitCode": 137, "reason": "Error"}}), "short of memory"),
        (container({"terminated": {"exitCode": 143, "reason": "Error"}}), "received SIGTERM"),
        ({"reason": "Evicted", "message": "The node was low on\nephemeral-storage."}, "low on ephemeral-storage"),
        ({"reason": "UnexpectedAdmissionError", "message": "no healthy devices"}, "no healthy devices"),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]},
            "evicted from its node (EvictionByEvictionAPI",
        ),
    ],
)  # fmt: skip
def test_a_dead_pod_is_reported_in_one_line_with_a_remedy(status: dict[str, Any], said: str) -> None:
    reason = why_dead(pod(status))
    assert reason is not None
    assert said in reason
    assert reason.startswith("pod step-1: ")
    assert ";" in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    "status", [container({"running": {}}), container({"terminated": {"exitCode": 0}}), {}]
)
def test_a_healthy_pod_is_not_reported(status: dict[str, Any]) -> None:
    assert why_dead(pod(status)) is None
    assert why_waiting(pod(status)) is None


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "ErrImageNeverPull", "CreateContainerConfigError"])
def test_pods_that_will_never_start_are_known(reason: str) -> None:
    waiting = why_waiting(pod(container({"waiting": {"reason": reason, "message": "of chestgan:2"}})))
    assert waiting is not None
    assert waiting.never
    assert "of chestgan:2" in waiting.text


def test_a_pod_may_wait_for_a_gpu() -> None:
    condition = {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
    }  # fmt: skip
    waiting = why_waiting(pod({"phase": "Pending", "conditions": [condition]}))
    assert waiting is not None
    assert not waiting.never
    assert "Insufficient nvidia.com/gpu" in waiting.text


def test_a_pod_that_is_about_to_start_is_not_reported() -> None:
    assert why_waiting(pod(container({"waiting": {"reason": "ContainerCreating"}}))) is None
