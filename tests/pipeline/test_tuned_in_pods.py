"""A run of a tuned experiment in pods of which none has heard of it: on a stand-in for a cluster, with a real store."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.tuning.tuned import publish_tuned
from tests.pipeline.test_tuned_steps import found
from tests.standins.kubernetes_api import kubernetes_api

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PIPELINE = """
import sys
import dagster as dg
from chestgan_assets.execution.executor import executor
from chestgan_assets.partitions import dataset_to_experiments, datasets, experiments

@dg.asset(partitions_def=datasets)
def training_set(): ...

@dg.asset(partitions_def=experiments, deps=[dg.AssetDep(training_set, partition_mapping=dataset_to_experiments)])
def generator_checkpoint():
    return dg.MaterializeResult(metadata={"loaded dagster_k8s": "dagster_k8s" in sys.modules})

defs = dg.Definitions(assets=[training_set, generator_checkpoint], executor=executor(),
                      jobs=[dg.define_asset_job("train", [generator_checkpoint])])
"""


def test_its_pod_gets_what_it_requests_and_its_partition_is_materialized(
    tmp_path: Path, embedded: EmbeddedStore, store: Store
) -> None:
    publish_tuned(store, found("small-tuned", fields={"compute": {"gpus": 3}}))
    (tmp_path / "small_pipeline.py").write_text(PIPELINE)
    environment = {
        **os.environ,
        **embedded.environment,
        "CHESTGAN_STORE": store.uri(),
        "CHESTGAN_HOME": str(tmp_path / "home-of-the-run"),
        "CHESTGAN_EXECUTOR": "k8s",
        "DAGSTER_HOME": str(tmp_path),
        "HOSTNAME": "run-pod",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with kubernetes_api(tmp_path, environment) as (jobs, kubeconfig):
        launcher = {
            "service_account_name": "runs",
            "instance_config_map": "dagster-instance",
            "dagster_home": str(tmp_path),
            "job_image": "chestgan:1",
            "job_namespace": "here",
            "load_incluster_config": False,
            "kubeconfig_file": str(kubeconfig),
        }
        settings = {
            "telemetry": {"enabled": False},
            "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher},
        }
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
        tags = '{"dagster/partition": "small-tuned"}'
        command = ["job", "execute", "-f", "small_pipeline.py", "-j", "train", "--tags", tags]
        dagster = str(Path(sys.executable).with_name("dagster"))
        subprocess.run([dagster, *command], cwd=tmp_path, env=environment, check=True)
    (container,) = jobs.of_step("generator_checkpoint")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "3"
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("generator_checkpoint"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == "small-tuned"
    # The executor's libraries are for the pod of the run, not for those of its steps.
    assert event.asset_materialization.metadata["loaded dagster_k8s"].value is False
