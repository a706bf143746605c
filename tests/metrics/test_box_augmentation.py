"""Augmentation moves image and boxes together."""

import numpy as np
import pytest
import torch

from chestgan_core.metrics.box_augmentation import MIN_VISIBLE, SCALE, TRANSLATION, augmented

NAN = float("nan")


def moved(left: float, count: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A bright rectangle 10 wide and 6 high, augmented `count` times."""
    boxes = torch.tensor([[[left, 40.0, left + 10, 46.0], [NAN] * 4]]).repeat(count, 1, 1)
    images = torch.full((count, 1, 64, 64), -1.0)
    images[:, :, 40:46, int(left) : int(left) + 10] = 1.0
    return images, *augmented(images, boxes, np.random.default_rng(0))


def test_the_box_stays_on_what_it_marks() -> None:
    _, images, boxes = moved(20)
    for image, box in zip(images, boxes, strict=True):
        rows, columns = np.nonzero(image[0].numpy() > -0.1)
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert seen == pytest.approx(box[0].tolist(), abs=1.01)


def test_places_sizes_and_sides_vary_within_their_bounds() -> None:
    _, _, boxes = moved(20)
    width, top = boxes[:, 0, 2] - boxes[:, 0, 0], boxes[:, 0, 1]
    assert np.exp(-SCALE) * 10 <= width.min() < 9 < 11 < width.max() <= np.exp(SCALE) * 10 + 1e-4
    assert 40 - 64 * TRANSLATION - 3 < top.min() < 35 < 45 < top.max() < 40 + 64 * TRANSLATION + 3
    mirrored = (boxes[:, 0, 0] > 29).float().mean()
    assert 0.3 < mirrored < 0.6


def test_brightness_varies_a_little_and_stays_within_the_window() -> None:
    _, images, _ = moved(20)
    black = images.flatten(1).median(dim=1).values
    assert images.min() >= -1
    assert images.max() <= 1
    assert 0.05 < black.max() - black.min() < 0.3


def test_a_box_that_leaves_the_image_is_lost_and_one_that_was_none_stays_none() -> None:
    _, _, boxes = moved(54)
    kept = torch.isfinite(boxes).all(dim=-1)
    assert not kept[:, 1].any()
    assert 0 < int((~kept[:, 0]).sum()) < 200
    width = (boxes[:, 0, 2] - boxes[:, 0, 0])[kept[:, 0]]
    assert width.min() > 10 * np.exp(-SCALE) * MIN_VISIBLE
    assert boxes[:, 0][kept[:, 0]].min() >= 0
    assert boxes[:, 0][kept[:, 0]].max() <= 64


def test_the_same_seed_augments_alike() -> None:
    assert all(torch.equal(one, other) for one, other in zip(moved(20, 4)[:2], moved(20, 4)[:2], strict=True))
