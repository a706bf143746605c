"""How steps run: owners, retries, pools and the executor."""

import os
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import dagster as dg

from chestgan_assets.execution.processes import step_processes
from chestgan_assets.load_faults import note_fault
from chestgan_assets.tags import PRIORITY_TAG, STEP_OF_POD
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.environment import choice_from_environment

OWNERS = ["team:chestgan"]

# Only transient failures are retried, see failures.one_line_failures. The delays add up to more than a minute: a store
# or database that is restarted is away for less.
RETRY = dg.RetryPolicy(max_retries=3, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

# One step at a time on the accelerator, whatever the number of runs. Steps of a minute go before those of hours.
GPU_POOL = "gpu"
GO_FIRST = {PRIORITY_TAG: "1"}  # tags of a step
# Patients that are downloaded at the same time, whatever the number of runs: servers and bandwidth are shared.
DOWNLOAD_POOL = "download"
DOWNLOADS = 2  # one is downloaded while the other is checked and stored


def on_kubernetes() -> bool:
    """Whether every step has a pod of its own."""
    return os.environ.get("CHESTGAN_EXECUTOR") == "k8s"


def on_accelerators() -> bool:
    """Whether steps run on GPUs. Pods have GPUs of their own, and their number is the limit of the pool.

    Called when the pipeline loads, so without torch: by the device file of the driver, on a Mac, or by PyTorch's build
    for Intel GPUs. Their device file does not tell: many machines have one for their screen.
    """
    if on_kubernetes() or Path("/dev/nvidiactl").exists() or sys.platform == "darwin":
        return True
    return _for_intel_gpus()


@cache
def _for_intel_gpus() -> bool:
    return version("torch").endswith("+xpu")


def study_pool() -> str | None:
    """The pool of a study's steps: trials take turns on a GPU, and run side by side on CPUs."""
    return GPU_POOL if on_accelerators() else None


def training_pool() -> str:
    """The pool of trainings: one at a time, also on a CPU."""
    return GPU_POOL if on_accelerators() else "training"


def evaluation_pool() -> str:
    """The pool of reports and sets: on a CPU their minutes do not wait for the hours of trainings."""
    return GPU_POOL if on_accelerators() else "evaluation"


def steps_share_cpu() -> bool:
    """Whether trials that run side by side have to divide the threads of one machine."""
    return not on_kubernetes()


def executor() -> dg.ExecutorDefinition:
    """$CHESTGAN_EXECUTOR: multiprocess (default outside of pods), in_process or k8s.

    multiprocess gives steps that import PyTorch a process each (processes.py), at most two at a time: each may use
    every core. k8s gives every step a pod (pod_profiles.yaml). Raises BadInput: an unknown executor; a pod in which it
    is not set, which would train on its own CPU what was meant for a GPU elsewhere.
    """
    kind = choice_from_environment("CHESTGAN_EXECUTOR", ("multiprocess", "in_process", "k8s"))
    if kind == "k8s":
        if os.environ.get(STEP_OF_POD):
            return in_step_pod
        from chestgan_assets.execution.pods import step_pods

        return step_pods
    if not kind and os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise BadInput(
            "CHESTGAN_EXECUTOR",
            "is not set in this pod",
            "set it to k8s in user code and run pods, or to multiprocess where the pod does everything itself",
        )
    if kind == "in_process":
        return dg.in_process_executor
    return step_processes.configured({"max_concurrent": 2})


@dg.executor(
    name="k8s",
    config_schema=dg.Permissive(),  # type: ignore[no-untyped-call]
    requirements=dg.multiple_process_executor_requirements(),
)
def in_step_pod(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Stands for the executor in the pod of a step, which executes no run: the real one takes a second to import."""
    raise BadInput(STEP_OF_POD, "is set, so this is the pod of one step", "execute runs where it is not set")


def loadable_executor() -> dg.ExecutorDefinition:
    """The same; where the settings allow none, one that fails every run with the reason, so that the rest loads."""
    chosen = None
    try:
        chosen = executor()
    except (BadInput, ImportError) as error:
        refused = (
            error
            if isinstance(error, BadInput)
            else BadInput("CHESTGAN_EXECUTOR", f"k8s needs {error.name}", "pip install 'chestgan[k8s]'")
        )
        note_fault(f"{refused} (every run fails until then)")
        return refusing_executor(refused)
    return chosen


def refusing_executor(error: ChestganError) -> dg.ExecutorDefinition:
    """Fails every run with this error, before any of its steps starts."""

    @dg.executor(
        name="refused",
        config_schema=dg.multiprocess_executor.config_schema.as_field(),
        requirements=dg.multiple_process_executor_requirements(),
    )
    def refused(init_context: dg.InitExecutorContext) -> dg.Executor:
        raise error

    return refused


def study_executor() -> dg.ExecutorDefinition:
    """The same executor, with as many steps at a time as a study has workers."""
    usual = loadable_executor()
    return step_processes if usual.name == step_processes.name else usual


def widen_download_pool(instance: dg.DagsterInstance) -> None:
    """Allow two downloads at a time, unless somebody has set a limit (in the UI: Deployment > Concurrency)."""
    storage = instance.event_log_storage
    if all(pool.name != DOWNLOAD_POOL or pool.from_default for pool in storage.get_pool_limits()):
        storage.set_concurrency_slots(DOWNLOAD_POOL, DOWNLOADS)
