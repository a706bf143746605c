"""What networks are told beside noise and image: the maps of tumours, and what reaches which weight."""

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.network_config import CONDITIONED_FAMILIES
from chestgan_core.networks.conditioning import Condition, tumour_maps
from chestgan_core.networks.registry import build_discriminator, build_generator

NO_BOX = (torch.nan,) * 4
CORNER, CENTRE = (0.05, 0.1, 0.3, 0.3), (0.4, 0.4, 0.7, 0.6)

fractions = st.floats(0, 1, width=32)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """left, top, right, bottom as fractions, of an edge from a tenth to a half of the image."""
    left, top = draw(fractions) * 0.5, draw(fractions) * 0.5
    return left, top, left + 0.1 + 0.4 * draw(fractions), top + 0.1 + 0.4 * draw(fractions)


def maps(*of: tuple[float, ...], side: int = 64, hidden: tuple[float, ...] | None = None) -> torch.Tensor:
    """(side, side), the map of one image with these boxes."""
    blanked = None if hidden is None else torch.tensor([hidden])
    return tumour_maps(Condition(boxes=torch.tensor([of]), hidden=blanked), side)[0, 0]


@given(boxes(), boxes())
def test_a_map_is_the_ellipse_in_each_box_and_their_maximum(
    one: tuple[float, float, float, float], two: tuple[float, float, float, float]
) -> None:
    first, both = maps(one), maps(one, two)
    assert torch.equal(both, torch.maximum(first, maps(two)))
    assert torch.equal(both, maps(two, one))
    assert 0 <= both.min() <= both.max() <= 1
    left, top, right, bottom = (round(64 * edge) for edge in one)
    assert first[(top + bottom) // 2, (left + right) // 2] == 1
    wide, high = (right - left) / 4 + 2, (bottom - top) / 4 + 2  # half as far outside as the box reaches
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    far = (columns < left - wide) | (columns > right + wide) | (rows < top - high) | (rows > bottom + high)
    assert not first[far].any()


def test_boxes_that_are_none_or_lie_outside_leave_no_trace() -> None:
    assert not maps(NO_BOX).any()
    assert not maps(NO_BOX, (1.2, 0.3, 1.4, 0.5), (-0.4, -0.4, -0.2, -0.2)).any()
    assert torch.equal(maps(CORNER, NO_BOX, NO_BOX), maps(CORNER))


def test_a_box_that_is_cut_by_the_edge_keeps_its_ellipse() -> None:
    shifted = maps((-0.1, 0.4, 0.2, 0.6))
    assert torch.allclose(shifted[:, :40], maps((0.15, 0.4, 0.45, 0.6))[:, 16:56], atol=1e-5)


def test_of_a_box_that_is_thinner_than_a_pixel_something_is_left() -> None:
    assert maps((0.5, 0.5, 0.5005, 0.5005), side=16).max() > 0.1


def test_what_is_hidden_of_an_image_is_not_asked_of_it() -> None:
    whole, left = maps((0.3, 0.3, 0.7, 0.7)), maps((0.3, 0.3, 0.7, 0.7), hidden=(0.0, 0.0, 0.5, 1.0))
    assert not left[:, :32].any()
    assert torch.equal(left[:, 32:], whole[:, 32:])
    assert torch.equal(maps(CENTRE, hidden=(0.0, 0.0, 0.0, 0.0)), maps(CENTRE))


@settings(max_examples=30)
@given(boxes())
def test_a_small_map_resembles_a_large_one_that_is_made_smaller(
    box: tuple[float, float, float, float],
) -> None:
    small = functional.avg_pool2d(maps(box, side=64)[None], 4)[0]
    assert (small - maps(box, side=16)).abs().max() < 0.25
    assert (small - maps(box, side=16)).abs().mean() < 0.02


def experiment(
    family: str, resolution: int, classes: bool = False, position: bool = False, tumour: bool = True
) -> Experiment:
    fields: dict[str, Any] = {
        "dataset": "lung_pet_ct_dx_512",
        "resolution": resolution,
        "classes": ("A", "B") if classes else (),
        "conditions": {"position": position, "tumour": {} if tumour else None},
        "network": {
            "family": family,
            "latent_dim": 6,
            "generator_width": 3,
            "discriminator_width": 3,
            "projection": {"stages": [1], "maps": 4} if family == "projected" else None,
        },
        "training": {"images": 1, "loss": {"kind": "hinge"}},
    }
    return parse_experiment(fields, "any", "test")


def condition(annotated: bool = True, box: tuple[float, ...] = CENTRE) -> Condition:
    """Of four images: with a tumour, surely without, with two; the last one without a position."""
    given = [[box, NO_BOX], [NO_BOX, NO_BOX], [CORNER, box], [box, NO_BOX]]
    return Condition(
        classes=torch.tensor([0, 1, 1, 0]),
        positions=torch.tensor([0.0, 0.5, 1.0, torch.nan]),
        boxes=torch.tensor(given) if annotated else torch.full((4, 2, 4), torch.nan),
        annotated=torch.full((4,), annotated),
    )


def awake(network: nn.Module) -> nn.Module:
    """Without the zeros with which residual networks start: behind them nothing learns in the first step."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return network


@pytest.mark.parametrize(
    ("resolution", "classes", "position", "tumour"),
    [
        *((16, *some) for some in product((False, True), repeat=3) if any(some)),
        (64, False, True, True),
        (64, True, True, True),
        (128, True, True, True),
    ],
)
@pytest.mark.parametrize("family", CONDITIONED_FAMILIES)
def test_each_family_takes_each_combination_and_learns_with_every_weight(
    family: str, resolution: int, classes: bool, position: bool, tumour: bool
) -> None:
    config = experiment(family, resolution, classes, position, tumour)
    generator, discriminator = awake(build_generator(config)), awake(build_discriminator(config))
    asked = condition()
    images = generator(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), asked)
    assert images.shape == (4, 1, resolution, resolution)
    logits = discriminator(images, asked)
    assert logits.shape == (4,)
    (logits * torch.tensor([1.0, -2.0, 3.0, 0.5])).sum().backward()
    for network in (generator, discriminator):
        for name, weight in network.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.isfinite().all(), name
            assert weight.grad.any(), name


@pytest.mark.parametrize("family", CONDITIONED_FAMILIES)
def test_an_image_of_which_nothing_is_known_teaches_the_maps_nothing(family: str) -> None:
    config = experiment(family, 32)
    generator, discriminator = awake(build_generator(config)), awake(build_discriminator(config))
    unknown = condition(annotated=False)
    discriminator(generator(torch.randn(4, 6), unknown), unknown).sum().backward()
    for network in (generator, discriminator):
        layers = [weight for name, weight in network.named_parameters() if "tumours." in name]
        assert layers
        assert all(weight.grad is not None and not weight.grad.any() for weight in layers)


@pytest.mark.parametrize("family", CONDITIONED_FAMILIES)
def test_whether_there_is_no_tumour_or_nothing_is_known_are_two_things(family: str) -> None:
    config = experiment(family, 32)
    generator, discriminator = (
        awake(build_generator(config)).eval(),
        awake(build_discriminator(config)).eval(),
    )
    z, empty = torch.randn(1, 6), torch.full((1, 1, 4), torch.nan)
    none, unknown = (Condition(boxes=empty, annotated=torch.tensor([known])) for known in (True, False))
    with torch.no_grad():
        image = generator(z, none)
        assert not torch.equal(image, generator(z, unknown))
        assert discriminator(image, none) != discriminator(image, unknown)


@pytest.mark.parametrize("family", CONDITIONED_FAMILIES)
def test_another_box_changes_the_image_where_the_boxes_are(family: str) -> None:
    config = experiment(family, 64)
    generator = awake(build_generator(config)).eval()
    z = torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    known = torch.tensor([True])
    small = (0.125, 0.125, 0.25, 0.25)
    with torch.no_grad():
        without, asked = (
            generator(z, Condition(boxes=torch.tensor([[box]]), annotated=known)) for box in (NO_BOX, small)
        )
    change = (asked - without).abs()[0, 0]
    # The coarsest map reaches one of its pixels, an eighth of the image, around the box, and convolutions some more.
    near, far = change[8:16, 8:16].mean(), change[40:, 40:].mean()
    assert near > 10 * far


def test_a_position_that_is_not_known_is_none_of_those_that_are() -> None:
    generator = awake(build_generator(experiment("dcgan", 16, position=True, tumour=False))).eval()
    places = torch.tensor([torch.nan, 0.0, 0.2, 0.5, 1.0])
    with torch.no_grad():
        images = generator(torch.ones(5, 6), Condition(positions=places))
    assert len({image.numpy().tobytes() for image in images}) == 5


def test_batches_with_the_same_conditions_join_and_move_together() -> None:
    one, two = condition(), condition(box=CORNER)
    both = one.followed_by(two)
    assert both.boxes is not None
    assert both.boxes.shape == (8, 2, 4)
    assert both.hidden is None
    right, down = torch.full((4,), 0.25), torch.full((4,), -0.125)
    moved = one.moved(right, down, None)
    assert moved.boxes is not None
    assert moved.boxes[0, 0].tolist() == pytest.approx([0.65, 0.275, 0.95, 0.475])
    assert moved.boxes[0, 1].isnan().all()
    assert Condition(classes=torch.tensor([1])).moved(right, down, None).boxes is None
