"""How steps run: owners, retries, the pool of the GPU and the executor."""

import os
import sys
from pathlib import Path

import dagster as dg

from chestgan_assets.execution.processes import step_processes
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import choice_from_environment

OWNERS = ["team:chestgan"]

# Only what may pass by itself is retried; see failures.one_line_failures. Together more than a minute: a store or a
# database that is started anew is away for less.
RETRY = dg.RetryPolicy(max_retries=3, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

# One step at a time on the accelerator, whatever the number of runs.
GPU_POOL = "gpu"
# So many patients are fetched at once, whatever the number of runs: servers and the line are shared.
DOWNLOAD_POOL = "download"
DOWNLOADS = 2  # patients at once: one on the line while the other is checked and stored


def on_kubernetes() -> bool:
    """Whether every step has a machine, or a part of one, for itself."""
    return os.environ.get("CHESTGAN_EXECUTOR") == "k8s"


def study_pool() -> str | None:
    """The pool of a study's steps. Trials wait for each other where there is a GPU to wait for; on processors they are
    to run side by side.

    Asked when the pipeline loads, so without torch: the driver's device file, or a Mac. Pods have GPUs of
    their own, whose number is the limit of the pool.
    """
    accelerated = on_kubernetes() or Path("/dev/nvidiactl").exists() or sys.platform == "darwin"
    return GPU_POOL if accelerated else None


def steps_share_processor() -> bool:
    """Whether trials side by side have to divide the threads of one machine among them."""
    return not on_kubernetes()


def executor() -> dg.ExecutorDefinition:
    """$CHESTGAN_EXECUTOR: multiprocess (default outside of pods), in_process or k8s.

    multiprocess gives the steps that open PyTorch a process each (processes.py), at most two at once: each may use
    every core. k8s gives every step a pod of its own (steps.yaml). Raises BadInput: a pod that was not told, and would
    train on its own processor what was meant for a GPU elsewhere.
    """
    kind = choice_from_environment("CHESTGAN_EXECUTOR", ("multiprocess", "in_process", "k8s"))
    if kind == "k8s":
        from chestgan_assets.execution.pods import step_pods

        return step_pods
    if not kind and os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise BadInput(
            "CHESTGAN_EXECUTOR",
            "is not set in this pod",
            "set k8s in user code and run pods, or multiprocess where the pod is to do all by itself",
        )
    if kind == "in_process":
        return dg.in_process_executor
    return step_processes.configured({"max_concurrent": 2})


def study_executor() -> dg.ExecutorDefinition:
    """That of everything else, with as many steps at once as a study has workers."""
    told = executor()
    return step_processes if told.name == step_processes.name else told


def widen_download_pool(instance: dg.DagsterInstance) -> None:
    """Two patients at once, where nobody has set a limit (in the UI: Deployment > Concurrency)."""
    storage = instance.event_log_storage
    if all(pool.name != DOWNLOAD_POOL or pool.from_default for pool in storage.get_pool_limits()):
        storage.set_concurrency_slots(DOWNLOAD_POOL, DOWNLOADS)
