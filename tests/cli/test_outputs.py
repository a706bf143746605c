"""What commands do with folders that are not theirs, slices of the same patients, and full disks."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.cli.main import main
from chestgan_core.config.experiment import load_experiment
from chestgan_core.local.output import output_folder
from chestgan_core.networks.registry import build_generator
from chestgan_core.training.weights import save_generator
from tests.cli.files import TINY, write_slices


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path / "tiny.yaml"


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    """The folder of a generator that was never trained."""
    (tmp_path / "model").mkdir()
    experiment = load_experiment(str(tiny))
    save_generator(tmp_path / "model", build_generator(experiment), experiment)
    return tmp_path / "model"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    """Run a command that fails; returns the one line that it says."""

    def run(*arguments: object, status: int = 1) -> str:
        caplog.clear()
        assert main([str(one) for one in arguments]) == status
        lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert len(lines) == 1
        assert "\n" not in lines[0]
        return lines[0]

    return run


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", ["train", "generate", "evaluate", "report", "compare", "study", "month"])
def test_a_folder_with_files_of_the_user_is_left_as_it_is(
    command: str, said: Any, tiny: Path, model: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("README.md", "config.json", "report.html"):
        (mine / name).write_text("mine")
    before = snapshot(mine)
    data = write_slices(tmp_path / "a.safetensors", "AB")
    held_out = write_slices(tmp_path / "b.safetensors", "CD", seed=1)
    arguments: dict[str, list[object]] = {
        "train": ["train", tiny, "--data", data],
        "generate": ["generate", "--model", model, "--count", 2],
        "evaluate": ["evaluate", "--real", data, "--fake", held_out],
        "report": ["report", "demo"],
        "compare": ["compare", "demo", "modern"],
        "study": ["study", "run", tiny, "--data", data, "--held-out", held_out],
        "month": ["month", "2026-01"],
    }
    line = said(*arguments[command], "--out", mine)
    assert f"{mine}: holds files that are not of " in line
    assert snapshot(mine) == before


def test_files_of_the_user_are_not_replaced_by_slices(said: Any, model: Path, tmp_path: Path) -> None:
    for name in ("mine.safetensors", "rows.parquet"):
        (tmp_path / name).write_text("mine")
    for out in ("mine.safetensors", "rows.safetensors"):
        assert "is there, and holds no" in said("normalize", tmp_path, "--out", tmp_path / out)
        assert "is there, and holds no" in said(
            "generate", "--model", model, "--count", 1, "--out", tmp_path / out
        )
    assert (tmp_path / "mine.safetensors").read_text() == (tmp_path / "rows.parquet").read_text() == "mine"


def test_two_trainings_do_not_share_a_folder(said: Any, tiny: Path, tmp_path: Path) -> None:
    data = write_slices(tmp_path / "a.safetensors", "AB")
    with output_folder(tmp_path / "out", "a training"):
        line = said("train", tiny, "--data", data, "--out", tmp_path / "out", "--device", "cpu")
    assert f"{tmp_path / 'out'}: another process is writing into it; wait until it has ended" in line


def test_training_study_and_report_refuse_the_same_patients(said: Any, tiny: Path, tmp_path: Path) -> None:
    data = write_slices(tmp_path / "a.safetensors", "AB")
    renamed = write_slices(tmp_path / "renamed.safetensors", "CD")  # the same slices
    other = write_slices(tmp_path / "other.safetensors", "BC", seed=1)  # B in common
    out = tmp_path / "out"
    for held_out, cause in (
        (data, "have 2 of their 2 patient(s) in common with the training slices"),
        (renamed, "have 24 slice(s) in common with the training slices"),
        (other, "have 1 of their 2 patient(s) in common with the training slices"),
    ):
        sides = ("--data", data, "--held-out", held_out, "--out", out, "--device", "cpu")
        assert f"the held-out slices: {cause}" in said("train", tiny, *sides)
        assert f"the held-out slices: {cause}" in said("study", "run", tiny, *sides)
        fake = write_slices(tmp_path / "fake.safetensors", "X", each=24, seed=9)
        line = said("evaluate", "--real", held_out, "--reference", data, "--fake", fake)
        assert cause.replace("the training slices", "the other images") in line
    assert not out.exists()


def test_more_images_than_any_disk_holds_are_refused_at_once(said: Any, model: Path, tmp_path: Path) -> None:
    for out in ("many.safetensors", "many"):
        line = said("generate", "--model", model, "--count", 3_000_000_000, "--out", tmp_path / out)
        assert "GB are needed" in line
        assert not (tmp_path / out).exists()


def test_slices_that_are_not_square_are_refused(said: Any, tiny: Path, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    data = write_slices(tmp_path / "a.safetensors", "AB")
    with safe_open(data, framework="np") as file:
        slices, metadata = file.get_tensor("slices"), file.metadata()
    save_file({"slices": slices.repeat(2, axis=1)}, data, metadata)
    line = said("train", tiny, "--data", data, "--out", tmp_path / "out", "--device", "cpu")
    assert "has slices of 16 x 32 pixels, not square ones" in line


def _limited(limit: int, arguments: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import resource, sys; from chestgan_core.cli.main import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, env={**os.environ, "CHESTGAN_HOME": str(folder / "home")},
    )  # fmt: skip


@pytest.mark.slow
def test_a_full_disk_ends_training_generation_and_report_in_one_line(
    tiny: Path, model: Path, tmp_path: Path
) -> None:
    data = write_slices(tmp_path / "a.safetensors", "AB")
    fake = write_slices(tmp_path / "fake.safetensors", "X", each=24, seed=9)
    commands: dict[str, tuple[int, list[object]]] = {
        "train": (20_000, ["train", tiny, "--data", data, "--device", "cpu"]),
        "generate": (2_000, ["generate", "--model", model, "--count", 64, "--device", "cpu"]),
        "evaluate": (2_000, ["evaluate", "--real", data, "--fake", fake, "--device", "cpu"]),
    }
    for name, (limit, arguments) in commands.items():
        out = tmp_path / (f"{name}.safetensors" if name == "generate" else name)
        ended = _limited(limit, [*arguments, "--out", out], tmp_path)
        assert ended.returncode == 1, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "cannot be written (File too large)" in ended.stderr.splitlines()[-1]
    assert not list(tmp_path.rglob("*.part"))


ENDINGS: dict[str, tuple[int, int, str]] = {
    "refused slices": (5, 1, "train {tiny} --data flat.safetensors --out refused"),
    "refused pair": (5, 1, "train {tiny} --data a.safetensors --held-out a.safetensors --out refused"),
    "train": (5, 0, "train {tiny} --data a.safetensors --held-out b.safetensors --out out --device cpu"),
    "evaluate": (
        5, 0, "evaluate --real a.safetensors --reference b.safetensors --fake fake.safetensors --device cpu"
    ),
    "generate": (5, 0, "generate --model model --count 2 --out two.safetensors --device cpu"),
    "experiments": (5, 0, "experiments list"),
    "verify": (5, 1, "sets verify ."),
    "unknown": (5, 2, "train no-such-experiment --data a.safetensors --out x"),
    "sets": (3, 0, "sets list"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDINGS)
def test_every_command_ends_with_its_status_on_one_processor(
    name: str, tiny: Path, model: Path, tmp_path: Path
) -> None:
    """Threads of Arrow that outlive the interpreter abort a process after its work, most often on one processor."""
    write_slices(tmp_path / "a.safetensors", "AB")
    write_slices(tmp_path / "b.safetensors", "CD", seed=1)
    write_slices(tmp_path / "fake.safetensors", "X", each=24, seed=9)
    write_slices(tmp_path / "flat.safetensors", "AB", size=8)
    times, status, command = ENDINGS[name]
    arguments = command.format(tiny=tiny).split()
    program = (
        f"import os, sys; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n"
        "from chestgan_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    for _ in range(times):
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=tmp_path
        )
        assert ended.returncode == status, ended.stderr[-2000:]
