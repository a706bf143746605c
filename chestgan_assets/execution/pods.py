"""Steps in pods of their own: Dagster's Kubernetes executor, with our profiles and with reasons.

In: $CHESTGAN_EXECUTOR is k8s, steps.yaml, a run. Out: a Job a step. What dagster-k8s leaves open is here: what a pod
gets depends on its partition too (an experiment asks for GPUs and memory), a pod that died or cannot start is told with
its reason, and a Job that ended without a word of its step fails the step instead of letting the run wait for ever.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.events import EngineEventData
from dagster._core.executor.base import Executor
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandlerContext,
)
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster_k8s import k8s_job_executor
from dagster_k8s.client import DagsterKubernetesClient, k8s_api_retry_creation_mutation
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from kubernetes.client import V1Job, V1Pod

from chestgan_assets.execution.pod_failures import why_dead, why_waiting
from chestgan_assets.execution.pod_profiles import Steps, load_steps, pod_of_step
from chestgan_assets.partitions import EXPERIMENTS

# Health checks are 20 s apart. A step tells its result before its pod ends; the database may be some seconds behind.
SILENT_CHECKS = 2
# An image that a registry did not give once may come with the next attempt.
HOPELESS_CHECKS = 3
# Together two minutes: an API server that is upgraded is away for less.
CREATE_RETRIES, CREATE_EVERY = 12, 10.0


class PatientClient(DagsterKubernetesClient):
    """Goes on trying for two minutes to start a Job; Dagster's own gives up, and ends the run, after 40 s.

    Of its own pod, which every Job is to go with, Dagster's asks once only.
    """

    def create_namespaced_job_with_retries(
        self, body: V1Job, namespace: str, wait_time_between_attempts: float = CREATE_EVERY
    ) -> None:
        """As there."""
        k8s_api_retry_creation_mutation(
            lambda: self.batch_api.create_namespaced_job(body=body, namespace=namespace, _request_timeout=10),
            max_retries=CREATE_RETRIES,
            timeout=wait_time_between_attempts,
        )

    def get_pod_by_name(self, pod_name: str, namespace: str) -> V1Pod:
        """As there."""
        found: list[V1Pod] = []
        k8s_api_retry_creation_mutation(
            lambda: found.append(
                self.core_api.read_namespaced_pod(pod_name, namespace=namespace, _request_timeout=10)
            ),
            max_retries=CREATE_RETRIES,
            timeout=CREATE_EVERY,
        )
        return found[0]


class StepPods(K8sStepHandler):
    """Starts, watches and ends the Job of each step. plain: what Dagster made of the run's configuration."""

    def __init__(self, plain: K8sStepHandler, steps: Steps) -> None:
        vars(self).update(vars(plain))
        self._steps = steps
        self._machines = {name: experiment.machine for name, experiment in EXPERIMENTS.items()}
        client = self._api_client
        self._api_client = PatientClient(  # type: ignore[no-untyped-call]
            client.batch_api, client.core_api, client.logger, client.sleeper, client.timer
        )
        # The Jobs of a run go with its pod, also where nobody could end them.
        self._enable_owner_references = True
        self._told: dict[str, str] = {}
        self._counted: dict[str, int] = {}

    def _get_container_context(self, step_handler_context: StepHandlerContext) -> K8sContainerContext:
        partition = step_handler_context.dagster_run.tags.get(PARTITION_NAME_TAG, "")
        told = pod_of_step(self._steps, self._get_step_key(step_handler_context), self._machines, partition)
        config = UserDefinedDagsterK8sConfig.from_dict(told)  # type: ignore[no-untyped-call]
        ours = K8sContainerContext(run_k8s_config=config)
        # Ours comes before what a person says at the launch: lists grow, everything else is theirs.
        plain = self._executor_container_context
        self._executor_container_context = ours.merge(plain)
        try:
            return super()._get_container_context(step_handler_context)
        finally:
            self._executor_container_context = plain

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Whether the pod of a step lives; of one that does not, why."""
        job = self._get_k8s_step_job_name(step_handler_context)
        namespace = str(self._get_container_context(step_handler_context).namespace)
        status = self._api_client.get_job_status(job_name=job, namespace=namespace)
        if status and status.succeeded and not status.failed:
            return self._silent(job)
        pods = self._api_client.get_pods_in_job(job, namespace)
        if status and not status.failed:
            return self._waiting(step_handler_context, job, pods)
        reasons = [reason for pod in pods if (reason := why_dead(pod))]
        unknown = f"Job {job}: {'failed' if status else 'is gone'}, and no pod says why; look at its events"
        return CheckStepHealthResult.unhealthy(reason=reasons[-1] if reasons else unknown)

    def _silent(self, job: str) -> CheckStepHealthResult:
        """Of a Job that ended well, while its step is still thought to run."""
        if self._count(f"{job} silent") < SILENT_CHECKS:
            return CheckStepHealthResult.healthy()
        return CheckStepHealthResult.unhealthy(
            reason=f"Job {job}: its pod ended without a word of the step, as when a node is emptied under it; "
            "the step can be tried again"
        )

    def _waiting(self, context: StepHandlerContext, job: str, pods: Sequence[Any]) -> CheckStepHealthResult:
        """Tells once why a pod does not start, and gives up where it never will."""
        for pod in pods:
            waiting = why_waiting(pod)
            if waiting is None:
                continue
            self._tell(context, waiting.text)
            if waiting.never and self._count(f"{job} hopeless") >= HOPELESS_CHECKS:
                # It would take its place for ever, and start when nobody waits for it any more.
                list(self.terminate_step(context))
                return CheckStepHealthResult.unhealthy(reason=waiting.text)
        return CheckStepHealthResult.healthy()

    def _tell(self, context: StepHandlerContext, text: str) -> None:
        step = self._get_step_key(context)
        if self._told.get(step) != text:
            self._told[step] = text
            dg.DagsterEvent.engine_event(context.get_step_context(step), text, EngineEventData())

    def _count(self, what: str) -> int:
        self._counted[what] = self._counted.get(what, 0) + 1
        return self._counted[what]


def _create(init_context: dg.InitExecutorContext) -> Executor:
    steps = load_steps()
    told = dict(init_context.executor_config)
    told.setdefault("max_concurrent", steps.at_once)
    create = k8s_job_executor.executor_creation_fn
    assert create is not None  # noqa: S101 an executor has one
    plain = create(init_context._replace(executor_config=told))
    assert isinstance(plain, StepDelegatingExecutor)  # noqa: S101
    handler = plain._step_handler
    assert isinstance(handler, K8sStepHandler)  # noqa: S101
    plain._step_handler = StepPods(handler, steps)
    return plain


# Dagster's k8s_job_executor, with its configuration, whose steps StepPods handles.
step_pods = dg.ExecutorDefinition(
    name="k8s",
    config_schema=k8s_job_executor.config_schema,  # type: ignore[arg-type]  # it is one already
    requirements=multiple_process_executor_requirements(),
    executor_creation_fn=_create,
)
