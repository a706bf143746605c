"""KID and FID against what is known in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.metrics.distances import ROWS, fid, kernel, kid, mmd2


def normal(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale + shift


def test_fid_of_a_shifted_copy_is_the_squared_length_of_the_shift() -> None:
    x = normal(300, 16, seed=0)
    assert fid(x, x + 0.5) == pytest.approx(16 * 0.25, rel=1e-9)


def test_fid_of_a_scaled_copy_is_known_when_there_are_fewer_images_than_features() -> None:
    # S2 = 4 S1: Tr(S1 + 4 S1 - 2 * 2 S1) = Tr(S1), plus |mu|^2 for the mean that doubles.
    x = normal(20, 64, seed=1)
    expected = x.var(axis=0, ddof=1).sum() + (x.mean(axis=0) ** 2).sum()
    assert fid(x, 2 * x) == pytest.approx(expected, rel=1e-9)


@given(st.integers(2, 60), st.integers(2, 60), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_fid_equals_the_formula_with_eigenvalues_whichever_of_n_and_d_is_larger(
    n: int, m: int, d: int, seed: int
) -> None:
    x, y = normal(n, d, seed), normal(m, d, seed + 1, shift=0.3, scale=1.7)
    s1, s2 = np.atleast_2d(np.cov(x, rowvar=False)), np.atleast_2d(np.cov(y, rowvar=False))
    values, vectors = np.linalg.eigh(s1)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ s2 @ root).clip(0)).sum()
    gap = x.mean(axis=0) - y.mean(axis=0)
    expected = gap @ gap + np.trace(s1) + np.trace(s2) - 2 * cross
    assert fid(x, y) == pytest.approx(expected, abs=1e-5 * max(1, np.trace(s1) + np.trace(s2)))


@given(st.integers(2, 40), st.integers(1, 50), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_fid_of_a_set_with_itself_is_zero_and_fid_is_symmetric(n: int, d: int, seed: int) -> None:
    x, y = normal(n, d, seed), normal(n, d, seed + 1, shift=1)
    assert fid(x, x) == pytest.approx(0, abs=1e-9 * d * 10)
    assert fid(x, y) == pytest.approx(fid(y, x), rel=1e-9)


def test_kid_of_two_samples_of_one_law_is_within_three_standard_errors_of_zero() -> None:
    for seed in range(10):
        found = kid(normal(200, 8, seed), normal(200, 8, seed + 100), seed=0)
        assert abs(found.value) < 3 * found.sd


def test_kid_is_unbiased_over_many_small_samples() -> None:
    values = [mmd2(normal(10, 4, seed), normal(10, 4, seed + 10_000)) for seed in range(2000)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_kid_equals_its_definition_written_out_in_loops() -> None:
    x, y = normal(5, 3, 0), normal(4, 3, 1)

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    xx = np.mean([k(x[i], x[j]) for i in range(5) for j in range(5) if i != j])
    yy = np.mean([k(y[i], y[j]) for i in range(4) for j in range(4) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert mmd2(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-12)


def test_the_standard_error_of_kid_agrees_with_the_spread_over_fresh_samples() -> None:
    values, errors = [], []
    for seed in range(60):
        found = kid(normal(80, 6, seed), normal(80, 6, seed + 1000, shift=0.7), seed=seed)
        values.append(found.value)
        errors.append(found.sd)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.35)


def test_kid_in_blocks_equals_kid_at_once() -> None:
    x, y = normal(ROWS + 30, 6, 0), normal(ROWS + 7, 6, 1, shift=0.5)
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = len(x), len(y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    assert kid(x, y, seed=3).value == pytest.approx(within - 2 * xy.mean(), rel=1e-9)
    assert kid(x, y, seed=3) == kid(x, y, seed=3)
    assert kid(x, y, seed=3).sd != kid(x, y, seed=4).sd


def test_distances_refuse_features_of_two_networks_and_too_few_images() -> None:
    with pytest.raises(ValueError, match="must be"):
        fid(normal(9, 3, 0), normal(9, 4, 0))
    with pytest.raises(ValueError, match="at least 4"):
        kid(normal(3, 3, 0), normal(9, 3, 0), seed=0)
