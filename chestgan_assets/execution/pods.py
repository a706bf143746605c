"""Steps in pods of their own: Dagster's Kubernetes executor with our profiles, and with the reason why a pod failed.

Input: $CHESTGAN_EXECUTOR is k8s, pod_profiles.yaml, a run. Output: one Job per step. What dagster-k8s lacks is here:
the resources of a pod depend on its partition too (an experiment requests GPUs and memory), a pod that died or cannot
start is reported with the reason, and a Job that ended without an event of its step fails the step instead of leaving
the run to wait for ever.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_k8s import K8sRunLauncher, k8s_job_executor
from dagster_k8s.client import DagsterKubernetesClient, k8s_api_retry_creation_mutation
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from kubernetes.client import V1Job, V1Pod

from chestgan_assets.execution.dagster_pod_internals import (
    CheckStepHealthResult,
    RetryMode,
    StepDelegatingExecutor,
    StepDependencyConfig,
    StepHandler,
    StepHandlerContext,
)
from chestgan_assets.execution.pod_failures import why_dead, why_waiting
from chestgan_assets.execution.pod_profiles import PodSettings, load_pod_settings, step_pod_config
from chestgan_assets.load_faults import left_out
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.tags import PARTITION_TAG
from chestgan_core.config.experiment import Compute
from chestgan_core.config.names import TUNED_SUFFIX
from chestgan_core.store.store import Store
from chestgan_core.tuning.tuned import load_stored_experiment

# Health checks are 20 s apart. A step writes its result before its pod ends; the database may be some seconds behind.
SILENT_CHECKS = 2
# A registry that failed to deliver an image once may deliver it at the next attempt.
HOPELESS_CHECKS = 3
# Two minutes in all: an API server that is being upgraded is away for less.
CREATE_RETRIES, CREATE_EVERY = 12, 10.0

# Fields of the executor's configuration that K8sContainerContext takes by the same name.
_CONTEXT_FIELDS = (
    "image_pull_policy",
    "image_pull_secrets",
    "service_account_name",
    "env_config_maps",
    "env_secrets",
    "env_vars",
    "volume_mounts",
    "volumes",
    "labels",
    "resources",
    "scheduler_name",
    "security_context",
)


class PatientClient(DagsterKubernetesClient):
    """Retries the creation of a Job for two minutes; Dagster's own client gives up, and ends the run, after 40 s.

    Dagster's reads the run's own pod, which owns every Job, without any retry.
    """

    def create_namespaced_job_with_retries(
        self, body: V1Job, namespace: str, wait_time_between_attempts: float = CREATE_EVERY
    ) -> None:
        """See DagsterKubernetesClient."""
        k8s_api_retry_creation_mutation(
            lambda: self.batch_api.create_namespaced_job(body=body, namespace=namespace, _request_timeout=10),
            max_retries=CREATE_RETRIES,
            timeout=wait_time_between_attempts,
        )

    def get_pod_by_name(self, pod_name: str, namespace: str) -> V1Pod:
        """See DagsterKubernetesClient."""
        found: list[V1Pod] = []
        k8s_api_retry_creation_mutation(
            lambda: found.append(
                self.core_api.read_namespaced_pod(pod_name, namespace=namespace, _request_timeout=10)
            ),
            max_retries=CREATE_RETRIES,
            timeout=CREATE_EVERY,
        )
        return found[0]


class StepPod(K8sStepHandler):
    """Starts, watches and ends the Job of one step. container_context: what the Job of this step gets."""

    def __init__(
        self,
        container_context: K8sContainerContext,
        image: str | None,
        load_incluster_config: bool,
        kubeconfig_file: str | None,
        per_step_k8s_config: Mapping[str, Any],
    ) -> None:
        super().__init__(
            image=image,
            container_context=container_context,
            load_incluster_config=load_incluster_config,
            kubeconfig_file=kubeconfig_file,
            per_step_k8s_config=per_step_k8s_config,
            # The Jobs of a run are deleted with its pod, even where nobody is left to delete them.
            enable_owner_references=True,
        )
        client = self._api_client
        self._api_client = PatientClient(  # type: ignore[no-untyped-call]
            client.batch_api, client.core_api, client.logger, client.sleeper, client.timer
        )
        self._reported = ""
        self._counts: Counter[str] = Counter()

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Whether the pod of the step is alive; if it is not, why."""
        job = self._get_k8s_step_job_name(step_handler_context)
        namespace = str(self._get_container_context(step_handler_context).namespace)
        status = self._api_client.get_job_status(job_name=job, namespace=namespace)
        if status and status.succeeded and not status.failed:
            return self._check_silent(job)
        pods = self._api_client.get_pods_in_job(job, namespace)
        if status and not status.failed:
            return self._check_waiting(step_handler_context, job, pods)
        reasons = [reason for pod in pods if (reason := why_dead(pod))]
        unknown = f"Job {job}: {'failed' if status else 'is gone'}, and no pod says why; look at its events"
        return CheckStepHealthResult.unhealthy(reason=reasons[-1] if reasons else unknown)

    def _check_silent(self, job: str) -> CheckStepHealthResult:
        """For a Job that succeeded while its step is still thought to run."""
        if self._count(f"{job} silent") < SILENT_CHECKS:
            return CheckStepHealthResult.healthy()
        return CheckStepHealthResult.unhealthy(
            reason=f"Job {job}: its pod ended without an event of the step, as when its node is drained; "
            "the step can be tried again"
        )

    def _check_waiting(
        self, context: StepHandlerContext, job: str, pods: Sequence[Any]
    ) -> CheckStepHealthResult:
        """Logs once why a pod does not start, and gives up where it never will."""
        for pod in pods:
            waiting = why_waiting(pod)
            if waiting is None:
                continue
            self._report(context, waiting.text)
            if waiting.never and self._count(f"{job} hopeless") >= HOPELESS_CHECKS:
                # It would hold its slot for ever, and start when nobody waits for it any more.
                list(self.terminate_step(context))
                return CheckStepHealthResult.unhealthy(reason=waiting.text)
        return CheckStepHealthResult.healthy()

    def _report(self, context: StepHandlerContext, text: str) -> None:
        if text != self._reported:
            self._reported = text
            context.get_step_context(_step_key(context)).log.warning(text)

    def _count(self, what: str) -> int:
        self._counts[what] += 1
        return self._counts[what]


