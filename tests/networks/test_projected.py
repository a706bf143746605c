"""Discriminators on frozen features: what is trained, what is not, and what each part sees."""

from typing import Any

import pytest
import torch
from torch import nn

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.network_config import Projection
from chestgan_core.errors import BadExperiment
from chestgan_core.imaging.pretrained import efficientnet_grey, efficientnet_lite
from chestgan_core.networks.frozen_features import FrozenFeatures
from chestgan_core.networks.projected import Discriminator
from chestgan_core.networks.registry import build_discriminator, part_weights, parts


def experiment(projection: dict[str, Any] | None = None, **fields: Any) -> Experiment:
    network = {
        "family": "projected",
        "latent_dim": 6,
        "generator_width": 4,
        "discriminator_width": 4,
        "projection": {"maps": 8, **(projection or {})},
    }
    fields = {"resolution": 32, "training": {"images": 1, "loss": {"kind": "hinge"}}, **fields}
    return parse_experiment({"dataset": "lung_pet_ct_dx_512", "network": network, **fields}, "any", "test")


def projected(projection: dict[str, Any] | None = None, **fields: Any) -> Discriminator:
    built = build_discriminator(experiment(projection, **fields))
    assert isinstance(built, Discriminator)
    return built


def images(count: int = 3, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_features_of_grey_images_are_those_of_the_same_grey_in_all_three_colours() -> None:
    network, _ = efficientnet_lite(1)
    taken = FrozenFeatures("efficientnet-lite1", [1, 2, 3, 4])(images(2, 64))
    x = network._swish(
        network._bn0(network._conv_stem(efficientnet_grey(images(2, 64)).expand(-1, 3, -1, -1)))
    )
    outputs = []
    for block in network._blocks:
        x = block(x)
        outputs.append(x)
    last_of_each_size = [
        next(one for one in reversed(outputs) if one.shape[-1] == side) for side in (16, 8, 4, 2)
    ]
    for ours, theirs in zip(taken, last_of_each_size, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_frozen_weights_are_neither_trained_nor_saved_but_the_gradient_reaches_the_images() -> None:
    discriminator = projected()
    asked = images().requires_grad_()
    discriminator.requires_grad_(True)  # as a training does after each step of the generator
    discriminator(asked).sum().backward()
    assert asked.grad is not None
    assert asked.grad.abs().sum() > 0
    trained = {name for name, weight in discriminator.named_parameters() if weight.requires_grad}
    assert trained
    assert all(name.startswith(("pixels.", "heads.")) for name in trained)
    saved = sum(tensor.numel() for tensor in discriminator.state_dict().values())
    frozen = sum(tensor.numel() for tensor in discriminator._frozen[0].state_dict().values())
    assert saved < frozen / 10


def test_the_frozen_network_stays_in_evaluation_and_moves_with_the_module() -> None:
    discriminator = projected().train().to(torch.float64)
    assert not discriminator._frozen[0].training
    assert all(weight.dtype == torch.float64 for weight in discriminator._frozen[0].parameters())
    assert discriminator(images().double()).dtype == torch.float64


def test_parts_have_one_logit_an_image_or_one_a_place_and_their_weighted_mean_is_the_logit() -> None:
    discriminator = projected({"stages": [1, 2, 3]}, resolution=64).eval()
    found = parts(discriminator, images(3, 64))
    assert [len(part) // 3 for part in found] == [1, 16, 16, 16]
    assert sum(part_weights(discriminator)) == pytest.approx(1)
    means = [part.view(3, -1).mean(dim=1) for part in found]
    expected = sum(weight * mean for weight, mean in zip(part_weights(discriminator), means, strict=True))
    assert torch.allclose(discriminator(images(3, 64)), expected, atol=1e-6)  # type: ignore[arg-type]


def test_the_pixels_weigh_as_much_as_the_plan_says_against_all_heads() -> None:
    pixels, *heads = part_weights(projected({"pixel_weight": 4, "stages": [1, 2]}))
    assert pixels / sum(heads) == pytest.approx(4)
    assert part_weights(projected({"pixel_weight": 0, "stages": [1, 2]})) == (0.5, 0.5)


def test_heads_judge_in_every_few_steps_and_count_so_many_times_then() -> None:
    always, seldom = projected(), projected({"heads_every": 4}).eval()
    assert [len(parts(seldom, images(), step=step)) for step in range(5)] == [5, 1, 1, 1, 5]
    weights = [part_weights(seldom, step) for step in range(4)]
    assert all(len(some) == 1 for some in weights[1:])
    assert sum(map(sum, weights)) / 4 == pytest.approx(1)
    assert sum(some[0] for some in weights) / 4 == pytest.approx(part_weights(always)[0])
    # Whoever asks what it makes of an image asks all parts, whatever the step.
    seldom.load_state_dict(always.eval().state_dict())
    assert torch.allclose(seldom(images()), always(images()), atol=1e-6)


def test_heads_do_not_see_what_only_its_condition_makes_wrong() -> None:
    discriminator = projected({"stages": [1]}).eval()
    real, fake = images(4), images(8)[4:]
    of_pixels, of_head = parts(discriminator, torch.cat([real, fake]), batches=2, untold=1)
    assert len(of_pixels) == 8
    seen = parts(discriminator, torch.cat([real[1:], fake[1:]]))[1]
    assert torch.allclose(of_head, seen, atol=1e-5)


def test_heads_see_images_at_the_size_of_the_plan() -> None:
    small = projected({"size": 32, "stages": [1]}, resolution=128)
    assert len(parts(small, images(1, 128))[1]) == 4 * 4
    assert small.heads[0][0].in_channels == 8


def test_mixing_is_drawn_once_and_brings_small_maps_into_large_ones() -> None:
    mixing = projected({"stages": [1, 2]}).mixing
    assert not [*mixing.parameters()]
    channels = [mixing.get_buffer(f"across{at}").shape[1] for at in (0, 1)]
    large, small = torch.zeros(1, channels[0], 8, 8), torch.randn(1, channels[1], 4, 4)
    mixed = mixing([large, small])
    assert [maps.shape for maps in mixed] == [(1, 8, 8, 8), (1, 8, 4, 4)]
    assert mixed[0].abs().sum() > 0


def test_heads_learn_at_their_own_rate() -> None:
    groups = projected({"heads_rate": 0.1}).rates()
    assert [rate for _, rate in groups] == [1.0, 0.1]
    everything = {id(weight) for weights, _ in groups for weight in weights}
    discriminator = projected()
    assert len(everything) == sum(1 for weight in discriminator.parameters() if weight.requires_grad)


def test_every_head_is_spectrally_normalized() -> None:
    for head in projected().heads:
        for layer in head.modules():
            if isinstance(layer, nn.Conv2d):
                assert hasattr(layer, "parametrizations")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"projection": {"pixel_weight": 0, "heads_every": 2}},
            "heads_every: without a discriminator of pixels",
        ),
        ({"resolution": 16}, "stage 4 needs images of 32 pixels or more, not 16"),
        ({"evaluation": {"others": ["efficientnet-lite1"]}}, "others"),
        (
            {"training": {"images": 1, "loss": {"kind": "wasserstein", "clip": 0.1}}},
            "take no gradient penalties",
        ),
        (
            {"training": {"images": 1, "loss": {"kind": "relativistic", "gamma": [1, 1]}}},
            "take no gradient penalties",
        ),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadExperiment, match=reason):
        experiment(**fields)


def test_the_section_belongs_to_the_family() -> None:
    with pytest.raises(BadExperiment, match="needs this section"):
        parse_experiment(
            {"dataset": "phantom", "network": {"family": "projected"}, "training": {"images": 1}}, "x", "x"
        )
    with pytest.raises(BadExperiment, match="only that family takes it"):
        parse_experiment(
            {"dataset": "phantom", "network": {"projection": {}}, "training": {"images": 1}}, "x", "x"
        )


@pytest.mark.parametrize("stages", [[], [2, 1], [1, 1], [5]])
def test_stages_are_named_once_and_in_order(stages: list[int]) -> None:
    with pytest.raises(ValueError, match="stages"):
        Projection(stages=stages)  # type: ignore[arg-type]


def test_classes_need_the_discriminator_that_is_told_them() -> None:
    with pytest.raises(BadExperiment, match="heads are not told what"):
        experiment({"pixel_weight": 0}, classes=("A", "B"))
