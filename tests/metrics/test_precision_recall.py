"""Precision, recall, density and coverage on sets whose answer can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.metrics.precision_recall import PrecisionRecall, precision_recall


def points(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None]


def test_a_collapsed_generator_is_precise_but_covers_little() -> None:
    # With k = 1 the balls around 0, 1, 2, 3 reach one to each side.
    real, fake = points(0, 1, 2, 3), points(0.1, 0.1, 0.1, 0.1)
    assert precision_recall(real, fake, k=1) == PrecisionRecall(
        precision=1, recall=0, density=2, coverage=0.5
    )


def test_a_generator_far_away_scores_zero_everywhere() -> None:
    real = points(0, 1, 2, 3)
    assert precision_recall(real, real + 100, k=1) == PrecisionRecall(0, 0, 0, 0)


def test_a_scattered_generator_recalls_what_it_does_not_hit() -> None:
    # The balls around -10 and 11 are 21 wide and hold all the real points, though neither point is near one.
    assert precision_recall(points(0, 1), points(-10, 11), k=1) == PrecisionRecall(0, 1, 0, 0)


def test_every_fraction_counts_each_image_once() -> None:
    # Balls: 0 and 1 reach 1, 4 reaches 3. The fake 1.5 lies in those of 1 and 4, the fake 8 in none.
    found = precision_recall(points(0, 1, 4), points(1.5, 8), k=1)
    assert found.precision == 0.5
    assert found.density == 1.0
    assert found.coverage == pytest.approx(2 / 3)


@given(st.integers(6, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_set_beside_itself_is_fully_covered_whatever_its_shape(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((n, 7))
    found = precision_recall(x, x)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density >= 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_no_measure_depends_on_the_order_of_the_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.standard_normal((600, 3)), rng.standard_normal((40, 3)) + 0.5
    assert precision_recall(real, fake) == precision_recall(rng.permutation(real), rng.permutation(fake))


def test_too_few_images_for_the_neighbours_are_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match="more than 5 vectors on each side, found 5 and 9"):
        precision_recall(np.zeros((5, 2)), np.zeros((9, 2)))
