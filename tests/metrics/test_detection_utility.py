"""Training sets are compared by what a detector of the same budget learns from each."""

import pytest
import torch

from chestgan_core.errors import BadInput
from chestgan_core.metrics.detection_utility import (
    AnnotatedImages,
    detection_utility,
    patient_counts,
    rows_of_first,
    together,
)
from tests.metrics.spots import spots

TEST = AnnotatedImages(*spots(60, seed=1))
PATIENTS = [f"P{at // 6}" for at in range(60)]
FEW = AnnotatedImages(*spots(2, seed=0))


def test_each_set_has_a_score_and_scores_are_compared_patient_by_patient() -> None:
    steps: list[int] = []
    scores = detection_utility(
        {"few": FEW, "few, augmented": FEW},
        TEST,
        PATIENTS,
        seed=0,
        images_seen=400,
        augment={"few, augmented"},
        progress=steps.append,
    )
    assert list(scores) == ["few", "few, augmented"]
    assert sum(steps) == 2 * 400
    plain, augmented = (score.average_precision for score in scores.values())
    assert plain.value < 0.3 < 0.7 < augmented.value
    better = augmented.minus(plain)
    assert better.interval is not None
    assert 0 < better.interval[0] < better.value < better.interval[1]
    ratio = plain.over(augmented)
    assert ratio is not None
    assert ratio.value == pytest.approx(plain.value / augmented.value)


def test_nothing_is_trained_where_nothing_can_be_judged() -> None:
    healthy = TEST.only(range(0, 60, 2))
    steps: list[int] = []
    assert detection_utility({"few": FEW}, healthy, PATIENTS[::2], seed=0, progress=steps.append) == {}
    assert steps == []


def test_a_training_set_without_images_is_refused() -> None:
    with pytest.raises(BadInput, match="no image"):
        detection_utility({"none": FEW.only([])}, TEST, PATIENTS, seed=0, images_seen=32)


def test_sets_together_remember_which_image_is_of_which() -> None:
    both = together(FEW, TEST)
    assert len(both.images) == len(both.boxes) == 62
    assert both.parts == (0, 0) + (1,) * 60
    some = both.only([1, 2])
    assert torch.equal(some.images[1], TEST.images[0])
    assert some.boxes == [FEW.boxes[1], TEST.boxes[0]]
    assert some.parts == (0, 1)


def test_few_patients_are_part_of_more_and_another_seed_begins_with_others() -> None:
    rows = [set(rows_of_first(PATIENTS, count, seed=0)) for count in patient_counts(10)]
    assert [len(some) for some in rows] == [6, 12, 30, 60]
    assert rows[0] < rows[1] < rows[2] < rows[3]
    assert len({tuple(rows_of_first(PATIENTS, 1, seed)) for seed in range(20)}) > 3


@pytest.mark.parametrize(
    ("patients", "counts"), [(1, (1,)), (3, (1, 2, 3)), (5, (1, 2, 5)), (40, (1, 2, 5, 40))]
)
def test_the_curve_ends_with_all_patients(patients: int, counts: tuple[int, ...]) -> None:
    assert patient_counts(patients) == counts
