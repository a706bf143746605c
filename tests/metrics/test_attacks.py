"""Membership attacks: what a score says of copies, and what AUC, true positives and their intervals say of a score."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chestgan_core.metrics.attacks.scores import (
    COMPONENTS,
    blind_score,
    calibrated_score,
    density_score,
    distances,
    monte_carlo_score,
    nearest_score,
)
from chestgan_core.metrics.attacks.telling import (
    Scored,
    by_chance,
    critical,
    newcombe,
    roc,
    scored,
    told,
    wilson,
)

Z = critical(0.95, 1)


def auc(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """By the definition: how often a score of the first is higher."""
    return float(np.mean([(a > b) + (a == b) / 2 for a in one for b in other]))


def side(count: int, seed: int, shift: float = 0.0, most: int = 9) -> Scored:
    """Patients with 1 to `most` slices; a score varies between patients and between slices of one."""
    draw = np.random.default_rng(seed)
    groups = np.repeat(np.arange(count), draw.integers(1, most + 1, count))
    return Scored(draw.normal(size=count)[groups] + draw.normal(size=len(groups)) + shift, groups, count)


def cloud(count: int, seed: int, dimension: int = 20) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.fixture(scope="module")
def copied() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """80 asked vectors, of whose first half the synthetic ones are near copies; and a reference."""
    asked = cloud(80, 0)
    return asked, asked[:40].repeat(2, axis=0) + 0.05 * cloud(80, 1), cloud(60, 2)


@pytest.mark.parametrize("score", [nearest_score, calibrated_score, monte_carlo_score])
def test_what_was_copied_scores_above_what_was_not(copied, score) -> None:  # type: ignore[no-untyped-def]
    scores = score(distances(*copied))
    assert scores[:40].min() > scores[40:].max()


def test_the_density_of_copies_is_higher_than_that_of_the_reference() -> None:
    asked, reference = cloud(80, 0, dimension=4), cloud(200, 2, dimension=4)
    scores = density_score(asked, asked[:40].repeat(5, axis=0) + 0.02 * cloud(200, 1, dimension=4), reference)
    assert (
        told(Scored(scores[:40], np.arange(40), 40), Scored(scores[40:], np.arange(40), 40), 0, Z).auc > 0.7
    )


def test_a_ratio_of_densities_of_one_law_is_about_one_and_does_not_depend_on_units() -> None:
    stretched = np.array([8, 4, 2, 1], np.float32)
    asked, synthetic, reference = (stretched * cloud(n, n, dimension=4) for n in (50, 900, 901))
    scores = density_score(asked, synthetic, reference)
    assert abs(scores).mean() < 0.5
    turned, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))
    again = density_score(*(1000 * of @ turned + 7 for of in (asked, synthetic, reference)))
    assert again == pytest.approx(scores, abs=1e-3)


def test_the_density_takes_fewer_images_than_features_and_images_that_are_all_the_same() -> None:
    wide = [cloud(n, n, dimension=300) for n in (12, 9, 5)]
    assert np.isfinite(density_score(*wide)).all()
    same = np.ones((6, 30), np.float32)
    assert np.isfinite(density_score(same, same, same)).all()
    assert COMPONENTS < 9


def test_calibration_takes_off_how_common_an_image_is() -> None:
    # Common images lie near everything, whoever was trained on: here all that were not trained on are common.
    common, rare = 0.1 * cloud(40, 0), 3 * cloud(40, 1)
    synthetic = np.concatenate([0.1 * cloud(100, 2), rare + 0.5 * cloud(40, 3)])
    reference = np.concatenate([0.1 * cloud(100, 4), 3 * cloud(40, 5)])
    trained = np.arange(80) >= 40
    found = distances(np.concatenate([common, rare]), synthetic, reference)
    for score, least, most in ((nearest_score, 0, 0), (calibrated_score, 0.9, 1)):
        scores = score(found)
        assert least <= auc(scores[trained], scores[~trained]) <= most


def test_exact_copies_and_references_give_finite_scores() -> None:
    asked = cloud(10, 0)
    found = distances(asked, asked.copy(), asked.copy())
    for score in (nearest_score, calibrated_score, monte_carlo_score, blind_score):
        assert np.isfinite(score(found)).all()


def test_the_auc_is_how_often_a_member_scores_above_another_where_each_patient_has_one_slice() -> None:
    one, other = side(30, 1, 0.6, most=1), side(20, 2, most=1)
    found = told(one, other, 0, Z)
    assert found.auc == pytest.approx(auc(one.scores, other.scores))
    curve = roc(one, other)
    area = np.trapezoid(curve.true_positives, curve.false_positives)
    assert area == pytest.approx(found.auc)


def test_ties_count_half() -> None:
    one = Scored(np.array([1.0, 0.0]), np.arange(2), 2)
    assert told(one, one, 0, Z).auc == 0.5
    curve = roc(one, one)
    assert curve.false_positives.tolist() == curve.true_positives.tolist() == [0.0, 0.5, 1.0]


def test_a_patient_with_ninety_slices_decides_no_more_than_one_with_three() -> None:
    # Nine members of three slices score low; one of ninety scores high.
    groups = np.concatenate([np.repeat(np.arange(9), 3), np.full(90, 9)])
    members = Scored((groups == 9).astype(np.float64), groups, 10)
    others = Scored(np.full(30, 0.5), np.repeat(np.arange(10), 3), 10)
    for one, other in ((members, others), (members.by_patient(), others.by_patient())):
        found = told(one, other, 0, Z)
        assert found.auc == pytest.approx(0.1)
        assert found.true_positives == pytest.approx(0.1)
        assert roc(one, other).true_positives[1] == pytest.approx(0.1)


def test_the_score_of_a_patient_is_the_mean_of_the_slices() -> None:
    found = scored(np.array([1.0, 3.0, 7.0]), np.array(["a", "a", "b"])).by_patient()
    assert found.scores.tolist() == [2.0, 7.0]


def test_scores_that_are_no_numbers_are_refused() -> None:
    for scores in (np.array([1.0, np.nan]), np.array([])):
        with pytest.raises(ValueError, match="finite"):
            scored(scores, np.array(["a", "b"][: len(scores)]))


def test_intervals_hold_chance_about_as_often_as_they_say_where_nothing_is_told() -> None:
    outside = 0
    for seed in range(60):
        one, other = side(14, 2 * seed), side(8, 2 * seed + 1)
        low, high = told(one.by_patient(), other.by_patient(), seed, Z).auc_interval
        outside += not low <= 0.5 <= high
    assert outside <= 7  # 5 % would be 3


def test_few_patients_told_apart_entirely_have_an_interval_nevertheless() -> None:
    one, other = (Scored(np.arange(5.0) + shift, np.arange(5), 5) for shift in (10, 0))
    found = told(one, other, 0, Z)
    assert (found.auc, found.true_positives) == (1, 1)
    assert found.auc_interval == pytest.approx((0.64, 1), abs=0.01)
    assert found.true_positives_interval == pytest.approx((0.57, 1), abs=0.01)


def test_newcombe_holds_the_value_narrows_with_patients_and_is_symmetric() -> None:
    for auc in (0.0, 0.3, 0.5, 0.98, 1.0):
        few, many = newcombe(auc, 8, 5, Z), newcombe(auc, 80, 50, Z)
        assert few[0] <= many[0] <= auc <= many[1] <= few[1]
        assert newcombe(1 - auc, 8, 5, Z) == pytest.approx((1 - few[1], 1 - few[0]), abs=1e-9)
    assert wilson(0.0, 20, 1.96) == pytest.approx((0, 0.161), abs=1e-3)


def test_more_comparisons_widen_an_interval() -> None:
    one, other = side(12, 5, 1.0), side(9, 6)
    wide, narrow = (told(one, other, 0, critical(0.95, count)).auc_interval for count in (6, 1))
    assert wide[0] < narrow[0] < narrow[1] < wide[1] <= 1


def test_true_positives_at_one_percent_of_many_and_of_few_others() -> None:
    many = Scored(np.arange(200.0), np.arange(200), 200)
    members = Scored(np.array([0.0, 197.5, 198.5, 300.0]), np.arange(4), 4)
    # Two of 200 may be wrong: who scores above the third from the top is told.
    assert told(members, many, 0, Z).true_positives == 0.75
    few = Scored(np.arange(9.0), np.arange(9), 9)
    assert told(members, few, 0, Z).true_positives == 0.75  # above every other
    assert by_chance(9) == 0.1
    assert by_chance(200) == pytest.approx(3 / 201)


def test_what_members_score_by_chance_is_what_is_printed_for_it() -> None:
    found = [
        told(side(30, 2 * s, most=1), side(9, 2 * s + 1, most=1), 0, Z).true_positives for s in range(150)
    ]
    assert np.mean(found) == pytest.approx(by_chance(9), abs=0.05)


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = side(12, 5), side(9, 6)
    first, again = (told(one, other, 3, Z) for _ in range(2))
    assert (first.auc_interval, first.true_positives_interval) == (
        again.auc_interval,
        again.true_positives_interval,
    )
