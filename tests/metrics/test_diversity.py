"""MS-SSIM against scikit-image and against what pairs must give; distances between the images of a set."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import structural_similarity

from chestgan_core.metrics.diversity import (
    median_interval,
    ms_ssim,
    other_distances,
    pair_ms_ssim,
    scale_count,
)


def pictures(count: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_an_image_equals_itself_and_the_measure_is_symmetric() -> None:
    x, y = pictures(3), pictures(3, seed=1)
    assert ms_ssim(x, x).numpy() == pytest.approx(np.ones(3), abs=1e-5)
    assert torch.allclose(ms_ssim(x, y), ms_ssim(y, x))
    assert ms_ssim(x, y).max() < 0.2


def test_one_scale_equals_scikit_image() -> None:
    camera = torch.from_numpy(data.camera()[100:120, 200:220].astype(np.float32)) / 127.5 - 1
    noisy = (camera + 0.1 * torch.randn(20, 20, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    assert scale_count(20) == 1
    _, full = structural_similarity(
        camera.numpy(), noisy.numpy(), data_range=2, gaussian_weights=True, use_sample_covariance=False, full=True
    )  # fmt: skip
    found = float(ms_ssim(camera[None, None], noisy[None, None]))
    # scikit-image truncates its Gaussian at 11 pixels too; where the window fits, both are the same.
    assert found == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-4)


def test_images_of_64_pixels_have_three_scales_and_large_ones_five() -> None:
    assert [scale_count(size) for size in (16, 32, 64, 128, 256, 512)] == [1, 2, 3, 4, 5, 5]


def test_a_collapsed_generator_scores_near_one_and_a_diverse_one_does_not() -> None:
    one = pictures(1).expand(20, -1, -1, -1) + 0.01 * pictures(20, seed=2)
    assert pair_ms_ssim(one, 0).mean() > 0.98
    assert pair_ms_ssim(pictures(20), 0).mean() < 0.2


def test_pairs_do_not_share_images_and_their_number_is_bounded() -> None:
    assert len(pair_ms_ssim(pictures(9), 0)) == 4
    assert len(pair_ms_ssim(pictures(40), 0, pairs=5)) == 5


@given(
    count=st.integers(2, 40),
    size=st.integers(1, 6),
    far=st.sampled_from([0.0, 1e4]),
    seed=st.integers(0, 2**16),
)
def test_distances_do_not_depend_on_the_order_or_on_where_the_images_are(
    count: int, size: int, far: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    vectors, order = random.standard_normal((count, size)), random.permutation(count)
    found, moved = other_distances(vectors), other_distances(vectors[order] + far)
    assert moved.nearest == pytest.approx(found.nearest[order], abs=1e-5)
    assert moved.mean == pytest.approx(found.mean[order], rel=1e-6, abs=1e-6)
    assert (found.nearest <= found.mean + 1e-12).all()
    assert other_distances(3 * vectors).mean == pytest.approx(3 * found.mean)


def test_copies_are_at_no_distance_and_one_image_alone_has_none() -> None:
    same = np.ones((300, 50), np.float32)
    assert other_distances(same).mean == pytest.approx(np.zeros(300), abs=1e-6)
    assert other_distances(np.repeat(np.eye(4), 2, axis=0)).nearest == pytest.approx(np.zeros(8), abs=1e-7)
    with pytest.raises(ValueError, match="two vectors or more, found 1"):
        other_distances(same[:1])


def test_the_interval_of_a_median_holds_the_median_of_most_samples() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        interval = median_interval(random.exponential(size=31))
        assert interval is not None
        held += interval[0] <= np.log(2) <= interval[1]
    assert 0.92 < held / 400 <= 1
    assert median_interval(np.arange(5.0)) is None
