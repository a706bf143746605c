"""Why a pod died, or does not start, in one line: object, cause, remedy.

Input: a pod as the Kubernetes client reads it (core/v1 Pod). Output: a sentence, or None. Dagster reports only that the
Job failed. Memory, exit code, eviction, image, missing GPU: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Waiting does not help: the node pulls the image again and again, or cannot create the container.
_PERMANENT = {
    "ErrImagePull": "check the name of the image and the rights to pull it",
    "ImagePullBackOff": "check the name of the image and the rights to pull it",
    "ErrImageNeverPull": "load the image onto the node, or change image_pull_policy",
    "InvalidImageName": "correct the image",
    "CreateContainerConfigError": "create the named Secret or ConfigMap with that key",
    "CreateContainerError": "inspect the pod with kubectl describe",
    "RunContainerError": "inspect the pod with kubectl describe",
}
_SIGKILL, _SIGTERM = 137, 143  # 128 + SIGKILL, 128 + SIGTERM
_OUTSIDE = {
    "Evicted": "raise scratch or memory of the step's profile, whichever is named, or use larger nodes",
    "DeadlineExceeded": "raise active_deadline_seconds of the Job",
    "NodeLost": "the node is gone; the step can be tried again",
    "NodeShutdown": "the node was shut down; the step can be tried again",
    "Terminated": "the node was shut down; the step can be tried again",
    "Shutdown": "the node was shut down; the step can be tried again",
    "Preempting": "a pod of higher priority took its place; the step can be tried again",
    "UnexpectedAdmissionError": "the node could not provide what it had offered, such as a broken GPU; inspect it",
}


@dataclass(frozen=True)
class Waiting:
    """Why a pod does not start. never: waiting will not help."""

    text: str
    never: bool


def why_dead(pod: Any) -> str | None:
    """The cause and the remedy; None for a pod that has not failed, or does not say why."""
    status, name = pod.status, pod.metadata.name
    if status.reason:
        remedy = _OUTSIDE.get(status.reason, "inspect the node and its events")
        message = _line(status.message)
        return f"pod {name}: {status.reason}{f' ({message})' if message else ''}; {remedy}"
    for condition in status.conditions or ():
        if condition.type == "DisruptionTarget" and condition.status == "True":
            remedy = "the step can be tried again"
            return f"pod {name}: was evicted from its node ({condition.reason}: {_line(condition.message)}); {remedy}"
    for container in _containers(pod):
        ended = container.state and container.state.terminated
        if ended and (ended.exit_code or ended.reason == "OOMKilled"):
            return f"pod {name}: {_of_exit(ended.exit_code, ended.reason or '', name, _limit(pod, container.name))}"
    return None


def why_waiting(pod: Any) -> Waiting | None:
    """None for a pod that runs, or is about to."""
    name = pod.metadata.name
    for container in _containers(pod):
        waits = container.state and container.state.waiting
        if waits and (remedy := _PERMANENT.get(waits.reason or "")):
            return Waiting(
                f"pod {name}: {waits.reason} ({_line(waits.message) or container.image}); {remedy}", True
            )
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            remedy = "it starts when a node has room; check requests, node selector, tolerations of the step's profile"
            return Waiting(f"pod {name}: no node can run it ({_line(condition.message)}); {remedy}", False)
    return None


def _of_exit(code: int, reason: str, name: str, limit: str) -> str:
    if reason == "OOMKilled":
        return (
            f"exceeded its memory limit of {limit} and was killed (OOMKilled); raise memory of the step's profile or "
            "compute.memory_gib of the experiment, or make its batch smaller"
        )
    if code == _SIGKILL:
        return f"was killed (exit code {code}) by a node short of memory or by a person; inspect its events"
    if code == _SIGTERM:
        return f"received SIGTERM (exit code {code}), as when a node is drained; the step can be tried again"
    return f"its process ended with exit code {code} before it reported a result; read kubectl logs {name}"


def _containers(pod: Any) -> Iterator[Any]:
    yield from pod.status.init_container_statuses or ()
    yield from pod.status.container_statuses or ()


def _limit(pod: Any, container: str) -> str:
    for spec in pod.spec.containers:
        if spec.name == container and spec.resources and spec.resources.limits:
            return str(spec.resources.limits.get("memory", "unknown size"))
    return "unknown size"


def _line(message: str | None) -> str:
    return " ".join((message or "").split())
