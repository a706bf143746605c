"""What the assets add to the core: which failures are tried again, which partitions there are, whose home is whose."""

import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from chestgan_assets.assets.acquisition import _register
from chestgan_assets.failures import one_line_failures
from chestgan_assets.local import dagster_home
from chestgan_core.errors import BadInput, ChestganError, PointerMoved, StoreError, StoreUnreachable

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("error", "tried_again"),
    [
        (StoreUnreachable("s3://b/k", "does not answer", "start it"), True),
        (PointerMoved("s3://b/k", "moved", "again"), True),
        (StoreError("s3://b/k", "the store refused the key", "check it"), False),
        (BadInput("folder", "is empty", "fill it"), False),
        (RuntimeError("CUDA out of memory"), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error: Exception, tried_again: bool) -> None:
    with pytest.raises(dg.Failure) as failed, one_line_failures():
        raise error
    assert failed.value.allow_retries is tried_again
    assert failed.value.description is not None
    assert "\n" not in failed.value.description
    if isinstance(error, ChestganError):
        assert failed.value.description == str(error)


def test_patients_who_left_a_dataset_lose_their_partition_and_others_keep_theirs() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("patient", ["folder:old", "folder:same", "phantom:PH-A0001"])
        _register(instance, "folder", ["folder:same", "folder:new"])
        assert set(instance.get_dynamic_partitions("patient")) == {
            "folder:same",
            "folder:new",
            "phantom:PH-A0001",
        }


def test_a_home_of_somebody_else_keeps_its_dagster_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "dagster.yaml").write_text("telemetry: {enabled: false}\n# ours\n")
    monkeypatch.setenv("DAGSTER_HOME", str(theirs))
    assert dagster_home() == theirs
    assert "# ours" in (theirs / "dagster.yaml").read_text()


def test_one_broken_experiment_does_not_take_the_code_location_with_it(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("dataset: nowhere\n")
    code = "from chestgan_assets.partitions import EXPERIMENTS; print(sorted(EXPERIMENTS))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"CHESTGAN_EXPERIMENTS": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "demo" in ran.stdout
    assert "broken" not in ran.stdout
    assert "left out" in ran.stderr


@pytest.mark.parametrize(
    ("port", "said"), [("abc", "give a number"), ("0", "give a number"), ("taken", "is in use")]
)
def test_a_port_that_cannot_be_had_is_told_before_anything_starts(
    port: str, said: str, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = str(taken.getsockname()[1]) if port == "taken" else port
        ran = subprocess.run(
            [sys.executable, "-m", "chestgan_assets.dev"],
            env={"CHESTGAN_PORT": told, "CHESTGAN_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ran.returncode == 2
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists()