class StepPods(StepHandler):
    """Gives each step of a run a StepPod, whose container context depends on step and partition.

    open_pod: makes the StepPod from a container context. run_context: what the run's configuration says of all steps.
    """

    def __init__(
        self,
        open_pod: Callable[[K8sContainerContext], StepPod],
        run_context: K8sContainerContext,
        settings: PodSettings,
    ) -> None:
        self._open_pod, self._run_context, self._settings = open_pod, run_context, settings
        self._pods: dict[str, StepPod] = {}

    @property
    def name(self) -> str:
        """For Dagster's log."""
        return "StepPods"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Create the Job of a step."""
        yield from self._pod(step_handler_context).launch_step(step_handler_context)

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """See StepPod."""
        return self._pod(step_handler_context).check_step_health(step_handler_context)

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Delete the Job of a step."""
        yield from self._pod(step_handler_context).terminate_step(step_handler_context)

    def _pod(self, context: StepHandlerContext) -> StepPod:
        step = _step_key(context)
        if step not in self._pods:
            partition = context.dagster_run.tags.get(PARTITION_TAG, "")
            config = step_pod_config(self._settings, step, partition, _requested(partition))
            ours = K8sContainerContext(run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config))  # type: ignore[no-untyped-call]
            # What a person sets at the launch is merged onto ours: lists are appended, everything else is replaced.
            self._pods[step] = self._open_pod(ours.merge(self._run_context))
        return self._pods[step]


@dg.executor(
    name="k8s",
    config_schema=k8s_job_executor.config_schema.as_field(),
    requirements=dg.multiple_process_executor_requirements(),
)
def step_pods(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Dagster's k8s_job_executor, with its configuration, whose steps StepPods handles."""
    settings = load_pod_settings()
    config: dict[str, Any] = dict(init_context.executor_config)
    launcher = init_context.instance.run_launcher
    of_launcher = launcher if isinstance(launcher, K8sRunLauncher) else None

    def open_pod(context: K8sContainerContext) -> StepPod:
        return StepPod(
            context,
            image=config.get("job_image"),
            load_incluster_config=config.get(
                "load_incluster_config", of_launcher.load_incluster_config if of_launcher else True
            ),
            kubeconfig_file=config.get(
                "kubeconfig_file", of_launcher.kubeconfig_file if of_launcher else None
            ),
            per_step_k8s_config=config.get("per_step_k8s_config", {}),
        )

    run_context = K8sContainerContext(
        **{name: config.get(name) for name in _CONTEXT_FIELDS},
        namespace=config.get("job_namespace"),
        run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config.get("step_k8s_config", {})),  # type: ignore[no-untyped-call]
    )
    return StepDelegatingExecutor(
        StepPods(open_pod, run_context, settings),
        retries=RetryMode.from_config(config["retries"]) or RetryMode.ENABLED,
        max_concurrent=config.get("max_concurrent", settings.max_concurrent),
        tag_concurrency_limits=config.get("tag_concurrency_limits"),
        should_verify_step=True,
        step_dependency_config=StepDependencyConfig.from_config(config.get("step_dependency_config")),
    )


def _requested(partition: str) -> Compute | None:
    """What an experiment requests for its pods; None where the partition is none."""
    if partition in EXPERIMENTS:
        return EXPERIMENTS[partition].compute
    if not partition.endswith(TUNED_SUFFIX) or ":" in partition:
        return None
    # Written by a study after this pod's image: no load of a run asks the store.
    with left_out(f"experiment {partition}", "its pods get what the profile of the step says"):
        return load_stored_experiment(Store.open(), partition).compute
    return None


def _step_key(context: StepHandlerContext) -> str:
    """Of the one step that a pod executes."""
    (key,) = context.execute_step_args.step_keys_to_execute or ()
    return key
