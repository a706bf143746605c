"""The history of a training for a spreadsheet."""

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from chestgan_core.cli.main import main
from chestgan_core.errors import BadInput
from chestgan_core.local.parquet import write_parquet
from chestgan_core.training.history_csv import write_history

HISTORY = [
    {"images_seen": 640, "loss_g": 0.693125, "note": None},
    {"images_seen": 1280, "loss_g": -0.0, "note": "=1+1"},
]
VALIDATIONS = [{"images_seen": 1280.0, "seconds": 3.5, "kid": 0.125}]


def training(folder: Path, history: list[dict[str, object]], validations: list[dict[str, float]]) -> Path:
    folder.mkdir()
    (folder / "history.parquet").write_bytes(write_parquet(pa.Table.from_pylist(history)))
    schema = pa.schema([(name, pa.float64()) for name in VALIDATIONS[0]])
    data = write_parquet(pa.Table.from_pylist(validations, schema=schema))
    (folder / "validation.parquet").write_bytes(data)
    return folder


def test_every_row_and_column_is_there_and_no_cell_is_a_formula(tmp_path: Path) -> None:
    folder = training(
        tmp_path / "run", [*HISTORY, {"images_seen": 1, "loss_g": -1.5, "note": "@x"}], VALIDATIONS
    )
    files = write_history(folder, tmp_path / "new" / "losses.csv")
    assert [path.name for path in files] == ["losses.csv", "losses-validation.csv"]
    with files[0].open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["images_seen", "loss_g", "note"], ["640", "0.693125", ""], ["1280", "0.0", "'=1+1"], ["1", "-1.5", "'@x"],
        ]  # fmt: skip
    assert files[1].read_text() == "images_seen,seconds,kid\n1280.0,3.5,0.125\n"
    assert write_history(folder, files[0]) == files  # its own files are replaced


def test_a_name_of_a_column_is_no_formula_either(tmp_path: Path) -> None:
    folder = training(tmp_path / "run", [{"=cmd()": 1.0}], [])
    assert [path.read_text() for path in write_history(folder, tmp_path / "a.csv")] == ["'=cmd()\n1.0\n"]


def test_files_of_others_stay(tmp_path: Path) -> None:
    folder = training(tmp_path / "run", HISTORY, VALIDATIONS)
    (tmp_path / "a-validation.csv").write_text("mine\n")
    with pytest.raises(BadInput, match=r"a-validation\.csv: is there, and is another file"):
        write_history(folder, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("history", "said"),
    [(None, r"has no history\.parquet"), (b"PAR1", "history.parquet"), ([{"a": [1, 2]}], "lists or bytes")],
)
def test_what_is_no_history_is_refused_in_one_line(history: object, said: str, tmp_path: Path) -> None:
    folder = training(tmp_path / "run", HISTORY, [])
    path = folder / "history.parquet"
    path.unlink()
    if history is not None:
        path.write_bytes(
            history if isinstance(history, bytes) else write_parquet(pa.Table.from_pylist(history))
        )
    with pytest.raises(BadInput, match=said):
        write_history(folder, tmp_path / "a.csv")


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = training(tmp_path / "run", HISTORY, [])
    assert main(["history", str(folder), "--out", str(tmp_path / "a.csv")]) == 0
    assert "a.csv" in capsys.readouterr().err
    assert main(["history", str(folder), "--out", str(tmp_path / "a.txt")]) == 1
    assert "does not end in .csv; give it that ending" in capsys.readouterr().err
