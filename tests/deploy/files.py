"""The files of deploy/, read: manifests, values with their overlays, the services of compose."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
OVERLAYS = ("kind", "gpu")
ANYWHERE = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every document of deploy/kubernetes with the file it is in."""
    for path in KUBERNETES:
        for document in yaml.safe_load_all(path.read_text()):
            yield path.relative_to(DEPLOY).as_posix(), document


def values(overlay: str = "") -> dict[str, Any]:
    """values.yaml, with an overlay laid on it as Helm does it: maps are merged, lists replaced."""
    document = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    over = yaml.safe_load((DEPLOY / "helm" / f"{overlay}.yaml").read_text()) if overlay else {}
    return dict(_merged(document, over))


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    document = dict(under)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(document.get(name), dict)
        document[name] = _merged(document[name], value) if both else value
    return document


def code_server(document: Mapping[str, Any]) -> dict[str, Any]:
    """The one user code deployment."""
    (only,) = document["dagster-user-deployments"]["deployments"]
    return dict(only)


def compose() -> dict[str, Any]:
    """compose.yaml; what begins with x- is merged in already."""
    return dict(yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text()))


def locked(package: str) -> str:
    """The version of a package in requirements.lock."""
    (found,) = re.findall(rf"^{package}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return str(found)


def snake_case(document: Any) -> Any:
    """As the chart writes values into dagster.yaml: `uploadInterval` becomes `upload_interval`."""
    if isinstance(document, dict):
        return {
            re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): snake_case(value)
            for name, value in document.items()
        }
    return document


def walk(document: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document."""
    if isinstance(document, dict):
        yield document
    for inner in (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    ):
        yield from walk(inner)
