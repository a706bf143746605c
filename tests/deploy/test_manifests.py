"""deploy/kubernetes: every field is one of Kubernetes, names agree, pods meet the restricted standard."""

from collections.abc import Iterator
from typing import Any

import kubernetes.client
import pytest

from tests.deploy.files import code_server, manifests, values

DOCUMENTS = list(manifests())
TITLES = [f"{path}:{manifest['kind']}/{manifest['metadata']['name']}" for path, manifest in DOCUMENTS]


def unknown(manifest: Any, kind: str, where: str) -> Iterator[str]:
    """Fields that the API's model of this kind does not have."""
    if kind.startswith("list["):
        for number, inner in enumerate(manifest):
            yield from unknown(inner, kind[5:-1], f"{where}[{number}]")
    elif kind.startswith("dict["):
        for name, inner in manifest.items():
            yield from unknown(inner, kind.partition(", ")[2][:-1], f"{where}.{name}")
    elif model := getattr(kubernetes.client, kind, None):
        fields = {model.attribute_map[name]: inner for name, inner in model.openapi_types.items()}
        for name, inner in manifest.items():
            if name not in fields:
                yield f"{where}.{name}"
            else:
                yield from unknown(inner, fields[name], f"{where}.{name}")


def test_a_field_that_does_not_exist_is_found() -> None:
    """The check itself: a misspelt field deep in a list would pass every other test."""
    manifest = {"spec": {"template": {"spec": {"containers": [{"name": "a", "imagePullPolice": "Never"}]}}}}
    assert list(unknown(manifest, "V1StatefulSet", "it")) == [
        "it.spec.template.spec.containers[0].imagePullPolice"
    ]


@pytest.mark.parametrize(("path", "manifest"), DOCUMENTS, ids=TITLES)
def test_every_manifest_has_only_fields_of_its_kind(path: str, manifest: dict[str, Any]) -> None:
    assert not list(unknown(manifest, f"V1{manifest['kind']}", manifest["kind"]))
    version = manifest["apiVersion"].rpartition("/")[2]
    assert version == "v1", f"{path}: beta versions vanish"


def test_everything_is_in_the_one_namespace() -> None:
    """Accounts and roles name none: kubectl -n says it, in the tests another one."""
    for path, manifest in DOCUMENTS:
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"].get("namespace", "chestgan") == "chestgan", path


def pod_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, manifest in DOCUMENTS:
        if template := manifest.get("spec", {}).get("template"):
            yield f"{path}:{manifest['metadata']['name']}", template["spec"]


def test_the_namespace_demands_the_restricted_standard() -> None:
    (namespace,) = (manifest for _, manifest in DOCUMENTS if manifest["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(("where", "spec"), list(pod_specs()))
def test_pods_of_manifests_meet_the_restricted_standard(where: str, spec: dict[str, Any]) -> None:
    assert_restricted(spec)


def assert_restricted(spec: dict[str, Any]) -> None:
    """What the admission of the standard looks at, and a root that nobody can write to."""
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        manifest = container["securityContext"]
        assert manifest["allowPrivilegeEscalation"] is False
        assert manifest["capabilities"] == {"drop": ["ALL"]}
        assert manifest["readOnlyRootFilesystem"] is True
        assert not manifest.get("privileged")
    assert all(set(volume) - {"name"} <= ALLOWED for volume in spec.get("volumes", []))
    assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))


ALLOWED = {
    "configMap",
    "emptyDir",
    "secret",
    "persistentVolumeClaim",
    "projected",
    "downwardAPI",
    "ephemeral",
    "csi",
}


def test_network_policies_choose_pods_that_there_are() -> None:
    """Labels of Dagster's Jobs come from the library, `component` from the chart."""
    from dagster_k8s.job import get_common_labels

    assert get_common_labels()["app.kubernetes.io/name"] == "dagster"
    chosen = {
        value
        for _, manifest in DOCUMENTS
        if manifest["kind"] == "NetworkPolicy"
        for expression in manifest["spec"]["podSelector"].get("matchExpressions", [])
        if expression["key"] == "component"
        for value in expression["values"]
    }
    assert chosen == {"dagster-webserver", "dagster-webserver-read-only", "dagster-daemon"}


def test_ports_of_policies_are_those_of_the_values() -> None:
    policies = {
        manifest["metadata"]["name"]: manifest["spec"]
        for _, manifest in DOCUMENTS
        if manifest["kind"] == "NetworkPolicy"
    }
    chart = values()

    def open_for(name: str) -> set[int]:
        rules = [*policies[name].get("ingress", []), *policies[name].get("egress", [])]
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert open_for("code-server") == open_for("to-code-server") == {code_server(chart)["port"]}
    assert open_for("webserver") == open_for("to-webserver") == {chart["dagsterWebserver"]["service"]["port"]}
    assert chart["postgresql"]["service"]["port"] in open_for("store-and-database")


def test_nothing_comes_in_or_goes_out_by_itself() -> None:
    (policy,) = (manifest for _, manifest in DOCUMENTS if manifest["metadata"]["name"] == "nothing-by-itself")
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
