"""The command line: every step without Dagster, JSON alone on standard output, exit status 0, 1 and 2."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from chestgan_core.cli.main import main, parser

TINY = """
dataset: phantom
network: {generator_width: 4, discriminator_width: 4, latent_dim: 8}
training: {batch_size: 16, images: 160, checkpoint_every_images: 80, sample_every_images: 80}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with --json; returns its answer. Standard output must be one JSON document."""

    def run(*arguments: object, status: int = 0) -> Any:
        assert main([*map(str, arguments), "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def trained(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with slices of all phantoms (real.safetensors) and a tiny trained model (model/)."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    real = folder / "real.safetensors"
    assert main(["normalize", str(phantom_folder), "--out", str(real), "--public-ids"]) == 0
    train = ["train", str(folder / "tiny.yaml"), "--data", str(real), "--out", str(folder / "model")]
    assert main([*train, "--device", "cpu"]) == 0
    return folder


def test_normalize_writes_hounsfield_units_and_counts_every_file(
    run: Any, phantom_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "slices.safetensors"
    answer = run("normalize", phantom_folder, "--out", out, "--size", 32)
    slices = load_file(out)["slices"]
    assert slices.shape == (answer["kept"], 32, 32)
    assert slices.dtype == "int16"
    assert answer["files"] == answer["kept"] + sum(answer["left_out"].values())
    assert answer["series"] == 5
    rows = pq.read_table(out.with_suffix(".parquet")).to_pylist()
    assert len(rows) == answer["kept"]
    assert {"patient", "series_uid", "sop_uid", "position_mm", "lung_fraction"} <= rows[0].keys()


def test_patient_names_do_not_reach_the_rows_unless_they_are_public(
    run: Any, phantom_folder: Path, tmp_path: Path
) -> None:
    private, public = tmp_path / "private.safetensors", tmp_path / "public.safetensors"
    run("normalize", phantom_folder, "--out", private)
    run("normalize", phantom_folder, "--out", public, "--public-ids")
    assert b"PH-" not in private.with_suffix(".parquet").read_bytes()
    names = set(pq.read_table(public.with_suffix(".parquet"))["patient"].to_pylist())
    assert len(names) == 5
    assert all(name.startswith("PH-") for name in names)


def test_train_generate_and_evaluate_follow_each_other(run: Any, trained: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake.safetensors"
    answer = run("generate", "--model", trained / "model", "--count", 24, "--seed", 5, "--out", fake)
    assert answer["images"] == 24
    assert load_file(fake)["slices"].shape == (24, 64, 64)
    report = run("evaluate", "--real", trained / "real.safetensors", "--fake", fake)
    by_name = {row["measure"]: row for row in report["rows"]}
    assert by_name["KID"]["value"] > by_name["KID"]["floor"]
    assert by_name["KID"]["n_fake"] == 24
    assert "efficientnet-lite0" in by_name["KID"]["extractor"]
    thesis = {row["measure"]: row for row in report["thesis"]["rows"]}
    assert thesis["generator accuracy"]["note"] == "not measured: no discriminator was given"
    options = ("--real", trained / "real.safetensors", "--fake", fake, "--discriminator", trained / "model")
    report = run("evaluate", *options)
    thesis = {row["measure"]: row for row in report["thesis"]["rows"]}
    assert 0 <= thesis["generator accuracy"]["value"] <= 1


def test_generate_writes_pictures_into_a_folder(run: Any, trained: Path, tmp_path: Path) -> None:
    run("generate", "--model", trained / "model", "--count", 3, "--out", tmp_path / "pictures")
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3


def test_a_second_training_resumes_where_the_first_ended(run: Any, trained: Path) -> None:
    train = [trained / "tiny.yaml", "--data", trained / "real.safetensors", "--out", trained / "model"]
    assert run("train", *train, "--max-images", 320, "--device", "cpu")["images_seen"] == 320


def test_experiments_are_listed_and_shown(run: Any) -> None:
    assert "demo" in {entry["name"] for entry in run("experiments", "list")["experiments"]}
    assert run("experiments", "show", "demo")["resolution"] == 64


def test_doctor_names_what_works(run: Any) -> None:
    findings = {finding["part"]: finding for finding in run("doctor")["findings"]}
    assert findings["store"]["works"]
    assert findings["device"]["works"]
    assert all(finding["remedy"] for finding in findings.values() if not finding["works"])


def test_an_empty_store_lists_no_sets(run: Any) -> None:
    assert run("sets", "list") == {"sets": []}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["normalize", "no-such-folder", "--out", "x.safetensors"], 1, "no-such-folder"),
        (["normalize", ".", "--out", "x.safetensors", "--size", "0"], 2, "positive"),
        (["train", "no-such-experiment", "--data", "x", "--out", "y"], 2, "neither a known experiment nor"),
        (["train", "demo-folder", "--data", "no-such-file", "--out", "y"], 1, "no-such-file"),
        (["train", "demo", "--data", "no-such-file", "--out", "y"], 1, "give --marks"),
        (["train", "demo", "--data", "x", "--out", "y", "--max-minutes", "nan"], 2, "minutes"),
        (["generate", "--model", "no-such-model", "--count", "1", "--out", "y"], 1, "no-such-model"),
        (["evaluate", "--real", "x", "--fake", "no-such-file"], 1, "no-such-file"),
        (["sets", "show", "no-such-set"], 1, "no-such-set"),
        (["sets", "verify", "no-such-folder"], 1, "no-such-folder"),
        (["no-such-command"], 2, "no-such-command"),
        ([], 2, "COMMAND"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(
    arguments: list[str],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(arguments) == status
    answer = capfd.readouterr()
    assert answer.out == ""
    [line] = answer.err.strip().splitlines()
    assert said in line
    assert "Traceback" not in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["catlog", "idc"], "chestgan: unknown command catlog; did you mean catalog?"),
        (["sets", "verfy", "x"], "chestgan sets: unknown command verfy; did you mean verify?"),
        # The required --out is not called missing, because it was mistyped.
        (
            ["normalize", "x", "--ouput", "y"],
            "chestgan normalize: unknown option --ouput; did you mean --out?",
        ),
        (["normalize", "x", "--out", "y", "--siz=3"], "unknown option --siz; did you mean --size?"),
        (["--jsn", "doctor"], "chestgan: unknown option --jsn; choose one of --help, --version"),
        (
            ["evaluate", "--real", "x", "--fake", "y", "--window", "lnug"],
            "argument --window: lnug is not a valid choice; did you mean lung?",
        ),
        (["doctor", "now"], "chestgan doctor: unexpected argument now; see chestgan doctor --help"),
        (["train", "lung-r3-46", "--data", "x", "--out", "y"], "did you mean lung-r3-64"),
        (["catalog", "idc", "--dataset", "lung_pet_ct"], "did you mean lung_pet_ct_dx"),
        (["report", "demmo", "--out", "x"], "did you mean demo?"),
    ],
)
def test_an_unknown_word_is_answered_with_the_nearest_known_ones(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert status_of(arguments) in (1, 2)
    [line] = capfd.readouterr().err.strip().splitlines()
    assert said in line


def test_a_wrong_command_line_is_an_error_in_a_log_of_json_lines() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "chestgan_core.cli", "trian"],
        env={**os.environ, "CHESTGAN_LOG": "json"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 2
    line = json.loads(answer.stderr)
    assert (line["level"], line["message"]) == (
        "ERROR",
        "chestgan: unknown command trian; did you mean train?",
    )


def test_every_command_explains_each_of_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    pending = [parser()]
    while pending:
        one = pending.pop()
        for action in one._actions:
            if isinstance(action, argparse._SubParsersAction):
                pending += action.choices.values()
            else:
                assert action.help, f"{one.prog}: {action.option_strings or action.dest}"


def status_of(arguments: list[str]) -> object:
    try:
        return main(arguments)
    except SystemExit as ended:  # argparse
        return ended.code


@pytest.mark.parametrize(("more", "lines"), [([], 1), (["--debug"], None)])
def test_a_process_ends_with_the_status_and_has_its_traceback_for_debug(
    more: list[str], lines: int | None, tmp_path: Path
) -> None:
    arguments = ["sets", "verify", "no-such-folder", *more]  # which needs no PyTorch
    answer = subprocess.run(
        [sys.executable, "-m", "chestgan_core.cli", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "no-such-folder" in answer.stderr
    assert ("Traceback" in answer.stderr) == bool(more)
    assert lines in (None, len(answer.stderr.strip().splitlines()))


def test_a_folder_without_a_usable_series_lists_reasons_and_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delivery = tmp_path / "delivery"
    delivery.mkdir()
    (delivery / "notes.txt").write_text("no image")
    (delivery / "more.csv").write_text("a,b")
    assert main(["normalize", str(delivery), "--out", str(tmp_path / "x.safetensors")]) == 1
    assert "not-dicom 2" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.safetensors"))
