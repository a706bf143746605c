"""deploy/kubernetes/rbac.yaml is enough for all that our processes ask of Kubernetes, and every verb is needed."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes
import pytest
import yaml
from dagster_k8s.client import DagsterKubernetesClient, PatchedApiClient
from kubernetes.client import ApiException

from tests.kubernetes.cluster import IMAGE, MANIFESTS, Namespace, await_true, mounts, namespace, path_variable

pytestmark = pytest.mark.kubernetes
RULES: list[dict[str, Any]] = yaml.safe_load((MANIFESTS / "rbac.yaml").read_text())["rules"]
VERBS = [(rule["apiGroups"][0], rule["resources"][0], verb) for rule in RULES for verb in rule["verbs"]]


@pytest.fixture(scope="module")
def room(cluster: None) -> Iterator[Namespace]:
    with namespace(f"chestgan-rights-{uuid.uuid4().hex[:6]}") as made:
        yield made


@pytest.fixture(scope="module")
def client(room: Namespace) -> DagsterKubernetesClient:
    """Dagster's client, as the account of a run pod."""
    config = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(client_configuration=config)
    config.cert_file = config.key_file = None
    api = PatchedApiClient(config)
    api.set_default_header("Authorization", f"Bearer {token(room)}")
    return DagsterKubernetesClient(
        kubernetes.client.BatchV1Api(api),
        kubernetes.client.CoreV1Api(api),
        print,
        lambda seconds: None,
        lambda: 0,
    )


def token(room: Namespace) -> str:
    """Of the account `chestgan`, from inside one of its pods: older clusters have no request for one."""
    room.apply(pod("asker", "cat /var/run/secrets/kubernetes.io/serviceaccount/token"))
    await_true(
        lambda: phase(room, "asker") == "Succeeded", 60, lambda: room.kubectl("describe", "pod", "asker")
    )
    return room.kubectl("logs", "asker").strip()


def pod(name: str, command: str) -> dict[str, Any]:
    volumes, mounted = mounts()
    told = {
        "name": "one", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["/usr/bin/sh", "-c", command],
        "volumeMounts": mounted, "env": [{"name": key, "value": value} for key, value in path_variable().items()],
    }  # fmt: skip
    spec = {
        "serviceAccountName": "chestgan",
        "restartPolicy": "Never",
        "containers": [told],
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def job(name: str, command: str) -> dict[str, Any]:
    spec = pod(name, command)["spec"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


def phase(room: Namespace, name: str) -> str:
    return str(json.loads(room.kubectl("get", "pod", name, "-o", "json"))["status"]["phase"])


def lacking(asked: Callable[[], object]) -> bool:
    """Whether the account lacks a right for it. Dagster puts refusals into other errors, or into its words."""
    try:
        told = asked()
    except Exception as error:
        causes = [error, error.__cause__, error.__context__]
        if any(isinstance(cause, ApiException) and cause.status == 403 for cause in causes):
            return True
        raise
    return "Forbidden" in str(told)


@pytest.fixture(scope="module")
def dead(room: Namespace) -> str:
    """The pod of a Job that failed, as executor and launcher look at it."""
    room.apply(job("dead", "echo said; exit 3"))
    (pod,) = await_true(lambda: room.pods("job-name=dead"), 60)
    name = str(pod["metadata"]["name"])
    await_true(lambda: phase(room, name) == "Failed", 60, lambda: room.kubectl("describe", "pod", name))
    return name


def refused(client: DagsterKubernetesClient, room: Namespace, dead: str) -> set[str]:
    """What launcher and executor ask of the API server in the life of a step, as far as it was refused."""
    here, name = room.name, f"job-{uuid.uuid4().hex[:8]}"
    found = {"start": lacking(lambda: client.create_namespaced_job_with_retries(job(name, "sleep 60"), here))}
    found["watch"] = lacking(lambda: client.get_job_status("dead", here, 0))
    found["look up its own pod"] = lacking(lambda: client.get_pod_by_name(dead, here))
    found["tell why a pod died"] = lacking(lambda: client.get_pods_in_job("dead", here))
    found["tell what a pod said"] = lacking(
        lambda: client.retrieve_pod_logs(dead, here, container_name="one")
    )
    found["tell the events of a pod"] = lacking(lambda: client.retrieve_pod_events(dead, here))
    found["tell of a Job without a pod"] = lacking(lambda: client.get_job_debug_info("dead", here))
    if not found["start"]:
        await_true(lambda: room.pods(f"job-name={name}"), 60)
        found["end"] = lacking(lambda: client.delete_job(name, here))
        room.kubectl("delete", "job", name, "--ignore-not-found", "--wait=false")
    return {what for what, was in found.items() if was}


def grant(room: Namespace, rules: list[dict[str, Any]]) -> None:
    """Exactly these rights, from the moment that the API server knows of them."""
    role = yaml.safe_load((MANIFESTS / "rbac.yaml").read_text())
    room.apply({**role, "rules": rules})
    granted = {
        verb for verb in VERBS for rule in rules if verb[1] in rule["resources"] and verb[2] in rule["verbs"]
    }
    await_true(lambda: all(may(room, *verb) == (verb in granted) for verb in VERBS), 60, lambda: rules, 0.2)


def may(room: Namespace, group: str, resource: str, verb: str, account: str = "chestgan") -> bool:
    kind, _, part = resource.partition("/")
    told = [
        "auth",
        "can-i",
        verb,
        f"{kind}.{group}" if group else kind,
        *([f"--subresource={part}"] if part else []),
    ]
    return (
        room.kubectl(*told, f"--as=system:serviceaccount:{room.name}:{account}", check=False).strip() == "yes"
    )


def test_the_rights_are_enough(client: DagsterKubernetesClient, room: Namespace, dead: str) -> None:
    grant(room, RULES)
    assert not refused(client, room, dead)


@pytest.mark.parametrize("verb", VERBS, ids=[" ".join(verb) for verb in VERBS])
def test_every_right_is_needed(
    verb: tuple[str, str, str], client: DagsterKubernetesClient, room: Namespace, dead: str
) -> None:
    _, resource, taken = verb
    rest = [
        {**rule, "verbs": [one for one in rule["verbs"] if (rule["resources"], one) != ([resource], taken)]}
        for rule in RULES
    ]
    grant(room, [rule for rule in rest if rule["verbs"]])
    assert refused(client, room, dead), f"nothing needs {taken} of {resource}"


def test_a_step_may_ask_nothing(room: Namespace) -> None:
    assert not any(may(room, *verb, account="chestgan-steps") for verb in VERBS)
