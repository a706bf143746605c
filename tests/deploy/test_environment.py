"""All of deploy/: variables that somebody reads, no secret, no image without a version, what the Dockerfile copies."""

import re
import subprocess
from pathlib import Path

import pytest

from chestgan_core.store.inner_tls import tls_environment
from tests.deploy.files import ANYWHERE, DEPLOY, ROOT, compose, manifests, values, walk

# Read by others: libraries that do not tell, and servers.
ELSEWHERE = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE",  # botocore
    "PGPASSWORD",  # libpq
    "PGDATA", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD",  # the image of PostgreSQL
    "SSL_CERT_FILE", "DAGSTER_HOME",
    "PATH", "HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "MPLCONFIGDIR", "OMP_WAIT_POLICY",
    "DAGSTER_DISABLE_TELEMETRY", "NVIDIA_DRIVER_CAPABILITIES",
    "PIP_NO_CACHE_DIR", "PIP_DISABLE_PIP_VERSION_CHECK",
    *tls_environment(Path("/data/inner.pem")),  # SeaweedFS
}  # fmt: skip
# What compose itself reads in .env, for images, ports and folders.
OF_COMPOSE = {
    "CHESTGAN_IMAGE",
    "CHESTGAN_POSTGRESQL_IMAGE",
    "CHESTGAN_SEAWEEDFS_IMAGE",
    "CHESTGAN_PORT",
    "CHESTGAN_READONLY_PORT",
    "CHESTGAN_PORTAL_POSTGRES_PASSWORD",  # and the script of the database
    "CHESTGAN_DATA",
    "CHESTGAN_DICOM",
    "COMPOSE_PROFILES",
}


def set_variables() -> set[str]:
    """Variables that a file of deploy/ sets, commented examples included."""
    named = set(
        re.findall(r"^ *(?:#  ?)?(?:ENV )?([A-Z][A-Z0-9_]{3,})[:=]", "\n".join(texts()), re.MULTILINE)
    )
    for document in (dict(values()), compose(), *(document for _, document in manifests())):
        for one in walk(document):
            if set(one) in ({"name", "value"}, {"name", "valueFrom"}):
                named.add(one["name"])
    return named


def texts() -> list[str]:
    return [path.read_text() for path in ANYWHERE]


def test_every_variable_is_read_by_somebody() -> None:
    sources = [
        *(ROOT / "chestgan_core").rglob("*.py"),
        *(ROOT / "chestgan_assets").rglob("*.py"),
        *(ROOT / "chestgan_portal").rglob("*.py"),
        DEPLOY / "dagster.yaml",
    ]
    code = "\n".join(path.read_text() for path in sources)
    named = set_variables()
    assert {
        "CHESTGAN_STORE",
        "CHESTGAN_EXECUTOR",
        "CHESTGAN_POD_PROFILES",
        "PGPASSWORD",
        "AWS_CA_BUNDLE",
    } <= named
    unread = {name for name in named - ELSEWHERE - OF_COMPOSE if not re.search(rf"\b{name}\b", code)}
    assert not unread


def test_there_is_no_secret() -> None:
    for path in ANYWHERE:
        text = path.read_text()
        assert not re.search(r"kind: Secret\b", text), path
        assert not re.search(r"AKIA[0-9A-Z]{16}|-----BEGIN", text), path
        # In an address a password would be written to every log that shows it.
        assert not re.search(r"://[^/\s:@]+:[^@\s/{$]+@", text), path
        for name, value in re.findall(r"(?i)(\w*(?:password|secret_access_key|_token))[:=][ \t]*(\S+)", text):
            assert value.startswith(("${", "{env:", "chestgan-postgresql", "false", "#")), (path, name)


def test_every_image_says_its_version() -> None:
    """A digest cannot be known here; each image can be set to one, by a variable or by values."""
    images = {
        line
        for path in ANYWHERE
        for line in re.findall(
            r"(?:image: |^ARG PYTHON=)(?:\$\{\w+:-)?([\w./-]+[:@][^\s}]*)", path.read_text(), re.MULTILINE
        )
    }
    assert {image.rpartition(":")[0].rpartition("/")[2] for image in images} == {
        "python", "chestgan", "postgres", "seaweedfs"
    }  # fmt: skip
    assert all(re.search(r":\d+\.\d+", image) for image in images), images
    froms = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(froms) == {"${PYTHON}"}
    for service in compose()["services"].values():
        assert re.fullmatch(r"\$\{CHESTGAN_(\w+_)?IMAGE:-.+\}", service["image"])
    tags = [one["tag"] for one in walk(values()) if "repository" in one]
    assert tags
    assert not re.search(r"latest(?!\.json)", "\n".join(texts()))
    assert all(re.match(r"\d+\.\d+", str(tag)) for tag in tags)


def test_the_parts_of_seaweedfs_speak_only_to_a_certificate() -> None:
    """S3's gRPC listens where S3 does, on every address of its container."""
    wanted = {
        name: value
        for name, value in tls_environment(Path("/data/inner.pem")).items()
        if name.startswith("WEED_GRPC_")
    }
    assert len(wanted) == 11
    service = compose()["services"]["seaweedfs"]
    assert wanted.items() <= service["environment"].items()
    assert "-s3.ip.bind=0.0.0.0" in service["command"]
    assert service["depends_on"]["certificate"] == {"condition": "service_completed_successfully"}
    made = compose()["services"]["certificate"]
    assert made["command"][1:] == ["-m", "chestgan_core.store.inner_tls", "/data/inner.pem"]
    assert made["volumes"] == service["volumes"]
    (pod,) = (
        manifest["spec"]["template"]["spec"]
        for _, manifest in manifests()
        if manifest["kind"] == "StatefulSet" and manifest["metadata"]["name"] == "seaweedfs"
    )
    assert pod["initContainers"][0]["command"] == made["command"]
    for container in pod["containers"]:
        assert wanted == {one["name"]: one["value"] for one in container["env"]}


DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()


def test_the_image_copies_what_the_ignore_file_lets_through() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    }
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert let_through == copied
    tracked = subprocess.run(
        ["git", "ls-files", *copied], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name.split("/")[0] for name in tracked.stdout.splitlines()} == copied


def test_the_image_is_that_python_and_those_extras() -> None:
    import tomllib

    version = re.search(
        r"^ARG PYTHON=docker\.io/library/python:(\d+\.\d+)-slim-bookworm$", DOCKERFILE, re.MULTILINE
    )
    assert version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f">={version[1]}" in project["requires-python"]
    extras = re.search(r"^IMAGE_EXTRAS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert extras
    assert set(extras[1].split()) == project["optional-dependencies"].keys() - {
        "dev",
        "embedded",
        "tensorboard",
    }
    assert "--require-hashes --no-deps -r requirements-image.lock" in DOCKERFILE


def test_the_webserver_of_the_image_is_never_without_its_guard() -> None:
    """The chart starts `dagster-webserver`; in the image that is ours."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["chestgan-webserver"] == "chestgan_assets.web.server:main"
    assert "ln -sf chestgan-webserver /opt/chestgan/bin/dagster-webserver" in DOCKERFILE
    for service in ("webserver", "webserver-read-only"):
        assert compose()["services"][service]["command"][0] == "chestgan-webserver"


@pytest.mark.parametrize("stage", DOCKERFILE.split("\nFROM ")[3:])
def test_what_runs_is_a_numbered_account(stage: str) -> None:
    assert "\nUSER 10001:10001\n" in stage
    assert stage.index("USER 10001") > stage.index("RUN --mount")
    home = values()["global"]["dagsterHome"]
    assert f"DAGSTER_HOME={home} " in stage
