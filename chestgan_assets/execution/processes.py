"""Steps as processes of one machine: steps that import PyTorch get a process each, all others run in that of the run.

Input: $CHESTGAN_EXECUTOR is multiprocess, a run. Output: its steps. Importing PyTorch takes seconds and hundreds of
megabytes: the memory is freed when the step ends, and a run imports it once, in a server that its steps are forked
from. The steps of patients need none of it, so a run of them is one process.
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import dagster as dg

from chestgan_assets.execution.dagster_internals import SentenceInterruption
from chestgan_assets.execution.interruptions import was_interrupted

if TYPE_CHECKING:
    from chestgan_assets.execution.dagster_internals import ExecutionPlan, PlanOrchestrationContext, RetryMode

# Assets whose steps import PyTorch.
ISOLATED = frozenset(
    {
        "generator_checkpoint",
        "metric_report",
        "synthetic_image_set",
        "reader_study_images",
        "hyperparameter_study",
    }
)
# What they import. Only on Linux: macOS frameworks do not survive a fork.
PRELOADED = [
    "chestgan_assets.definitions",
    "chestgan_core.training.run",
    "chestgan_core.evaluation.stored_report",
]


def is_isolated(step_key: str) -> bool:
    """Whether a step gets its own process: `generator_checkpoint`, `hyperparameter_study.run_trials[worker_0]`."""
    return step_key.partition(".")[0] in ISOLATED


class StepProcesses(dg.Executor):
    """Dagster's multiprocess executor for runs with an isolated step, its in-process executor for all others."""

    def __init__(self, multiprocess: dg.Executor, in_process: dg.Executor) -> None:
        self._multiprocess, self._in_process = multiprocess, in_process

    @property
    def retries(self) -> "RetryMode":
        """Whether failed steps are retried, and by whom."""
        return self._multiprocess.retries

    def execute(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[dg.DagsterEvent]:
        """Run the steps of the plan; yields their events.

        Raises SentenceInterruption: a signal ended the run. Whoever sent it has said whether that is a cancel or the
        end of its time (`dagster/max_runtime`); a failed step would make Dagster forget it, and not retry the latter.
        """
        isolated = any(is_isolated(key) for key in execution_plan.step_keys_to_execute)
        chosen = self._multiprocess if isolated else self._in_process
        try:
            with closing(chosen.execute(plan_context, execution_plan)) as events:  # type: ignore[type-var]
                for event in events:
                    yield event
                    # The multiprocess executor knows by itself: the signal reaches its process, too.
                    if chosen is self._in_process and was_interrupted(event):
                        raise dg.DagsterExecutionInterruptedError
        except dg.DagsterExecutionInterruptedError:
            raise SentenceInterruption("The run was canceled, or its process was ended.") from None


@dg.executor(
    name="multiprocess",
    config_schema=dg.multiprocess_executor.config_schema.as_field(),
    requirements=dg.multiple_process_executor_requirements(),
)
def step_processes(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Dagster's multiprocess executor, with its configuration, where a step of the run needs a process of its own."""
    config: dict[str, Any] = dict(init_context.executor_config)
    if sys.platform == "linux":
        config.setdefault("start_method", {"forkserver": {"preload_modules": PRELOADED}})
    multiprocess = dg.multiprocess_executor.executor_creation_fn
    in_process = dg.in_process_executor.executor_creation_fn
    assert multiprocess is not None  # noqa: S101 every executor has one
    assert in_process is not None  # noqa: S101
    return StepProcesses(
        multiprocess(init_context._replace(executor_config=config)),
        in_process(init_context._replace(executor_config={"retries": config["retries"]})),
    )
