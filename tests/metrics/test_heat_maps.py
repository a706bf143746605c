"""What the maps should say, and what they mean, are inverse to each other; the loss is least where both agree."""

import pytest
import torch
from torch import Tensor

from chestgan_core.metrics.heat_maps import CHANNELS, HeatMapNetwork, initialize, loss, peaks, targets

NONE = [float("nan")] * 4


def maps_of(boxes: Tensor, size: int) -> Tensor:
    """What a network would say that knows the boxes."""
    heat, wanted = targets(boxes, size)
    return torch.cat([torch.logit(heat.clamp(1e-6, 1 - 1e-6))[:, None], wanted], dim=1)


def test_peaks_of_the_wanted_maps_are_the_boxes() -> None:
    boxes = torch.tensor([[[3.0, 40.5, 9.5, 44.0], [30.25, 10, 41, 30]], [[0, 0, 1, 1.5], NONE]])
    scores, found = peaks(maps_of(boxes, 32), 2)
    assert (scores[0] > 0.99).all()
    assert scores[1, 0] > 0.99
    assert scores[1, 1] < 0.01
    assert found[0].sort(dim=0).values == pytest.approx(boxes[0].sort(dim=0).values, abs=1e-4)
    assert found[1, 0] == pytest.approx(boxes[1, 0], abs=1e-4)


def test_a_neighbour_of_the_peak_knows_the_same_box() -> None:
    boxes = torch.tensor([[[20.0, 20, 32, 32]]])
    maps = maps_of(boxes, 32)
    maps[0, 0, 13, 13] = -9.0
    _, found = peaks(maps, 1)
    assert found[0, 0] == pytest.approx(boxes[0, 0], abs=1e-4)


def test_the_loss_is_least_where_the_maps_say_what_they_should() -> None:
    boxes = torch.tensor([[[20.0, 20, 26, 30], NONE], [NONE, NONE]])
    right = maps_of(boxes, 32)
    moved = maps_of(boxes + 6, 32)
    wider = right.clone()
    wider[:, 3] += 0.5
    blind = torch.zeros(2, CHANNELS, 32, 32)
    assert all(float(loss(maps, boxes)) > float(loss(right, boxes)) + 0.1 for maps in (moved, wider, blind))


def test_images_without_any_tumour_have_a_loss_of_false_heat_alone() -> None:
    nothing = torch.full((2, 1, 4), float("nan"))
    cold, hot = torch.full((2, CHANNELS, 8, 8), -9.0), torch.full((2, CHANNELS, 8, 8), 1.0)
    assert float(loss(cold, nothing)) < 1e-3 < float(loss(hot, nothing))


def test_the_network_is_small_and_takes_images_of_any_size_of_its_grid() -> None:
    network = HeatMapNetwork().eval()
    assert sum(weights.numel() for weights in network.parameters()) < 400_000
    initialize(network, 0)
    for size in (16, 64, 128):
        assert network(torch.zeros(1, 1, size, size)).shape == (1, CHANNELS, size // 2, size // 2)
