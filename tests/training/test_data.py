"""From shards in HU to training images in [-1, 1]."""

from pathlib import Path

import numpy as np
import pytest
import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.slices.shards import Shard, SliceRow, write_shard
from chestgan_core.training.data import load_held_out, load_slices, load_training_slices
from tests.training.conftest import small


def shard(path: Path, hu: np.ndarray, patients: str = "P1", histologies: str = "A") -> Path:
    """One letter of histologies and one word of patients a slice; the first for all where there is only one."""
    letters, words = histologies * (len(hu) // len(histologies)), patients.split() * len(hu)
    rows = [
        SliceRow(word, letter, "1.2", "1.2.3", position_mm=0.0, lung_fraction=0.3, pixel_mm=5.0)
        for letter, word in zip(letters, words, strict=False)
    ]
    write_shard(Shard(hu.astype(np.int16), tuple(rows)), path)
    return path


@pytest.fixture
def experiment() -> Experiment:
    """At 64 pixels, so that slices can be larger and smaller."""
    return small().model_copy(update={"resolution": 64})


def with_classes(experiment: Experiment, **fields: object) -> Experiment:
    return experiment.model_copy(update={"classes": ("A", "B"), **fields})


def test_the_window_maps_hu_to_minus_one_to_one_in_the_order_of_the_paths(
    tmp_path: Path, experiment: Experiment
) -> None:
    # The lung window reaches from -1350 to 150 HU.
    hu = np.full((4, 64, 64), -600)
    hu[0], hu[1], hu[3] = -1024, 150, 3000
    paths = [shard(tmp_path / "b.safetensors", hu[:1]), shard(tmp_path / "a.safetensors", hu[1:])]
    images = load_slices(paths, experiment).images
    assert images.shape == (4, 1, 64, 64)
    assert images.dtype == torch.float32
    assert images[:, 0, 5, 5].tolist() == pytest.approx([-0.56533, 1.0, 0.0, 1.0], abs=1e-4)


def test_larger_slices_are_averaged_before_the_window_clips(tmp_path: Path, experiment: Experiment) -> None:
    hu = np.full((1, 128, 128), -1000)
    hu[:, ::2] = 1000  # stripes of one pixel: their mean is 0 HU, clipped first it would be -425 HU
    images = load_slices([shard(tmp_path / "x.safetensors", hu)], experiment).images
    assert images.shape == (1, 1, 64, 64)
    assert images[0, 0, 10:50, 10:50].mean().item() == pytest.approx(0.8, abs=0.01)
    assert images[0, 0, 10:50, 10:50].std().item() < 0.01


def test_smaller_slices_are_refused_with_what_to_do(tmp_path: Path, experiment: Experiment) -> None:
    path = shard(tmp_path / "x.safetensors", np.zeros((2, 32, 32)))
    with pytest.raises(
        BadInput, match=r"x\.safetensors: holds 32 x 32 .* --size 64 or more, .* resolution 32$"
    ):
        load_slices([path], experiment)
    path = shard(tmp_path / "y.safetensors", np.zeros((2, 128, 128)))
    larger = experiment.model_copy(update={"resolution": 256})
    with pytest.raises(BadInput, match=r"--size 256 or more, or choose the resolution 128$"):
        load_slices([path], larger)


def test_an_experiment_with_classes_sees_slices_of_these_only(tmp_path: Path, experiment: Experiment) -> None:
    hu = np.arange(6)[:, None, None] * 100 + np.zeros((6, 64, 64))
    path = shard(tmp_path / "x.safetensors", hu, "P1 P2 P3 P4 P5 P6", "ABGBAG")
    loaded = load_slices([path], with_classes(experiment))
    assert loaded.classes is not None
    assert loaded.classes.tolist() == [0, 1, 1, 0]
    assert loaded.patients == ("P1", "P2", "P4", "P5")
    assert loaded.images[:, 0, 0, 0].tolist() == pytest.approx([0.8, 14 / 15, 1, 1], abs=1e-4)


def test_a_class_with_too_few_patients_is_refused(tmp_path: Path, experiment: Experiment) -> None:
    path = shard(tmp_path / "x.safetensors", varied(60), "P1 P2 P3 P1", "AABA" * 15)
    enough = with_classes(experiment, min_patients_per_class=1)
    assert len(load_training_slices([path], enough)) == 60
    with pytest.raises(
        BadInput, match=r"class B of .* has 1 patient\(s\) to train on, at least 2 are needed"
    ):
        load_training_slices([path], with_classes(experiment, min_patients_per_class=2))
    with pytest.raises(BadInput, match=r"hold no slices of the classes C, D"):
        load_slices([path], experiment.model_copy(update={"classes": ("C", "D")}))


def test_a_batch_larger_than_the_set_is_refused(tmp_path: Path, experiment: Experiment) -> None:
    path = shard(tmp_path / "x.safetensors", np.zeros((3, 64, 64)))
    with pytest.raises(BadInput, match=r"its batch of \d+ is larger than the set of 3 slices"):
        load_training_slices([path], experiment)


def test_no_slices_are_refused(tmp_path: Path, experiment: Experiment) -> None:
    with pytest.raises(BadInput, match="hold no slices"):
        load_slices([], experiment)


def test_a_file_that_is_no_shard_is_refused(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"something else")
    with pytest.raises(BadInput, match=r"x\.safetensors"):
        load_slices([tmp_path / "x.safetensors"], experiment)


def varied(count: int, seed: int = 0) -> np.ndarray:
    """(count, 64, 64) HU that differ within and between slices."""
    return np.random.default_rng(seed).integers(-1000, 100, (count, 64, 64))


@pytest.mark.parametrize(
    ("hu", "found"),
    [
        (np.full((8, 64, 64), -700), r"are of one value \(8 of 8\), so nothing"),
        (
            np.full((8, 64, 64), 1500) + varied(8),
            r"are of one value \(8 of 8\), so nothing",
        ),  # above the window
        (np.repeat(varied(1), 8, axis=0), "are all the same, so nothing"),
    ],
)
def test_slices_that_show_nothing_are_refused(
    hu: np.ndarray, found: str, tmp_path: Path, experiment: Experiment
) -> None:
    path = shard(tmp_path / "x.safetensors", hu)
    other = shard(tmp_path / "y.safetensors", varied(8, 1), "P2")
    with pytest.raises(BadInput, match=f"the training slices: {found}"):
        load_training_slices([path], experiment)
    trained = load_training_slices([other], experiment)
    with pytest.raises(BadInput, match=f"the held-out slices: {found}"):
        load_held_out([path], trained, experiment)


def test_held_out_slices_are_of_other_patients_than_those_trained_on(
    tmp_path: Path, experiment: Experiment
) -> None:
    trained = load_slices([shard(tmp_path / "a.safetensors", varied(8), "P1")], experiment)
    other = shard(tmp_path / "b.safetensors", varied(8, 1), "P2")
    assert len(load_held_out([other], trained, experiment)) == 8
    for name, hu, patient, said in (
        ("same", varied(8), "P1", "have 1 of their . patient"),
        ("other slices", varied(8, 2), "P1", "have 1 of their . patient"),
        ("other name", varied(8), "P2", "have 8 slice"),
        ("one slice", np.concatenate([varied(8)[:1], varied(7, 3)]), "P3", "have 1 slice"),
    ):
        path = shard(tmp_path / f"{name}.safetensors", hu, patient)
        with pytest.raises(BadInput, match=f"the held-out slices: {said}"):
            load_held_out([path], trained, experiment)
        with pytest.raises(BadInput, match=f"the held-out slices: {said}"):
            load_held_out([other, path], trained, experiment)


def test_a_slice_that_is_given_twice_is_refused_whatever_the_file_is_called(
    tmp_path: Path, experiment: Experiment
) -> None:
    first = shard(tmp_path / "a.safetensors", varied(8))
    again = shard(tmp_path / "copy.safetensors", np.concatenate([varied(8)[3:5], varied(2, 1)]))
    (tmp_path / "link.safetensors").symlink_to(first)
    (tmp_path / "link.parquet").symlink_to(first.with_suffix(".parquet"))
    for path, count in ((first, 8), (again, 2), (tmp_path / "link.safetensors", 8)):
        with pytest.raises(BadInput, match=rf"holds {count} slice\(s\) that .*a\.safetensors holds too"):
            load_slices([first, path], experiment)
    assert len(load_slices([first, shard(tmp_path / "c.safetensors", varied(8), "P2")], experiment)) == 16
