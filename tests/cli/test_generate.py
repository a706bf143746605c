"""`chestgan generate` of what a person asks for: tumours, positions, layout files, pairs and synthetic patients."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from chestgan_core.cli.main import main
from chestgan_core.slices.shards import read_rows
from tests.publishing.boxed_sets import asking_experiment, asking_generator

HEADER = "image,left,top,right,bottom,tumour,position,class,seed,place"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    asking_generator(folder, asking_experiment(("A", "G")))
    return folder


@pytest.fixture
def generate(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `chestgan generate --out out...`; returns its answer."""

    def run(*arguments: object, out: str = "out.safetensors") -> Any:
        command = [
            "generate",
            "--model",
            model,
            "--out",
            tmp_path / out,
            "--device",
            "cpu",
            "--json",
            *arguments,
        ]
        assert main([*map(str, command)]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refusal(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Any:
    """Run what is refused with status 1 or 2; returns the line."""

    def run(*arguments: object, of: Path = model) -> str:
        caplog.clear()
        command = ["generate", "--model", of, "--out", tmp_path / "refused", "--device", "cpu", *arguments]
        with caplog.at_level(logging.ERROR):
            assert main([*map(str, command)]) in (1, 2)
        assert not (tmp_path / "refused").exists()
        return caplog.messages[-1].removeprefix("chestgan: ")

    return run


def labels(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    assert lines[0] == HEADER
    return lines[1:]


def test_an_asked_tumour_position_and_class_are_those_of_every_image(generate: Any, tmp_path: Path) -> None:
    generate("--count", 2, "--tumour", "17,31,6,6", "--position", 0.5, "--class", "G", "--seed", 7)

    assert labels(tmp_path / "out.csv") == [
        "seed-000007,14.0,28.0,20.0,34.0,,0.5,G,7,any",
        "seed-000008,14.0,28.0,20.0,34.0,,0.5,G,8,any",
    ]


def test_mm_and_several_tumours(generate: Any, tmp_path: Path) -> None:
    generate("--count", 1, "--tumour", "85,155,30,30mm", "--tumour", "46,31,4,4", "--position", 0.5)

    assert labels(tmp_path / "out.csv") == [
        "seed-000000,14.0,28.0,20.0,34.0,,0.5,,0,any",
        "seed-000000,44.0,29.0,48.0,33.0,,0.5,,0,any",
    ]


def test_the_fraction_of_images_with_a_tumour(generate: Any, tmp_path: Path) -> None:
    generate("--count", 30, "--tumour-fraction", 1)
    assert all(line.split(",")[1] for line in labels(tmp_path / "out.csv"))
    generate("--count", 30, "--tumour-fraction", 0)
    assert not any(line.split(",")[1] for line in labels(tmp_path / "out.csv"))


def test_images_of_a_file_of_layouts(generate: Any, tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text(
        "image,left,top,right,bottom,position\na,14,28,20,34,0.5\nb,,,,,0.4\n"
    )
    answer = generate("--layouts", tmp_path / "asked.csv", "--seed", 3)

    assert answer["images"] == 2
    assert labels(tmp_path / "out.csv") == ["a,14.0,28.0,20.0,34.0,,0.5,,3,any", "b,,,,,,0.4,,4,any"]


def test_pairs_say_how_much_changes_in_the_boxes_and_outside(generate: Any, tmp_path: Path) -> None:
    answer = generate("--count", 3, "--pairs")

    assert load_file(tmp_path / "out.safetensors")["slices"].shape == (6, 64, 64)
    assert answer["locality"] == pytest.approx(answer["change"]["outside"] / answer["change"]["inside"])
    with_, without = labels(tmp_path / "out.csv")[:2]
    assert with_.startswith("seed-000000-with,")
    assert without.startswith("seed-000000-without,,,,,,")


def test_synthetic_patients_have_a_row_per_slice(generate: Any, tmp_path: Path) -> None:
    answer = generate("--subjects", 2, "--spacing", 40, "--class", "G", "--seed", 5)

    rows = read_rows(tmp_path / "out.safetensors")
    assert [one["slices"] for one in answer["subjects"]] == [6, 6]
    assert all(one["asked_mm3"] > 0 for one in answer["subjects"])
    assert len(rows) == 12
    assert {row.histology for row in rows} == {"G"}
    assert rows[0].patient == answer["subjects"][0]["name"]


def test_a_patient_with_an_asked_tumour_and_without_one(generate: Any) -> None:
    asked = generate(
        "--subjects", 1, *("--spacing", 40, "--tumour", "17,31,6,6", "--position", 0.5), out="with"
    )
    none = generate("--subjects", 1, "--spacing", 40, "--tumour", "none", out="without")

    assert asked["subjects"][0]["asked_mm3"] == pytest.approx(3.14159 / 6 * 30**3, rel=1e-3)
    assert none["subjects"][0]["asked_mm3"] == 0


ONE = "give one of --count, --layouts and --subjects"
IN_THE_FILE = "does not go with --layouts; say it in the file, for each image"
REFUSED = {
    "": f"the options: have no number of images; {ONE}",
    "--count 1 --subjects 1": f"the options: have --count and --subjects; {ONE}",
    "--layouts a.csv --position 0.5": f"--position: {IN_THE_FILE}",
    "--layouts a.csv --class A": f"--class: {IN_THE_FILE}",
    "--count 1 --tumour none --tumour-fraction 0.5": "--tumour-fraction: does not go with --tumour; "
    "leave out one of them",
    "--count 1 --class A --tumour-fraction 0.5": "--tumour-fraction: is of images that are drawn as a whole; "
    "leave out --position and --class, or give --tumour",
    "--subjects 1 --pairs": "--pairs: does not go with --subjects; leave out one of them",
    "--count 1 --spacing 5": "--spacing: is of the slices of a patient; give --subjects, or leave it out",
    "--count 1 --tumour 32,42,4,4 --position 0.5": "--tumour 32,42,4,4: asks for a tumour with its centre at 32, 42 "
    "at position 0.5, which is not in the lungs; place its centre and half of its box in them: they lie within 6 to 58 "
    "(x) and 20 to 44 (y)",
    "--count 1 --tumour none --pairs": "image seed-000000: has no tumour, and a pair is the same image with it and "
    "without; ask for a tumour in each image",
    "--count 1 --class B": "--class: asks for the class B, which the model was not trained with; choose one of A, G",
    "--subjects 10001": "--subjects 10001: is more than can be written at once; give at most 10000, and the others "
    "with a further --seed",
    "--count 1000001 --pairs": "1000001 pairs: are more than can be made at once; give at most 1000000",
    "--subjects 1 --spacing 500": "a spacing of 500 mm: gives 0 slices in lungs of 240 mm; give 0.24 to 120 mm",
}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_what_cannot_be_asked_is_refused_in_one_line(options: str, refusal: Any) -> None:
    assert refusal(*options.split()) == REFUSED[options]


def test_a_model_without_conditions_says_what_it_can_be_told(refusal: Any, tmp_path: Path) -> None:
    plain = asking_experiment(position=False, tumour=False)
    asking_generator(tmp_path / "plain", plain)

    assert refusal("--count", 1, "--tumour", "17,31,6,6", of=tmp_path / "plain") == (
        "--tumour 17,31,6,6: asks for tumours, which the model was not trained with; it can be told nothing but a seed"
    )
    assert "was not trained with the position of a slice" in refusal("--subjects", 1, of=tmp_path / "plain")


def test_a_model_that_is_not_told_of_tumours_says_of_no_image_that_it_has_none(
    refusal: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "position"
    asking_generator(folder, asking_experiment(tumour=False))
    refused = "--tumour-fraction: asks for tumours, which the model was not trained with; it can be told the position"
    for number in ("--count", "--subjects"):
        for fraction in (0, 0.5):
            assert refusal(number, 1, "--tumour-fraction", fraction, of=folder) == refused

    out = str(tmp_path / "one.safetensors")
    command = ["generate", "--model", str(folder), "--out", out, "--device", "cpu", "--subjects", "1"]
    assert main([*command, "--spacing", "100"]) == 0
    assert "nothing asked of tumours" in capsys.readouterr().err
    assert {line.split(",")[5] for line in labels(tmp_path / "one.csv")} == {"any"}


def test_a_number_that_no_machine_counts_to_is_refused_in_one_line(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--model", str(model), "--count", "1" + "0" * 30, "--out", "x"])
    assert "is not a positive whole number" in caplog.messages[-1]


@pytest.mark.parametrize("option", ["--position", "--tumour-fraction"])
def test_fractions_are_from_0_to_1(option: str, model: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--model", str(model), "--count", "1", "--out", "x", option, "40"])
    assert "'40' is not a number from 0 to 1" in caplog.messages[-1]


def test_the_help_says_that_no_image_goes_in(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "Its input is noise: there is no option that takes an image, so it never puts a tumour into the scan"
        in said
    )
