"""The DCGAN networks: shapes, the layout of the thesis system, and an initialization that runs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chestgan_core.networks.dcgan import Discriminator, Generator, initialize


@settings(max_examples=12, deadline=None)
@given(size=st.sampled_from([16, 32, 64, 128]), width=st.integers(1, 4), latent=st.integers(1, 9))
def test_noise_becomes_an_image_of_the_resolution_and_an_image_one_logit(
    size: int, width: int, latent: int
) -> None:
    images = Generator(latent, width, size)(torch.zeros(2, latent))
    assert images.shape == (2, 1, size, size)
    assert images.abs().max() <= 1
    assert Discriminator(width, size)(images).shape == (2,)


@pytest.mark.parametrize("size", [8, 65, 96])
def test_a_resolution_that_is_not_a_power_of_two_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Generator(8, 4, size)


def test_at_64_pixels_the_networks_are_those_of_the_thesis() -> None:
    def maps(network: nn.Module) -> list[tuple[int, int]]:
        kinds = nn.Conv2d | nn.ConvTranspose2d
        return [(m.in_channels, m.out_channels) for m in network.modules() if isinstance(m, kinds)]

    assert maps(Generator(100, 64, 64)) == [(100, 512), (512, 256), (256, 128), (128, 64), (64, 1)]
    assert maps(Discriminator(128, 64)) == [(1, 128), (128, 256), (256, 512), (512, 1024), (1024, 1)]
    norms = [m for m in Discriminator(128, 64).modules() if isinstance(m, nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == [256, 512, 1024]


def test_large_networks_stop_widening() -> None:
    widest = max(p.shape[0] for p in Discriminator(32, 512).parameters())
    assert widest == 1024


@pytest.mark.parametrize(
    "network", [Generator(64, 16, 64), Discriminator(16, 64)], ids=["generator", "discriminator"]
)
def test_initialization_reaches_every_layer(network: nn.Module) -> None:
    for parameter in network.parameters():
        nn.init.constant_(parameter, 7.0)
    initialize(network, seed=3)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 4000:
            assert abs(layer.weight.mean().item()) < 1e-3
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.03)
            assert 0 < layer.weight.std().item() < 0.04
            assert not layer.bias.any()
    assert all((parameter != 7.0).all() for parameter in network.parameters())


def test_a_seed_decides_the_weights() -> None:
    first, same, other = Generator(8, 4, 64), Generator(8, 4, 64), Generator(8, 4, 64)
    for network, seed in ((first, 1), (same, 1), (other, 2)):
        initialize(network, seed)
    weights = [network.state_dict()["layers.0.weight"] for network in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
