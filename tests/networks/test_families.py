"""What every family of networks promises, and what each is held to by its paper."""

from typing import Any, get_args

import pytest
import torch
from torch import nn

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.network_config import Family
from chestgan_core.networks.conditioning import Condition
from chestgan_core.networks.registry import build_discriminator, build_generator

FAMILIES = get_args(Family)
LOSSES: dict[str, dict[str, Any]] = {"wgan": {"kind": "wasserstein", "clip": 0.01}}


def experiment(
    family: str, resolution: int = 32, classes: tuple[str, ...] = (), width: int = 3
) -> Experiment:
    fields: dict[str, Any] = {
        "dataset": "lung_pet_ct_dx_512",
        "resolution": resolution,
        "classes": classes,
        "network": {
            "family": family,
            "latent_dim": 6,
            "generator_width": width,
            "discriminator_width": width,
            "projection": {"maps": 8, "stages": [1, 2]} if family == "projected" else None,
        },
        "training": {"images": 1, "loss": LOSSES.get(family, {"kind": "hinge"})},
    }
    return parse_experiment(fields, "any", "test")


@pytest.mark.parametrize("classes", [(), ("A", "B")])
@pytest.mark.parametrize(
    ("family", "resolution"),
    [
        (family, resolution)
        for family in FAMILIES
        for resolution in (16, 128, 512)
        if family != "vanilla" or resolution <= 128
    ],
)
def test_noise_becomes_images_and_images_become_one_logit_each(
    family: str, resolution: int, classes: tuple[str, ...]
) -> None:
    config = experiment(family, resolution, classes)
    asked = Condition(classes=torch.tensor([0, 1, 1]) if classes else None)
    images = build_generator(config)(torch.randn(3, 6), asked)
    assert images.shape == (3, 1, resolution, resolution)
    logits = build_discriminator(config)(images, asked)
    assert logits.shape == (3,)
    logits.sum().backward()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_decides_all_weights_and_the_same_seed_gives_them_again(family: str) -> None:
    config = experiment(family, classes=("A", "B"))
    other = config.model_copy(update={"seed": 7})
    for build in (build_generator, build_discriminator):
        first, same, another = build(config), build(config), build(other)
        pairs = zip(first.state_dict().values(), same.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        pairs = zip(first.parameters(), another.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_class_changes_the_image_and_its_logit(family: str) -> None:
    config = experiment(family, classes=("A", "B"))
    generator, discriminator = build_generator(config).eval(), build_discriminator(config).eval()
    with torch.no_grad():
        for network in (generator, discriminator):
            for name, weight in network.named_parameters():
                if "embedding" in name:
                    nn.init.normal_(weight)
        z = torch.randn(1, 6)
        first, second = (Condition(classes=torch.tensor([number])) for number in (0, 1))
        image = generator(z, first)
        assert not torch.equal(image, generator(z, second))
        assert discriminator(image, first) != discriminator(image, second)


@pytest.mark.parametrize("family", ["wgan", "spectral", "r3", "projected"])
def test_critics_score_each_image_alone(family: str) -> None:
    discriminator = build_discriminator(experiment(family))
    for _ in range(3):  # the power iteration settles
        discriminator(torch.randn(2, 1, 32, 32))
    discriminator.eval()
    images = torch.randn(4, 1, 32, 32)
    together, alone = discriminator(images), torch.cat([discriminator(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_spectral_discriminator_has_layers_with_lipschitz_constant_one() -> None:
    discriminator = build_discriminator(experiment("spectral", width=8))
    for _ in range(60):
        discriminator(torch.randn(2, 1, 32, 32))
    discriminator.eval()
    for layer in discriminator.modules():
        if isinstance(layer, nn.Conv2d):
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item()
            assert largest == pytest.approx(1, rel=0.02)


def test_a_residual_pair_starts_without_its_blocks() -> None:
    generator = build_generator(experiment("r3", width=4))
    for layer in generator.modules():
        if hasattr(layer, "across"):
            x = torch.randn(2, layer.out.out_channels, 4, 4)
            assert torch.equal(layer(x), x)


def test_the_perceptrons_are_those_of_the_thesis() -> None:
    config = experiment("vanilla", 64, width=128)
    config = config.model_copy(
        update={"network": config.network.model_copy(update={"latent_dim": 100, "discriminator_width": 256})}
    )

    def units(network: nn.Module) -> list[tuple[int, int]]:
        return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]

    assert units(build_generator(config)) == [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 4096)]
    assert units(build_discriminator(config)) == [(4096, 512), (512, 256), (256, 1)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"network": {"family": "stylegan"}}, "network.family"),
        ({"resolution": 96}, "96 is not a power of two; choose 64 or 128"),
        ({"resolution": 128, "dataset": "phantom"}, "128 is more than the 64 pixels .* choose 64 or less"),
        ({"resolution": 256, "network": {"family": "vanilla"}}, "at most 128 pixels"),
        (
            {"training": {"images": 1, "loss": {"kind": "wasserstein", "clip": 0.01}}},
            "choose the network wgan",
        ),
        (
            {"training": {"images": 1, "loss": {"kind": "wasserstein"}}, "network": {"family": "wgan"}},
            "one of them",
        ),
        (
            {"training": {"images": 1, "loss": {"kind": "relativistic", "gamma": [1, 1]}}},
            "batch normalization",
        ),
        ({"classes": ["A"]}, "two or more"),
        ({"classes": ["A", "E"]}, "five patients"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused_with_a_reason(
    fields: dict[str, Any], reason: str
) -> None:
    whole = {"dataset": "lung_pet_ct_dx_512", "training": {"images": 1}, **fields}
    with pytest.raises(Exception, match=reason):
        parse_experiment(whole, "any", "test")
