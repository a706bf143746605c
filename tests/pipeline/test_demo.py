"""`make demo` on a private folder, as a process: what it says, what it leaves, and what it does with bad patients."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pydicom
import pytest

from chestgan_assets.local.installation import local_installation
from chestgan_core.errors import BadInput
from tests.pipeline.conftest import NO_RULES, TINY
from tests.pipeline.dev_server import ROOT

pytestmark = pytest.mark.slow


def run_demo(environment: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chestgan_assets.local.demo"],
        env={**environment, **more},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def installation(pipeline_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A fresh home, and the tiny experiment on the dataset `folder`."""
    (tmp_path / "tiny-folder.yaml").write_text(TINY.replace("dataset: phantom", "dataset: folder") + NO_RULES)
    return {
        **pipeline_environment,
        "CHESTGAN_HOME": str(tmp_path / "home"),
        "CHESTGAN_EXPERIMENTS": str(tmp_path),
        "CHESTGAN_EXPERIMENT": "tiny-folder",
        "CHESTGAN_SOURCE": "folder",
    }


def neck_only(patient: Path, folder: Path) -> None:
    """The two highest slices of a patient: no lung in them."""
    folder.mkdir()
    slices = []
    for path in patient.iterdir():
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if "LOCALIZER" not in header.ImageType:
            slices.append((float(header.ImagePositionPatient[2]), path))
    for _, path in sorted(slices)[-2:]:
        shutil.copy(path, folder)


def test_the_demo_ends_with_a_set_and_continues_without_a_patient_that_shows_no_lung(
    installation: dict[str, str], phantom_folder: Path, tmp_path: Path
) -> None:
    delivery = tmp_path / "delivery"
    patients = sorted(phantom_folder.iterdir())
    for patient in patients[:3]:
        shutil.copytree(patient, delivery / patient.name)
    neck_only(patients[3], delivery / "neck")

    ran = run_demo(installation, CHESTGAN_FOLDER=str(delivery))
    assert ran.returncode == 0, ran.stderr
    assert "continues without them: patient_slices: 1 of 4 patients failed: " in ran.stderr
    assert "no-lung 2" in ran.stderr
    assert "s3://chestgan/synthetic/tiny-folder/" in ran.stdout
    assert "KID" in ran.stdout
    assert "PH-" not in ran.stdout + ran.stderr
    sheet = tmp_path / "home" / "demo" / "tiny-folder-contact-sheet.png"
    assert sheet.read_bytes().startswith(b"\x89PNG")
    left = [  # a process that ends meanwhile has no command line
        process.info
        for process in psutil.process_iter(["pid", "cmdline"])
        if str(tmp_path) in " ".join(process.info["cmdline"] or []) and process.info["pid"] != os.getpid()
    ]
    assert not left

    line = next(line for line in ran.stdout.splitlines() if line.startswith("fetch it"))
    command = line.removeprefix("fetch it").split()
    fetched = subprocess.run(command, cwd=tmp_path, env=installation, capture_output=True, text=True)
    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "tiny-folder-set" / "manifest.json").is_file()


def test_a_demo_that_cannot_work_says_why_in_one_line(installation: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run_demo(installation, CHESTGAN_FOLDER=str(tmp_path / "empty"))
    assert ran.returncode == 1
    assert ran.stderr.strip().splitlines()[-1].startswith("demo: series_catalog: ")
    assert "the folder is empty" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_unknown_source_is_refused_with_the_known_ones(installation: dict[str, str]) -> None:
    ran = run_demo(installation, CHESTGAN_SOURCE="somewhere")
    assert ran.returncode == 2
    assert "choose one of folder, phantom" in ran.stderr


def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(BadInput, match="set CHESTGAN_HOME to a folder of yours"), local_installation():
        pass
