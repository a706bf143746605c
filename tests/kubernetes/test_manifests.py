"""What deploy/kubernetes says is what the API server takes, defaults and admission included; nothing is made."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.kubernetes.cluster import MANIFESTS, Namespace

pytestmark = pytest.mark.kubernetes
FILES = sorted(MANIFESTS.rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(MANIFESTS)) for file in FILES])
def test_the_api_server_takes_it(file: Path, place: Namespace) -> None:
    told = [one for one in yaml.safe_load_all(file.read_text()) if one]
    for one in told:
        if one["kind"] != "Namespace":
            one["metadata"]["namespace"] = place.name  # in a dry run, that of the file is not there
    ran = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "--validate=true", "-f", "-"],
        input=yaml.safe_dump_all(told),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("(server dry run)") == len(told)
