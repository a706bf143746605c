"""What each option of DCGAN's generator changes, and what it leaves as it is."""

from typing import Any

import pytest
import torch
from torch import nn

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadExperiment
from chestgan_core.networks import dcgan
from chestgan_core.networks.conditioning import Condition
from chestgan_core.networks.generator_options import Excitation, Grain, Modulated, Smoothing
from chestgan_core.networks.registry import build_generator

EACH: list[dict[str, Any]] = [
    {},
    {"upsampling": "smoothed"},
    {"upsampling": "resize"},
    {"modulation": True},
    {"excitation": True},
    {"noise": True},
    {"output": "linear"},
]


def experiment(options: dict[str, Any] | None, resolution: int = 64, **fields: Any) -> Experiment:
    network = {"family": "spectral", "latent_dim": 6, "generator_width": 4, "generator": options}
    training = {"images": 1, "loss": {"kind": "hinge"}}
    fields = {"dataset": "lung_pet_ct_dx", "resolution": resolution, "network": network, **fields}
    return parse_experiment({"training": training, **fields}, "any", "test")


@pytest.mark.parametrize("options", EACH, ids=str)
@pytest.mark.parametrize("resolution", [16, 128])
def test_noise_becomes_images_that_depend_on_every_weight(options: dict[str, Any], resolution: int) -> None:
    generator = build_generator(experiment(options, resolution))
    images = generator(torch.randn(3, 6))
    assert images.shape == (3, 1, resolution, resolution)
    images.square().sum().backward()
    assert all(weight.grad is not None for weight in generator.parameters())


@pytest.mark.parametrize("options", EACH, ids=str)
def test_the_same_noise_gives_the_same_image_also_beside_others(options: dict[str, Any]) -> None:
    generator = build_generator(experiment(options)).eval()
    with torch.no_grad():
        for part in generator.modules():
            if isinstance(part, Grain):
                part.strength.fill_(1.0)
        z = torch.randn(4, 6)
        assert torch.allclose(generator(z)[2:], generator(z[2:]), atol=1e-5)


def test_without_options_it_is_the_generator_of_dcgan() -> None:
    plain, with_options = build_generator(experiment(None)), build_generator(experiment({}))
    assert isinstance(plain, dcgan.Generator)
    convolutions = [
        [layer.weight for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)]
        for network in (plain, with_options)
    ]
    by_shape = {weight.shape: weight for weight in convolutions[1]}
    with torch.no_grad():
        for weight in convolutions[0]:
            by_shape[weight.shape].copy_(weight)
        for network in (plain, with_options):
            for layer in network.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.weight.fill_(1.0)
        z = torch.randn(2, 6)
        assert torch.allclose(plain(z), with_options(z), atol=1e-6)


def test_classes_positions_and_tumours_enter_as_in_dcgan() -> None:
    conditions = {"position": True, "tumour": {}}
    generator = build_generator(
        experiment({"upsampling": "resize"}, classes=("A", "B"), conditions=conditions)
    ).eval()
    z, box = torch.randn(1, 6), torch.tensor([[[0.2, 0.2, 0.5, 0.5]]])
    known = torch.ones(1, dtype=torch.bool)

    def image(number: int, position: float, boxes: torch.Tensor) -> torch.Tensor:
        asked = Condition(torch.tensor([number]), torch.tensor([position]), boxes, known)
        made: torch.Tensor = generator(z, asked)
        return made

    first = image(0, 0.2, box)
    for other in (image(1, 0.2, box), image(0, 0.8, box), image(0, 0.2, box + 0.3)):
        assert not torch.equal(first, other)


def test_smoothing_takes_a_checkerboard_out_and_leaves_a_flat_image() -> None:
    rows = torch.arange(8)
    board = ((rows[:, None] + rows) % 2 * 2.0 - 1)[None, None]
    smooth = Smoothing(1)
    assert smooth(board)[..., 1:-1, 1:-1].abs().max() == pytest.approx(0, abs=1e-6)
    assert torch.allclose(smooth(torch.full((1, 1, 8, 8), 0.7)), torch.full((1, 1, 8, 8), 0.7))


def test_modulation_scales_and_shifts_each_feature_map_by_the_noise() -> None:
    layer = Modulated(2, 3)
    with torch.no_grad():
        for part, bias in ((layer.scale, [1.0, 0.0]), (layer.shift, [0.0, 5.0])):
            part.weight.zero_()
            part.bias.copy_(torch.tensor(bias))
    out = layer(torch.randn(8, 2, 4, 4), torch.randn(8, 3))
    assert out[:, 0].std().item() == pytest.approx(2, rel=0.02)
    assert out[:, 1].mean().item() == pytest.approx(5, abs=1e-4)


def test_grain_starts_as_nothing_and_has_the_strength_that_is_learned() -> None:
    grain = Grain(2, 16)
    x, given = torch.zeros(64, 2, 16, 16), torch.randn(64, 6)
    assert torch.equal(grain(x, given), x)
    with torch.no_grad():
        grain.strength[1] = 0.5
    noisy = grain(x, given)
    assert noisy[:, 0].abs().max() == 0
    assert noisy[:, 1].std().item() == pytest.approx(0.5, rel=0.1)
    assert not torch.equal(noisy[0, 1], noisy[1, 1])


def test_excitation_gates_lie_between_nothing_and_all() -> None:
    gates = Excitation(3, 5, level=0)(torch.randn(2, 3, 8, 8))
    assert gates.shape == (2, 5, 1, 1)
    assert 0 <= gates.min() <= gates.max() <= 1


def test_a_linear_output_reaches_beyond_the_window() -> None:
    linear = build_generator(experiment({"output": "linear"}))
    with torch.no_grad():
        for weight in linear.parameters():
            weight.mul_(20)
    assert linear(torch.randn(2, 6)).abs().max() > 1


def test_families_with_a_generator_of_their_own_take_no_options() -> None:
    with pytest.raises(BadExperiment, match="r3 has a generator of its own"):
        parse_experiment(
            {
                "dataset": "phantom",
                "network": {"family": "r3", "generator": {}},
                "training": {"images": 1, "loss": {"kind": "hinge"}},
            },
            "any",
            "test",
        )
