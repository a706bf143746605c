"""What steps in pods take from Dagster's private modules.

Apart from dagster_internals.py, since it loads all of Dagster's view of remote code: a tenth of `import dagster`.
"""

# What a step depends on, and who retries it: parameters of the executor below.
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig

# dagster-k8s builds its executor on these. To choose a pod by partition and to say why a pod died, ours has to as well.
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)

__all__ = [
    "CheckStepHealthResult",
    "RetryMode",
    "StepDelegatingExecutor",
    "StepDependencyConfig",
    "StepHandler",
    "StepHandlerContext",
]
