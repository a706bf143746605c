"""How steps run: owners, retries, the pool of the GPU and the executor."""

import os

import dagster as dg

from chestgan_core.errors import BadInput

OWNERS = ["team:chestgan"]

# Only what may pass by itself is retried; see failures.one_line_failures.
RETRY = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

# One step at a time on the accelerator, whatever the number of runs.
GPU_POOL = "gpu"
# So many patients are fetched at once, whatever the number of runs: servers and the line are shared.
DOWNLOAD_POOL = "download"


def executor() -> dg.ExecutorDefinition:
    """$CHESTGAN_EXECUTOR: multiprocess (default) or in_process.

    multiprocess gives every step a process of its own, so that the memory of training goes back when it ends.
    At most two at once: each may use every core.
    """
    told = os.environ.get("CHESTGAN_EXECUTOR", "multiprocess")
    if told == "in_process":
        return dg.in_process_executor
    if told == "multiprocess":
        return dg.multiprocess_executor.configured({"max_concurrent": 2})
    raise BadInput("CHESTGAN_EXECUTOR", f"is {told!r}", "choose in_process or multiprocess")
