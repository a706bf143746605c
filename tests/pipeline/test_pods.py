"""The executor in pods, on a stand-in for a cluster: what a Job gets, and how a dead pod is reported."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from tests.standins.kubernetes_api import Jobs, kubernetes_api

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PIPELINE = """
import dagster as dg
from chestgan_assets.execution.executor import executor

parts = dg.StaticPartitionsDefinition(["two-gpus"])

@dg.asset(partitions_def=parts)
def generator_checkpoint(): ...

@dg.asset(partitions_def=parts, deps=[generator_checkpoint])
def metric_report(): ...

@dg.asset(partitions_def=parts, deps=[generator_checkpoint])
def raw_dicom(): ...

defs = dg.Definitions(assets=[generator_checkpoint, metric_report, raw_dicom], executor=executor(),
                      jobs=[dg.define_asset_job("all")])
"""
LAUNCH = {
    "execution": {
        "config": {
            "step_k8s_config": {"pod_spec_config": {"node_selector": {"zone": "a"}}},
            "per_step_k8s_config": {
                "generator_checkpoint": {"pod_spec_config": {"node_selector": {"gpu": "a100"}}},
                "raw_dicom": {"container_config": {"resources": {"limits": {"memory": "1Gi"}}}},
            },
        }
    }
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Jobs, list[dg.DagsterEvent]]:
    """A run of three steps in pods, of which that of metric_report is killed; its Jobs and its events."""
    folder = tmp_path_factory.mktemp("pods")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "two-gpus.yaml").write_text(
        "dataset: phantom\ncompute: {gpus: 2}\ntraining: {images: 100}\n"
    )
    (folder / "small_pipeline.py").write_text(PIPELINE)
    (folder / "launch.yaml").write_text(yaml.safe_dump(LAUNCH))
    environment = {
        **os.environ,
        "CHESTGAN_EXECUTOR": "k8s",
        "CHESTGAN_EXPERIMENTS": str(folder / "experiments"),
        "DAGSTER_HOME": str(folder),
        "HOSTNAME": "run-pod",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with kubernetes_api(folder, environment, "metric_report") as (jobs, kubeconfig):
        launcher = {
            "service_account_name": "runs",
            "instance_config_map": "dagster-instance",
            "dagster_home": str(folder),
            "job_image": "chestgan:1",
            "job_namespace": "here",
            "load_incluster_config": False,
            "kubeconfig_file": str(kubeconfig),
        }
        (folder / "dagster.yaml").write_text(
            yaml.safe_dump(
                {
                    "telemetry": {"enabled": False},
                    "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher},
                }
            )
        )
        tags = '{"dagster/partition": "two-gpus"}'
        job = ["job", "execute", "-f", "small_pipeline.py", "-j", "all", "-c", "launch.yaml", "--tags", tags]
        subprocess.run(
            [str(Path(sys.executable).with_name("dagster")), *job], cwd=folder, env=environment, check=False
        )
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            (run,) = instance.get_runs()
            records = instance.all_logs(run.run_id)
    return jobs, [record.dagster_event for record in records if record.dagster_event]


def pod_of(jobs: Jobs, step: str) -> dict[str, Any]:
    return dict(jobs.of_step(step)["spec"]["template"]["spec"])


def test_each_step_has_a_job_with_the_resources_of_its_profile_and_its_experiment(
    ran: tuple[Jobs, list[dg.DagsterEvent]],
) -> None:
    training, archive = (pod_of(ran[0], step) for step in ("generator_checkpoint", "raw_dicom"))
    assert training["containers"][0]["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": "2"}
    assert training["serviceAccountName"] == archive["serviceAccountName"] == "chestgan-steps"
    assert "nvidia.com/gpu" not in archive["containers"][0]["resources"]["limits"]


def test_what_a_person_sets_at_the_launch_wins_over_the_profile(
    ran: tuple[Jobs, list[dg.DagsterEvent]],
) -> None:
    training, archive = (pod_of(ran[0], step) for step in ("generator_checkpoint", "raw_dicom"))
    assert training["nodeSelector"] == {"zone": "a", "gpu": "a100"}
    assert archive["nodeSelector"] == {"zone": "a"}
    assert archive["containers"][0]["resources"]["limits"]["memory"] == "1Gi"


def test_a_killed_pod_fails_its_step_with_the_reason_and_the_others_succeed(
    ran: tuple[Jobs, list[dg.DagsterEvent]],
) -> None:
    _, events = ran
    succeeded = {event.step_key for event in events if event.is_step_success}
    assert succeeded == {"generator_checkpoint", "raw_dicom"}
    (failed,) = (event for event in events if event.is_step_failure)
    assert failed.step_key == "metric_report"
    error = failed.step_failure_data.error
    assert error is not None
    assert "exceeded its memory limit of 16Gi" in error.message


def test_jobs_belong_to_the_pod_of_the_run(ran: tuple[Jobs, list[dg.DagsterEvent]]) -> None:
    owners = [job["metadata"]["ownerReferences"][0]["kind"] for job in ran[0].created.values()]
    assert owners == ["Pod"] * 3
