"""What would go wrong without anybody noticing: pins, telemetry, a block that overrides workspace.yaml."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def test_nothing_in_pyproject_overrides_the_workspace() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert not {"dg", "dagster"} & told.keys()


def test_telemetry_is_off() -> None:
    assert yaml.safe_load((ROOT / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}


def test_the_lock_names_no_address_and_every_requirement_exactly() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if line and not line.startswith(("#", " "))]
    assert all(re.match(r"[A-Za-z0-9._-]+(\[[^]]+\])?==\S+", pin) for pin in pins)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = [
        *wanted["dependencies"],
        *(one for extra in wanted["optional-dependencies"].values() for one in extra),
    ]
    names = {re.match(r"[A-Za-z0-9._-]+", pin)[0].lower() for pin in pins}  # type: ignore[index]
    assert {re.match(r"[A-Za-z0-9._-]+", one)[0].lower() for one in every} <= names  # type: ignore[index]


def test_no_gpl_decoder_is_asked_for() -> None:
    assert "pylibjpeg-libjpeg" not in (ROOT / "requirements.lock").read_text()


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
