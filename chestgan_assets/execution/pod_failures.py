"""Why a pod died, or does not start, in one line: object, cause, remedy.

In: a pod as the Kubernetes client reads it (core/v1 Pod). Out: a sentence, or None. Dagster says only that the Job
failed. Memory, exit code, eviction, image, missing GPU: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Waiting does not cure these: the node asks for the image again and again, or cannot make the container.
_NEVER = {
    "ErrImagePull": "check the name of the image and the rights to pull it",
    "ImagePullBackOff": "check the name of the image and the rights to pull it",
    "ErrImageNeverPull": "bring the image to the node, or change image_pull_policy",
    "InvalidImageName": "correct the image",
    "CreateContainerConfigError": "create the Secret or ConfigMap that is named, with that key",
    "CreateContainerError": "look at the pod with kubectl describe",
    "RunContainerError": "look at the pod with kubectl describe",
}
_KILLED, _ENDED = 137, 143  # 128 + SIGKILL, 128 + SIGTERM
_OUTSIDE = {
    "Evicted": "raise scratch or memory of the step's profile, whichever is named, or use larger nodes",
    "DeadlineExceeded": "raise active_deadline_seconds of the Job",
    "NodeLost": "the node is gone; the step can be tried again",
    "NodeShutdown": "the node was shut down; the step can be tried again",
    "Terminated": "the node was shut down; the step can be tried again",
    "Shutdown": "the node was shut down; the step can be tried again",
    "Preempting": "a more important pod took its place; the step can be tried again",
    "UnexpectedAdmissionError": "the node could not give what it had offered, as a GPU that failed; look at the node",
}


@dataclass(frozen=True)
class Waiting:
    """Why a pod does not start. never: waiting cannot help."""

    text: str
    never: bool


def why_dead(pod: Any) -> str | None:
    """The cause and the remedy; None of a pod that neither failed nor says why."""
    status, name = pod.status, pod.metadata.name
    if status.reason:
        remedy = _OUTSIDE.get(status.reason, "look at the node and its events")
        message = _line(status.message)
        return f"pod {name}: {status.reason}{f' ({message})' if message else ''}; {remedy}"
    for condition in status.conditions or ():
        if condition.type == "DisruptionTarget" and condition.status == "True":
            remedy = "the step can be tried again"
            return f"pod {name}: was taken from its node ({condition.reason}: {_line(condition.message)}); {remedy}"
    for container in _containers(pod):
        ended = container.state and container.state.terminated
        if ended and (ended.exit_code or ended.reason == "OOMKilled"):
            return f"pod {name}: {_of_exit(ended.exit_code, ended.reason or '', name, _limit(pod, container.name))}"
    return None


def why_waiting(pod: Any) -> Waiting | None:
    """None of a pod that runs, or is about to."""
    name = pod.metadata.name
    for container in _containers(pod):
        waits = container.state and container.state.waiting
        if waits and (remedy := _NEVER.get(waits.reason or "")):
            return Waiting(
                f"pod {name}: {waits.reason} ({_line(waits.message) or container.image}); {remedy}", True
            )
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            remedy = "it starts when a node has room; see requests, node selector and tolerations of the step's profile"
            return Waiting(f"pod {name}: no node takes it ({_line(condition.message)}); {remedy}", False)
    return None


def _of_exit(code: int, reason: str, name: str, limit: str) -> str:
    if reason == "OOMKilled":
        return (
            f"was killed as it used more than its {limit} of memory (OOMKilled); raise memory of the step's profile, "
            "machine.memory_gib of the experiment, or make its batch smaller"
        )
    if code == _KILLED:
        return f"was killed (exit code {code}); by a node that is short of memory, or by somebody: look at its events"
    if code == _ENDED:
        return f"was told to end (exit code {code}), as when a node is emptied; the step can be tried again"
    return f"its process ended with exit code {code} before it told its result; read kubectl logs {name}"


def _containers(pod: Any) -> Iterator[Any]:
    yield from pod.status.init_container_statuses or ()
    yield from pod.status.container_statuses or ()


def _limit(pod: Any, container: str) -> str:
    for told in pod.spec.containers:
        if told.name == container and told.resources and told.resources.limits:
            return str(told.resources.limits.get("memory", "share"))
    return "share"


def _line(message: str | None) -> str:
    return " ".join((message or "").split())
