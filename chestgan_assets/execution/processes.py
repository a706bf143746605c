"""Steps in processes of one machine: those that open PyTorch in one of their own each, all others in that of the run.

In: $CHESTGAN_EXECUTOR is multiprocess, a run. Out: its steps. To open PyTorch takes seconds and hundreds of megabytes:
the memory goes back when its step ends, and a run opens it once, in a server that its steps are forked from. A patient
needs none of it, so a backfill of hundreds starts a process for each, not three.
"""

import sys
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.base import Executor

# Assets whose steps open PyTorch.
ALONE = frozenset({"generator_checkpoint", "metric_report", "synthetic_image_set", "hyperparameter_study"})
# What they open. Only Linux forks what has been opened: frameworks of a Mac do not survive it.
PRELOADED = [
    "chestgan_assets.definitions",
    "chestgan_core.training.run",
    "chestgan_core.evaluation.stored_report",
]


def is_alone(step_key: str) -> bool:
    """Whether a step gets a process of its own: `generator_checkpoint`, `hyperparameter_study.run_trials[worker_0]`."""
    return step_key.partition(".")[0] in ALONE


class StepProcesses(Executor):
    """Dagster's multiprocess executor where a step of the run is to be alone, else its in-process executor."""

    def __init__(self, several: Executor, one: Executor) -> None:
        self._several, self._one = several, one

    @property
    def retries(self) -> RetryMode:
        """Whether steps that fail are tried again, and by whom."""
        return self._several.retries

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Run the steps of the plan; yields what happens to them."""
        alone = any(is_alone(key) for key in execution_plan.step_keys_to_execute)
        yield from (self._several if alone else self._one).execute(plan_context, execution_plan)


def _create(init_context: dg.InitExecutorContext) -> Executor:
    told: dict[str, Any] = dict(init_context.executor_config)
    if sys.platform == "linux":
        told.setdefault("start_method", {"forkserver": {"preload_modules": PRELOADED}})
    several, one = dg.multiprocess_executor.executor_creation_fn, dg.in_process_executor.executor_creation_fn
    assert several is not None  # noqa: S101 an executor has one
    assert one is not None  # noqa: S101
    return StepProcesses(
        several(init_context._replace(executor_config=told)),
        one(init_context._replace(executor_config={"retries": told["retries"]})),
    )


step_processes = dg.ExecutorDefinition(
    name="multiprocess",
    config_schema=dg.multiprocess_executor.config_schema,  # type: ignore[arg-type]  # it is one already
    requirements=multiple_process_executor_requirements(),
    executor_creation_fn=_create,
)
