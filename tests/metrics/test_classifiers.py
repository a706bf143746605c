"""The classifier and its AUC on data whose answer is known."""

import numpy as np
import pytest
from scipy.stats import norm

from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.classifiers import auc_per_image, class_auc, fit, fraction_below


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def halves(n: int) -> np.ndarray:
    return np.arange(n) % 2 == 0


def test_two_samples_of_one_distribution_have_an_auc_of_a_half() -> None:
    below = auc_per_image(normal(800, 10, 0), halves(800), normal(800, 10, 1), halves(800))
    assert below.mean() == pytest.approx(0.5, abs=0.05)


def test_the_auc_of_shifted_normals_is_the_closed_form() -> None:
    # The best direction separates by |shift|: AUC = Phi(|shift| / sqrt(2)).
    below = auc_per_image(normal(3000, 4, 0, 0.4), halves(3000), normal(3000, 4, 1), halves(3000))
    assert below.mean() == pytest.approx(norm.cdf(0.8 / np.sqrt(2)), abs=0.02)


def test_an_equal_score_counts_half() -> None:
    assert fraction_below(np.array([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 3.0])).tolist() == pytest.approx(
        [1 / 3, 2 / 3, 0]
    )


def test_a_classifier_learns_three_classes_and_rare_ones_count_as_much() -> None:
    counts, centres = (300, 40, 20), np.eye(3, 6) * 4
    x = np.concatenate([normal(n, 6, at) + centres[at] for at, n in enumerate(counts)])
    y = np.repeat(np.arange(3), counts)
    model = fit(x, y, 3)
    patients = resampling([f"p{at // 4}" for at in range(len(x))], 0)
    value, interval = class_auc(model.scores(x), y, patients)
    assert value > 0.97
    assert interval is not None
    assert interval[0] <= value <= interval[1] + 1e-9


def test_scores_that_know_nothing_have_an_auc_of_a_half_inside_its_interval() -> None:
    scores, y = normal(600, 2, 0), np.repeat([0, 1], 300)
    value, interval = class_auc(scores, y, resampling([f"p{at // 10}" for at in range(600)], 0))
    assert interval is not None
    assert interval[0] < 0.5 < interval[1]
    assert value == pytest.approx(0.5, abs=0.07)


def test_the_same_data_give_the_same_classifier() -> None:
    x, y = normal(60, 5, 0), np.arange(60) % 2
    assert np.array_equal(fit(x, y, 2).weights, fit(x, y, 2).weights)
