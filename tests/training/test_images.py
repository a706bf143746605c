"""From shards in HU to training images in [-1, 1]."""

from pathlib import Path

import numpy as np
import pytest
import torch

from chestgan_core.errors import BadInput
from chestgan_core.experiment import Experiment
from chestgan_core.slices.shards import Shard, SliceRow, write_shard
from chestgan_core.training.images import load_images


def shard(path: Path, hu: np.ndarray) -> Path:
    row = SliceRow("P1", "A", "1.2", "1.2.3", position_mm=0.0, lung_share=0.3, pixel_mm=5.0)
    write_shard(Shard(hu.astype(np.int16), (row,) * len(hu)), path)
    return path


def test_the_window_maps_hu_to_minus_one_to_one_in_the_order_of_the_paths(
    tmp_path: Path, experiment: Experiment
) -> None:
    # The lung window reaches from -1350 to 150 HU.
    hu = np.full((4, 64, 64), -600)
    hu[0], hu[1], hu[3] = -1024, 150, 3000
    paths = [shard(tmp_path / "b.safetensors", hu[:1]), shard(tmp_path / "a.safetensors", hu[1:])]
    images = load_images(paths, experiment)
    assert images.shape == (4, 1, 64, 64)
    assert images.dtype == torch.float32
    assert images[:, 0, 5, 5].tolist() == pytest.approx([-0.56533, 1.0, 0.0, 1.0], abs=1e-4)


def test_larger_slices_are_averaged_before_the_window_clips(tmp_path: Path, experiment: Experiment) -> None:
    hu = np.full((1, 128, 128), -1000)
    hu[:, ::2] = 1000  # stripes of one pixel: their mean is 0 HU, clipped first it would be -425 HU
    images = load_images([shard(tmp_path / "x.safetensors", hu)], experiment)
    assert images.shape == (1, 1, 64, 64)
    assert images[0, 0, 10:50, 10:50].mean().item() == pytest.approx(0.8, abs=0.01)
    assert images[0, 0, 10:50, 10:50].std().item() < 0.01


def test_smaller_slices_are_refused_with_what_to_do(tmp_path: Path, experiment: Experiment) -> None:
    path = shard(tmp_path / "x.safetensors", np.zeros((2, 32, 32)))
    with pytest.raises(
        BadInput, match=r"x\.safetensors: holds 32 x 32 .* --size 64 or more, .* resolution 32$"
    ):
        load_images([path], experiment)
    path = shard(tmp_path / "y.safetensors", np.zeros((2, 128, 128)))
    larger = experiment.model_copy(update={"resolution": 256})
    with pytest.raises(BadInput, match=r"--size 256 or more, or choose the resolution 128$"):
        load_images([path], larger)


def test_no_slices_are_refused(tmp_path: Path, experiment: Experiment) -> None:
    with pytest.raises(BadInput, match="holds no slices"):
        load_images([], experiment)


def test_a_file_that_is_no_shard_is_refused(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"something else")
    with pytest.raises(BadInput, match=r"x\.safetensors"):
        load_images([tmp_path / "x.safetensors"], experiment)
