"""Matching, average precision and FROC against cases that can be counted by hand."""

import numpy as np
import pytest

from chestgan_core.metrics.boxes import Boxes, Detection
from chestgan_core.metrics.detection import (
    average_precision,
    detection_score,
    exchanges,
    matched,
    sensitivity,
)

TUMOUR, OTHER = (10.0, 10.0, 20.0, 20.0), (40.0, 40.0, 50.0, 50.0)
AWAY = (30.0, 0.0, 36.0, 6.0)


def boxes(*some: tuple[float, float, float, float]) -> Boxes:
    return np.array(some, dtype=np.float64).reshape(-1, 4)


def ones(images: int) -> np.ndarray:
    return np.ones((1, images))


def test_a_detection_is_true_from_an_overlap_of_three_tenths() -> None:
    shifted = [Detection((10 + by, 10, 20 + by, 20), 0.5) for by in (5.3, 5.5)]  # 4.7 / 15.3 and 4.5 / 15.5
    assert [matched([[one]], [boxes(TUMOUR)]).true.tolist() for one in shifted] == [[True], [False]]


def test_a_second_detection_of_the_same_tumour_is_false() -> None:
    twice = [Detection((11, 10, 21, 20), 0.6), Detection(TUMOUR, 0.5)]
    found = matched([twice], [boxes(TUMOUR, OTHER)])
    assert found.true.tolist() == [True, False]
    assert average_precision(found, ones(1)).tolist() == [0.5]


def test_the_highest_score_chooses_first_and_takes_the_tumour_it_overlaps_most() -> None:
    near = (14.0, 10.0, 24.0, 20.0)
    found = matched([[Detection((15, 10, 25, 20), 0.9), Detection(TUMOUR, 0.8)]], [boxes(TUMOUR, near)])
    assert found.true.tolist() == [True, True]


def test_average_precision_is_the_area_over_all_steps_of_recall() -> None:
    """True, false, true of two tumours: precision 1 up to recall 1/2, then 2/3."""
    ranked = [Detection(TUMOUR, 0.9), Detection(AWAY, 0.8), Detection(OTHER, 0.7)]
    found = matched([ranked], [boxes(TUMOUR, OTHER)])
    assert average_precision(found, ones(1)) == pytest.approx([0.5 * 1 + 0.5 * 2 / 3])


def test_precision_at_a_recall_is_the_highest_at_this_recall_or_beyond() -> None:
    """False, true, true: precision is 1/2 at recall 1/2, but 2/3 at recall 1."""
    ranked = [Detection(AWAY, 0.9), Detection(TUMOUR, 0.8), Detection(OTHER, 0.7)]
    found = matched([ranked], [boxes(TUMOUR, OTHER)])
    assert average_precision(found, ones(1)) == pytest.approx([2 / 3])


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([[Detection(TUMOUR, 0.1)], [Detection(OTHER, 0.9)]], 1.0),
        ([[], []], 0.0),
        ([[Detection(AWAY, 0.9)], []], 0.0),
        ([[Detection(TUMOUR, 0.5)], []], 0.5),
    ],
)
def test_perfect_detections_have_an_average_precision_of_one_and_none_of_nought(
    detections: list[list[Detection]], expected: float
) -> None:
    found = matched(detections, [boxes(TUMOUR), boxes(OTHER)])
    assert average_precision(found, ones(2)).tolist() == [expected]


def test_equal_scores_count_together_whatever_their_order() -> None:
    alike = [Detection(TUMOUR, 0.5), Detection(AWAY, 0.5)]
    for some in (alike, alike[::-1]):
        found = matched([some], [boxes(TUMOUR)])
        assert average_precision(found, ones(1)).tolist() == [0.5]
        assert sensitivity(found, 0.5, ones(1)).tolist() == [0]
        assert sensitivity(found, 1, ones(1)).tolist() == [1]


def test_sensitivity_counts_false_positives_per_image_also_in_images_without_a_tumour() -> None:
    detections = [
        [Detection(AWAY, 0.9), Detection(TUMOUR, 0.8)],
        [Detection(AWAY, 0.7), Detection(OTHER, 0.6)],
        [Detection(AWAY, 0.5)],
        [],
    ]
    found = matched(detections, [boxes(TUMOUR), boxes(OTHER), boxes(), boxes()])
    rates = (0, 0.25, 0.5, 4)
    assert [float(sensitivity(found, rate, ones(4))[0]) for rate in rates] == [0, 0.5, 1, 1]
    # Counted twice, the last image makes each false find rarer.
    assert sensitivity(found, 0.4, np.array([[1.0, 1, 1, 2]])).tolist() == [1]


def test_an_image_drawn_twice_counts_as_two_images() -> None:
    detections = [[Detection(TUMOUR, 0.9), Detection(AWAY, 0.5)], [Detection(AWAY, 0.8)], []]
    wanted = [boxes(TUMOUR), boxes(), boxes(OTHER)]
    weights = np.array([[2, 3, 1]])
    drawn = np.repeat([0, 1, 2], weights[0])
    repeated = matched([detections[at] for at in drawn], [wanted[at] for at in drawn])
    found = matched(detections, wanted)
    assert average_precision(found, weights * 1.0) == pytest.approx(average_precision(repeated, ones(6)))
    assert sensitivity(found, 0.5, weights * 1.0) == pytest.approx(sensitivity(repeated, 0.5, ones(6)))


def test_the_threshold_is_the_lowest_score_with_few_enough_false_finds() -> None:
    detections = [
        [Detection(TUMOUR, 0.9), Detection(AWAY, 0.6)],
        [Detection(AWAY, 0.4)],
        [Detection(OTHER, 0.5)],
    ]
    found = matched(detections, [boxes(TUMOUR), boxes(), boxes(OTHER)])
    assert [found.threshold(rate) for rate in (0, 1 / 3, 1)] == [0.9, 0.5, 0.4]
    assert found.hits(0.5).tolist() == [1, 0, 1]
    assert found.false_finds(0.5).tolist() == [1, 0, 0]
    assert matched([[Detection(AWAY, 0.9)]], [boxes()]).threshold(0.5) == float("inf")


def test_a_score_has_intervals_over_patients_and_a_floor_of_exchanged_images() -> None:
    random = np.random.default_rng(0)
    wanted, detections = [], []
    for at in range(120):
        x, y = random.uniform(0, 54, 2)
        wanted.append([(x, y, x + 8, y + 8)] if at % 2 else [])
        hit = [Detection((x + 1, y, x + 9, y + 8), random.uniform(0.3, 1))] if at % 2 and at % 8 != 1 else []
        detections.append([*hit, Detection(AWAY, random.uniform(0, 0.6))])
    patients = [f"P{at // 6}" for at in range(120)]
    score = detection_score(detections, wanted, patients, 64, seed=0)
    assert score is not None
    precision = score.average_precision
    assert precision.interval is not None
    assert precision.interval[0] < precision.value < precision.interval[1] < 1
    assert score.floor < 0.1 < 0.6 < precision.value
    assert list(score.froc) == [0.5, 1, 2, 4]
    assert score.froc[4].value == pytest.approx(45 / 60)
    assert (score.images, score.tumours, score.patients) == (120, 60, 20)
    assert detection_score(detections, wanted, patients, 64, seed=0) == score


def test_images_without_any_tumour_have_no_score() -> None:
    assert detection_score([[], []], [[], []], ["P1", "P2"], 64, seed=0) is None


def test_in_an_exchange_no_image_keeps_its_own() -> None:
    for order in exchanges(7, times=20, seed=0):
        assert sorted(order.tolist()) == list(range(7))
        assert (order != np.arange(7)).all()
