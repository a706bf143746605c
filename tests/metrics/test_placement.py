"""Placement: between the detector's own limits on real images and boxes of other images."""

import numpy as np
import pytest
import torch
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.metrics.detector import Detector, train_detector
from chestgan_core.metrics.placement import FALSE_FINDS, Placement, placement_of
from tests.metrics.spots import Boxes, exchanged, spots

REAL, REAL_BOXES = spots(60, seed=1)
PATIENTS = [f"P{at // 6}" for at in range(60)]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return train_detector(*spots(8, seed=0), seed=0, images_seen=400, augment=True)


def placed(detector: Detector, images: Tensor, asked: Boxes) -> Placement:
    return placement_of(detector, images, asked, REAL, REAL_BOXES, PATIENTS, seed=0)


def test_images_that_show_what_was_asked_reach_the_ceiling(detector: Detector) -> None:
    found = placed(detector, *spots(80, seed=2))
    assert found.value is not None
    assert found.ceiling is not None
    assert found.relative is not None
    assert found.floor is not None
    assert found.floor < 0.3 < 0.8 < found.ceiling.value <= 1
    assert 0.85 < found.relative.value < 1.15
    assert found.relative.value == found.value.value / found.ceiling.value
    for one in (found.value, found.ceiling, found.relative):
        assert one.interval is not None
        assert one.interval[0] <= one.value <= one.interval[1] + 1e-9
    assert (found.images, found.asked, found.real_images, found.real_tumours) == (80, 40, 60, 30)
    assert found.real_patients == 10


def test_images_that_show_something_else_stay_at_the_floor(detector: Detector) -> None:
    images, boxes = spots(80, seed=2)
    asked: Boxes = [()] * 80
    with_tumour = [at for at, some in enumerate(boxes) if some]
    for at, other in zip(with_tumour, with_tumour[1:] + with_tumour[:1], strict=True):
        asked[at] = boxes[other]
    found = placed(detector, images, asked)
    assert found.value is not None
    assert found.floor is not None
    assert found.value.value < found.floor + 0.1 < 0.4


def test_images_without_any_tumour_are_found_empty(detector: Detector) -> None:
    _, asked = spots(80, seed=2)
    images, _ = spots(80, seed=2, shown=[()] * 80)
    found = placed(detector, images, asked)
    assert found.value is not None
    assert found.value.value < 0.2


def test_false_finds_are_counted_where_no_tumour_was_asked(detector: Detector) -> None:
    images, boxes = spots(80, seed=2)
    honest, hidden = placed(detector, images, boxes), placed(detector, images, [()] * 80)
    assert honest.false_finds is not None
    assert honest.false_finds_real is not None
    assert honest.false_finds_real.value <= 2 * FALSE_FINDS  # half of the real images have a tumour
    assert hidden.false_finds is not None
    assert hidden.false_finds.value > honest.false_finds.value + 0.1
    assert hidden.value is None
    assert hidden.floor is None
    assert hidden.relative is None
    assert hidden.ceiling == honest.ceiling


def test_images_of_which_nothing_was_said_do_not_count(detector: Detector) -> None:
    images, boxes = spots(20, seed=2)
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (20, 1, 32, 32)).astype(np.float32))
    mixed = placement_of(
        detector, torch.cat([images, noise]), [*boxes, *[None] * 20], REAL, REAL_BOXES, PATIENTS, seed=0
    )
    assert mixed == placed(detector, images, boxes)


def test_without_images_without_real_tumours_or_with_one_asked_image_what_is_undefined_is_none(
    detector: Detector,
) -> None:
    nothing = placed(detector, torch.empty(0, 1, 32, 32), [])
    assert nothing.value is nothing.false_finds is nothing.floor is None
    assert nothing.ceiling is not None
    images, boxes = spots(2, seed=2)
    assert placed(detector, images, boxes).floor is None
    rows = range(0, 60, 2)
    healthy = placement_of(
        detector, images, boxes, REAL[list(rows)], [()] * 30, [PATIENTS[row] for row in rows], seed=0
    )
    assert healthy.ceiling is healthy.relative is None
    assert healthy.value is not None


def test_images_of_one_subject_are_one_piece_of_evidence(detector: Detector) -> None:
    images, boxes = exchanged_halves()
    each = placed(detector, images, boxes)
    together = placement_of(
        detector,
        images,
        boxes,
        REAL,
        REAL_BOXES,
        PATIENTS,
        seed=0,
        subjects=[f"S{at // 20}" for at in range(80)],
    )
    assert each.value is not None
    assert together.value is not None
    assert each.value.value == together.value.value
    assert together.value.draws.std() > 1.5 * each.value.draws.std()
    alone = placement_of(
        detector, images, boxes, REAL, REAL_BOXES, PATIENTS, seed=0, subjects=["S"] * 80
    ).value
    assert alone is not None
    assert alone.interval is None


def exchanged_halves() -> tuple[Tensor, Boxes]:
    """80 images, the second half of which shows other boxes than were asked."""
    images, boxes = spots(80, seed=2)
    return images, boxes[:40] + exchanged(boxes[40:], 1)


def test_the_same_seed_gives_the_same_result(detector: Detector) -> None:
    images, boxes = spots(20, seed=2)
    assert placed(detector, images, boxes) == placed(detector, images, boxes)


def test_asked_boxes_that_are_none_are_refused(detector: Detector) -> None:
    images, _ = spots(2, seed=2)
    with pytest.raises(BadInput, match="no area"):
        placed(detector, images, [((9.0, 9.0, 9.0, 12.0),), ()])
