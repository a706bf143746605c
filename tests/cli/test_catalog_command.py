"""`chestgan catalog`: what would be fetched and why the rest would not, without a store."""

import json
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.cli.main import main
from tests.pipeline.listed import write_dataset, write_index


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, the dataset `listed`, and no store at all."""
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CHESTGAN_STORE", raising=False)
    write_index(tmp_path / "index.csv", {"Lung_Dx-A0001": "r1", "Lung_Dx-G0002": "r1"})
    write_dataset(tmp_path / "datasets", tmp_path / "index.csv")
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))


@pytest.fixture
def listed(capsys: pytest.CaptureFixture[str]) -> Any:
    def listed(*arguments: object) -> Any:
        assert main(["catalog", *map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return listed


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Any:
    """Fails with one line, which it returns."""

    def refused(*arguments: object, status: int = 1) -> str:
        assert main(["catalog", *map(str, arguments)]) == status
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        return lines[0]

    return refused


def test_an_index_file_is_counted_with_the_rules_of_a_dataset(listed: Any, tmp_path: Path) -> None:
    answer = listed(tmp_path / "index.csv", "--dataset", "listed")
    assert (
        answer["all"] == answer["selected"] == {"series": 2, "patients": 2, "images": 60, "bytes": 31_000_000}
    )
    assert {letter: part["patients"] for letter, part in answer["histology"].items()} == {"A": 1, "G": 1}
    assert answer["selected_series"] == [
        {"patient": "Lung_Dx-A0001", "key": "2.25.1000"},
        {"patient": "Lung_Dx-G0002", "key": "2.25.1001"},
    ]


def test_the_installed_index_is_the_default_route(listed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    answer = listed("idc")
    assert (answer["dataset"], answer["all"]["series"]) == ("lung_pet_ct_dx", 2606)
    assert (answer["selected"]["series"], answer["selected"]["images"]) == (346, 51_441)
    assert answer["left_out_series"]["secondary-capture"] == 281
    assert len(answer["selected_series"]) == 346


def test_people_get_a_table_with_the_same_numbers(
    real_data: Path, listed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = real_data / "catalog" / "lung_pet_ct_dx_series.csv"
    answer = listed(path)
    assert main(["catalog", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = {line[:30].strip(): line.split() for line in captured.err.splitlines()}
    assert lines["clean (meet every rule)"][-4:] == ["797", "346", "147,702", "77.97"]
    assert lines["selected"][-4:] == ["346", "346", "51,441", "27.15"]
    for reason, series in answer["left_out_series"].items():
        assert f"{series:,}" in lines[reason]


def test_a_folder_is_counted_file_by_file_and_names_nobody(
    listed: Any, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = listed(phantom_folder)
    assert (answer["dataset"], answer["selected"]["patients"]) == ("folder", 5)
    assert answer["files"] == answer["selected"]["images"] + sum(answer["left_out_files"].values())
    assert main(["catalog", str(phantom_folder)]) == 0
    assert "localizer" in capsys.readouterr().err
    assert "PH-" not in json.dumps(answer)


def test_a_metadata_csv_is_recognized_by_its_header(listed: Any, real_data: Path) -> None:
    answer = listed(real_data / "dicom" / "lung_pet_ct_dx" / "metadata-decimal-comma.csv")
    assert (answer["dataset"], answer["all"]["series"]) == ("lung_pet_ct_dx_nbia", 334)


def test_a_source_that_does_not_fit_is_refused_in_one_line(refused: Any, tmp_path: Path) -> None:
    assert "is neither a file, a folder nor a kind of source" in refused(tmp_path / "nowhere")
    assert "listed: comes from idc, not from nbia" in refused("nbia", "--dataset", "listed")
    assert "did you mean nbia?" in refused("nbja")
    assert "is not one of the 1 collections" in refused(tmp_path / "index.csv", status=2)
    assert "is not a collection of the Imaging Data Commons or NBIA" in refused(
        tmp_path / "index.csv", "--dataset", "phantom"
    )


def test_a_dataset_of_images_is_counted_by_the_kind_of_its_source(
    real_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHESTGAN_CHEST_CT_SCAN_IMAGES", str(real_data / "chest-ct-scan-images"))
    assert main(["catalog", "images", "--dataset", "chest_ct_scan_images"]) == 0
    assert "286 files, 286 images" in capsys.readouterr().err


def test_a_folder_without_images_says_what_it_should_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    assert main(["catalog", str(tmp_path), "--dataset", "chest_ct_scan_images"]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "files can be used (not-an-image" in said
    assert "<split>/<class>/<image>" in said
