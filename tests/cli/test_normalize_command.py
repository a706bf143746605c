"""What `chestgan normalize` says about files that it leaves out, and about those that are doubtful."""

import json
from pathlib import Path

import pytest

from chestgan_core.cli.main import main
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

HU = chest_hu(64)


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    """Five slices without a PatientID, three cut files, two of them with names that act on terminals, an empty one."""
    folder = tmp_path / "in"
    folder.mkdir()
    for at in range(5):
        data = ct_slice(HU, z=3.0 * at, PixelSpacing=[5.6, 5.6], PatientID=None)
        (folder / f"{at}").write_bytes(as_bytes(data))
    for name in ("cut", "cut\x1b[31m", "cut\n2"):
        (folder / name).write_bytes(as_bytes(ct_slice(HU, z=90))[:-50])
    (folder / "none").touch()
    return folder


def test_the_first_causes_are_always_shown_grouped_with_a_file_each(
    delivery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    assert main(["normalize", str(delivery), "--out", str(tmp_path / "a.safetensors")]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line.strip() for line in shown.err.splitlines()]
    assert f"unreadable: cut off inside the pixels (3 files, such as {delivery}/cut)" in lines
    assert f"empty-file: it has no bytes (1 file, such as {delivery}/none)" in lines
    (warning,) = [line for line in lines if line.startswith("warning: no-patient-id")]
    assert "(5 files" in warning
    assert "\x1b" not in shown.err


def test_json_lists_all_causes_and_warnings(
    delivery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    for number in range(12):  # more reasons of their own than are shown
        data = ct_slice(HU, z=200 + number, PixelSpacing=[0.01, 1 + number])
        (delivery / f"odd{number}").write_bytes(as_bytes(data))
    out = str(tmp_path / "a.safetensors")
    assert main(["normalize", str(delivery), "--out", out, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert sum(cause["files"] for cause in answer["causes"]) == 16
    assert len(answer["causes"]) == 14
    assert [warning["reason"] for warning in answer["warnings"]] == ["no-patient-id"]
    assert main(["normalize", str(delivery), "--out", out]) == 0
    assert "and 4 more causes: --json lists all" in capsys.readouterr().err


def test_a_delivery_without_a_series_says_why_in_its_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(as_bytes(ct_slice(HU))[:-50])
    assert main(["normalize", str(tmp_path / "in"), "--out", str(tmp_path / "a.safetensors")]) == 1
    assert "[unreadable: cut off inside the pixels (1 file, such as " in capsys.readouterr().err
