"""Synthetic patients: slices of one seed, with rows as real slices have them."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.subject import SubjectLayouts, subject_layouts
from chestgan_core.publishing.asked_images import askable_of, asked_of_file
from chestgan_core.publishing.loose_subjects import name_of, write_subjects
from chestgan_core.publishing.subjects import animation_of, generate_subjects, measured
from chestgan_core.slices.lung_position import lung_heights
from chestgan_core.slices.shards import read_shard
from chestgan_core.training.data import load_slices
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator


def patients(generator: LoadedGenerator, count: int = 2, spacing: float = 20) -> list[SubjectLayouts]:
    return [subject_layouts(askable_of(generator), seed, spacing) for seed in range(30, 30 + count)]


def test_all_slices_of_a_patient_are_of_its_seed_whoever_is_made_beside_it(
    asking: LoadedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = patients(asking, 3)
    together = [stack.images for stack in generate_subjects(asking, subjects)]
    monkeypatch.setattr("chestgan_core.publishing.subjects._BLOCK_BYTES", 1)
    alone = [stack.images for stack in generate_subjects(asking, subjects)]

    for one, two, subject in zip(together, alone, subjects, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, generate(asking, [subject.seed] * len(subject.layouts), subject.layouts))


def test_a_file_of_patients_is_a_shard_whose_rows_say_where_slices_are(
    asking: LoadedGenerator, tmp_path: Path
) -> None:
    subjects = patients(asking)
    written = write_subjects(asking, subjects, tmp_path / "patients.safetensors")
    write_subjects(asking, subjects, tmp_path / "again.safetensors")

    shard = read_shard(tmp_path / "patients.safetensors", synthetic=True)
    assert len(shard.rows) == written["images"] == 24
    assert [row.patient for row in shard.rows[::12]] == [name_of(asking, one) for one in subjects]
    assert shard.rows[0].patient.startswith("SYN-")
    assert len({row.series_uid for row in shard.rows}) == 2
    assert len({row.sop_uid for row in shard.rows}) == 24
    assert {row.pixel_mm for row in shard.rows} == {5.0}
    assert {row.thickness_mm for row in shard.rows} == {20}
    assert np.diff([row.position_mm for row in shard.rows[:12]]) == pytest.approx(20)
    heights = lung_heights(shard.rows).values()
    assert list(heights) == pytest.approx([240, 240])  # that of the training patients
    images = torch.cat([stack.images for stack in generate_subjects(asking, subjects)])
    assert np.array_equal(shard.slices, asking.experiment.display_window.from_unit(images)[:, 0].numpy())
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "patients.safetensors").read_bytes()
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "patients.parquet").read_bytes()


def test_no_generator_is_trained_on_patients_that_one_made(
    asking: LoadedGenerator, experiment: Experiment, tmp_path: Path
) -> None:
    write_subjects(asking, patients(asking), tmp_path / "patients.safetensors")

    with pytest.raises(
        BadInput, match=r"patients\.safetensors: holds slices that a generator made; give slices"
    ):
        load_slices([tmp_path / "patients.safetensors"], experiment)


def test_the_layouts_beside_a_patient_make_its_slices_again(asking: LoadedGenerator, tmp_path: Path) -> None:
    subjects = patients(asking)
    write_subjects(asking, subjects, tmp_path / "patients.safetensors")

    read = asked_of_file(asking, tmp_path / "patients.csv", 0)

    assert list(read.layouts() or ()) == [layout for one in subjects for layout in one.layouts]
    assert set(read.seeds) == {30, 31}


def test_a_folder_of_patients_has_their_slices_from_base_to_apex_and_an_animation(
    asking: LoadedGenerator, tmp_path: Path
) -> None:
    write_subjects(asking, patients(asking, 1), tmp_path / "patients")

    (folder,) = [path for path in (tmp_path / "patients").iterdir() if path.is_dir()]
    assert [path.name for path in sorted(folder.iterdir())] == [f"{number:03d}.png" for number in range(12)]
    with Image.open(folder.with_suffix(".gif")) as animation:
        assert animation.n_frames == 12


def test_what_is_measured_of_a_patient(asking: LoadedGenerator) -> None:
    asked = Layout(((14.0, 28.0, 20.0, 34.0),), 0.5)
    subject = subject_layouts(askable_of(asking), 3, 10, asked)
    (stack,) = generate_subjects(asking, [subject])
    stack.images[:] = -0.4
    for image, layout in zip(stack.images, subject.layouts, strict=True):
        for left, top, right, bottom in layout.boxes or ():
            y, x = np.mgrid[:64, :64] + 0.5
            place = ((x - (left + right) / 2) * 2 / (right - left)) ** 2
            image[0, torch.from_numpy(place + ((y - (top + bottom) / 2) * 2 / (bottom - top)) ** 2 < 1)] = 0.7

    found = measured(stack)

    assert (found["seed"], found["slices"], found["spacing_mm"], found["pixel_mm"]) == (3, 24, 10, 5.0)
    assert found["asked_mm3"] == pytest.approx(np.pi / 6 * 30**3)
    assert found["tumour_mm3"] == pytest.approx(found["asked_mm3"], rel=0.15)  # 3 cuts of 6 pixels
    assert found["boxes_mm3"] == pytest.approx(found["asked_mm3"], rel=0.15)
    assert 0.9 < found["neighbour_ssim"] < 1


def test_an_animation_shows_each_slice_enlarged_with_the_asked_boxes_where_wanted(
    asking: LoadedGenerator,
) -> None:
    (stack,) = generate_subjects(asking, patients(asking, 1))

    def colours(boxes: bool) -> set[str]:
        with Image.open(io.BytesIO(animation_of(stack, boxes))) as animation:
            assert animation.size == (128, 128)
            found = set()
            for frame in range(animation.n_frames):
                animation.seek(frame)
                red, green, blue = (np.asarray(band, int) for band in animation.convert("RGB").split())
                found.add(
                    "grey" if np.abs(red - green).max() + np.abs(green - blue).max() == 0 else "coloured"
                )
            return found

    assert colours(boxes=False) == {"grey"}
    assert "coloured" in colours(boxes=True)
