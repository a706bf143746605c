"""`chestgan study`: trials on shards, without a store and without Dagster."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.cli.main import main
from chestgan_core.config.experiment import load_experiment

TINY = """
dataset: phantom
resolution: 16
network: {family: spectral, generator_width: 3, discriminator_width: 3, latent_dim: 4}
training: {loss: {kind: hinge}, batch_size: 8, images: 640, validation: {every_images: 200, images: 8}}
"""
SPACE = "parameters:\n  training.optimizer.lr: {kind: number, low: 1.0e-4, high: 1.0e-2, log: true}\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object, status: int = 0) -> Any:
        assert main([*map(str, arguments), "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return run


def test_a_study_is_run_shown_and_exported(
    run: Any, sides: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "few.yaml").write_text(SPACE)
    command = [
        "study",
        "run",
        tmp_path / "tiny.yaml",
        "--data",
        sides["train"],
        "--held-out",
        sides["held-out"],
    ]
    command += [
        "--space",
        tmp_path / "few.yaml",
        "--trials",
        2,
        "--max-images",
        32,
        "--validations",
        1,
        "--device",
        "cpu",
    ]
    ran = run(*command, "--out", tmp_path / "out", "--phantom")
    assert ran["trials"] == 2
    assert ran["best"]["kid"] > ran["floor"]
    assert {"report.html", "tiny-tuned.yaml", "trials.parquet"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert "Phantom slices of other patients" in (tmp_path / "out" / "report.html").read_text()

    shown = run("study", "show", "tiny")
    assert {**shown, "files": ran["files"]} == ran
    exported = run("study", "export", "tiny", "--out", tmp_path / "exported")
    assert exported["experiment"] == "tiny-tuned"
    tuned = load_experiment(exported["file"])
    assert tuned == load_experiment(tmp_path / "out" / "tiny-tuned.yaml")
    assert tuned.provenance is not None
    assert tuned.provenance.trial == ran["best"]["number"]


def test_without_the_extra_a_study_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["study", "show", "demo"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "Optuna is not installed; install the extra: pip install 'chestgan[studies]'" in message


RUN = ["study", "run", "demo", "--data", "x", "--held-out", "y", "--out", "z"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["study", "show", "demo"], 1, "experiment demo: has no study in the storage of studies"),
        (["study", "export", "demo"], 1, "run one"),
        (["study", "show", "demmo"], 2, "did you mean demo?"),
        (["study", "export", "demmo"], 2, "did you mean demo?"),
        ([*RUN, "--space", "nowhere"], 2, "choose one of"),
        ([*RUN, "--trials", "0"], 2, "positive"),
        (["study"], 2, "COMMAND"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: list[str],
    status: int,
    message: str,
    home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(arguments))
    assert ended.value.code == status
    assert message in capsys.readouterr().err
