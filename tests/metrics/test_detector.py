"""A detector learns spots, learns nothing from boxes of other images, and is the same from the same seed."""

import pytest
import torch

from chestgan_core.errors import BadInput
from chestgan_core.metrics.detection import detection_score
from chestgan_core.metrics.detector import BATCH, Detector, detect, train_detector
from tests.metrics.spots import Boxes, exchanged, spots

SEEN = 400


def precision(detector: Detector, size: int = 32) -> float:
    """Average precision in images that it has not seen."""
    images, boxes = spots(120, seed=9, size=size)
    score = detection_score(
        detect(detector, images), boxes, [f"P{at // 6}" for at in range(120)], size, seed=0
    )
    assert score is not None
    return score.average_precision.value


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Trained on four images, two of which have a spot, with ordinary augmentation."""
    return train_detector(*spots(4, seed=0), seed=0, images_seen=SEEN, augment=True)


def test_it_finds_spots_that_it_has_not_seen(detector: Detector) -> None:
    assert precision(detector) > 0.8


def test_what_it_finds_are_boxes_inside_the_image_best_first(detector: Detector) -> None:
    images, _ = spots(20, seed=5)
    for some in detect(detector, images, max_per_image=3):
        assert 1 <= len(some) <= 3
        assert [one.score for one in some] == sorted((one.score for one in some), reverse=True)
        assert all(0 <= left < right <= 32 and 0 <= top < bottom <= 32 for left, top, right, bottom in (
            one.box for one in some
        ))  # fmt: skip


def test_boxes_of_other_images_teach_nothing() -> None:
    images, boxes = spots(300, seed=0)
    trained = train_detector(images, exchanged(boxes, 1), seed=0, images_seen=SEEN, augment=True)
    assert precision(trained) < 0.1


def test_one_spot_teaches_what_spots_are_with_augmentation_only() -> None:
    plain, augmented = (
        precision(train_detector(*spots(2, seed=0), seed=0, images_seen=SEEN, augment=augment))
        for augment in (False, True)
    )
    assert plain < 0.3 < 0.7 < augmented


@pytest.mark.parametrize("size", [128, 200])
def test_it_takes_images_of_other_sizes(size: int) -> None:
    """200 is averaged to 128; all boxes are in pixels of the images given."""
    images, boxes = spots(8, seed=0, size=size)
    found = detect(train_detector(images, boxes, seed=0, images_seen=32), images[:2])
    assert max(edge for some in found for one in some for edge in one.box) > 0.6 * size


def test_a_size_that_is_no_multiple_of_its_grid_loses_no_place(detector: Detector) -> None:
    images, boxes = spots(60, seed=3, size=40)
    cut, kept = images[..., :37, :37], [
        tuple(box for box in some if max(box) <= 37) for some in boxes
    ]  # fmt: skip
    score = detection_score(detect(detector, cut), kept, [str(at) for at in range(60)], 37, seed=0)
    assert score is not None
    assert score.average_precision.value > 0.6


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    images, boxes = spots(40, seed=0)
    one, same, other = (
        train_detector(images, boxes, seed=seed, images_seen=128, augment=True).network.state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["last.weight"], other["last.weight"])


def test_training_changes_neither_the_images_nor_what_is_drawn_elsewhere() -> None:
    images, boxes = spots(8, seed=0)
    before, state = images.clone(), torch.get_rng_state()
    train_detector(images, boxes, seed=0, images_seen=32, augment=True)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["no tumour at all", "a tumour in every image", "one image"])
def test_sets_of_one_kind_can_be_learned_from(kind: str) -> None:
    images, boxes = spots(20, seed=0)
    rows = {
        "no tumour at all": range(0, 20, 2),
        "a tumour in every image": range(1, 20, 2),
        "one image": [1],
    }[kind]
    seen: list[int] = []
    some: Boxes = [boxes[row] for row in rows]
    trained = train_detector(images[list(rows)], some, seed=0, images_seen=BATCH + 1, progress=seen.append)
    assert seen == [BATCH, BATCH]
    assert trained.images_seen == 2 * BATCH
    assert len(detect(trained, images)) == 20


def test_sources_are_drawn_equally_often_however_large_they_are() -> None:
    """Four images against 300 whose boxes teach nothing: they are heard where both sources count alike."""
    few, many = spots(4, seed=0), spots(300, seed=1)
    images, boxes = torch.cat([few[0], many[0]]), few[1] + exchanged(many[1], 2)
    parts = [0] * 4 + [1] * 300
    trained = train_detector(images, boxes, parts=parts, seed=0, images_seen=2 * SEEN, augment=True)
    assert precision(trained) > 0.5


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(BadInput, match="no image"):
        train_detector(torch.empty(0, 1, 32, 32), [], seed=0)


def test_no_images_have_no_detections(detector: Detector) -> None:
    assert detect(detector, torch.empty(0, 1, 32, 32)) == []
