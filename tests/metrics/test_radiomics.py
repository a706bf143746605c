"""Radiomic features: closed forms, scikit-image's co-occurrence, and what must not break them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import feature

from chestgan_core.errors import NotAvailable
from chestgan_core.evaluation.scoring.feature_cache import agree
from chestgan_core.imaging.windows import WINDOWS, Window
from chestgan_core.metrics import radiomics
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.metrics.radiomics import (
    FARTHEST,
    LEVELS,
    Radiomics,
    co_occurrence,
    feature_names,
    first_order,
    run_lengths,
    wavelet_energies,
)

# Untyped over there.
graycomatrix: Callable[..., NDArray[np.float64]] = feature.graycomatrix
graycoprops: Callable[..., NDArray[np.float64]] = feature.graycoprops
LUNG, GREY = WINDOWS["lung"], WINDOWS["grey"]
WHOLE = np.ones((1, 12, 12), bool)


def chests(count: int, seed: int = 0, size: int = 64, noise: float = 30.0) -> torch.Tensor:
    """(count, 1, size, size) in [-1, 1]: a body with two lungs, through the lung window."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    hu = np.full((count, size, size), -1000.0)
    hu[:, (x / 0.9) ** 2 + (y / 0.75) ** 2 < 1] = 40
    for side in (-1, 1):
        hu[:, ((x - side * 0.42) / 0.3) ** 2 + (y / 0.5) ** 2 < 1] = -850
    hu += random.standard_normal(hu.shape) * noise
    unit: torch.Tensor = LUNG.to_unit(torch.from_numpy(hu))
    return unit[:, None]


def of(images: torch.Tensor, window: Window | None = LUNG) -> dict[str, NDArray[np.float32]]:
    """Features by name."""
    return dict(zip(feature_names(window), Radiomics(window).features(images, None).T, strict=True))


def test_co_occurrence_is_that_of_scikit_image() -> None:
    levels = np.random.default_rng(0).integers(0, LEVELS, (1, 12, 12))
    levels[0, 3:9, 2:8] = 7
    expected = graycomatrix(
        levels[0].astype(np.uint8), [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], LEVELS, symmetric=True
    ).sum(axis=3, keepdims=True)
    (found,) = co_occurrence(levels, WHOLE, 1)
    matrix = expected / expected.sum()
    for at, name in (
        (0, "contrast"),
        (1, "dissimilarity"),
        (2, "homogeneity"),
        (3, "energy"),
        (4, "correlation"),
    ):
        assert found[at] == pytest.approx(float(graycoprops(matrix, name)[0, 0])), name
    p = matrix[:, :, 0, 0]
    i, j = np.indices(p.shape)
    around = i + j - 2 * (p * i).sum()
    assert found[5] == pytest.approx(float(graycoprops(matrix, "entropy")[0, 0] / np.log(2)))
    assert found[6] ** 3 == pytest.approx((p * around**3).sum())
    assert found[7] ** 4 == pytest.approx((p * around**4).sum())


@pytest.mark.parametrize("distance", [1, 2])
def test_pairs_that_leave_the_mask_do_not_count(distance: int) -> None:
    levels = np.random.default_rng(1).integers(0, LEVELS - 1, (1, 12, 12))
    mask = np.random.default_rng(2).random((1, 12, 12)) < 0.7
    # scikit-image has no mask: what is outside gets a level of its own, whose row and column are then left out.
    # Its diagonal neighbours at distance 2 are at 1 (it rounds 2 cos 45 degrees), hence 2 times the root of 2.
    outside = np.where(mask, levels, LEVELS - 1)[0].astype(np.uint8)
    straight = graycomatrix(outside, [distance], [0, np.pi / 2], LEVELS, symmetric=True)
    diagonal = graycomatrix(outside, [distance * 2**0.5], [np.pi / 4, 3 * np.pi / 4], LEVELS, symmetric=True)
    counts = (straight + diagonal).sum(axis=3, keepdims=True)[:-1, :-1]
    matrix = counts / counts.sum()
    (found,) = co_occurrence(levels, mask, distance)
    assert found[0] == pytest.approx(float(graycoprops(matrix, "contrast")[0, 0]))
    assert found[4] == pytest.approx(float(graycoprops(matrix, "correlation")[0, 0]))


def test_first_order_is_that_of_the_pixels_in_the_mask() -> None:
    grey = np.random.default_rng(0).uniform(-1, 1, (2, 40, 40))
    mask = np.random.default_rng(1).random(grey.shape) < 0.5
    for image, inside, found in zip(grey, mask, first_order(grey, mask), strict=True):
        values = image[inside]
        unit = (values - values.mean()) / values.std()
        moments = [values.mean(), values.std(), (unit**3).mean(), (unit**4).mean()]
        assert found[:4] == pytest.approx(moments)
        assert found[4:7] == pytest.approx(np.quantile(values, (0.1, 0.5, 0.9)), abs=0.02)
        shares = np.histogram(values, LEVELS, (-1, 1))[0] / len(values)
        assert found[7] == pytest.approx(-(shares * np.log2(shares)).sum())
        assert found[8] == pytest.approx((shares**2).sum())


def test_runs_of_stripes_are_as_long_as_the_stripes() -> None:
    stripes = np.tile(np.arange(12)[:, None] % 2, (1, 12))[None]
    short, long, of_levels, of_lengths, percentage, dark, bright = run_lengths(stripes, WHOLE)[0]
    # 12 runs of 12 pixels along the rows, 144 of one pixel along the columns; half are of level 0, half of level 1.
    assert short == pytest.approx((12 / 144 + 144) / 156)
    assert np.expm1(long) == pytest.approx((12 * 144 + 144) / 156)
    assert of_levels == pytest.approx(2 * 78**2 / 156**2)
    assert of_lengths == pytest.approx((12**2 + 144**2) / 156**2)
    assert percentage == pytest.approx(156 / 288)
    assert (dark, bright) == pytest.approx(((1 + 1 / 4) / 2, (1 + 4) / 2))


def test_a_run_ends_where_the_mask_ends() -> None:
    mask = WHOLE.copy()
    mask[:, :, 5] = False
    found = run_lengths(np.zeros((1, 12, 12), np.int64), mask)[0]
    # Along the rows 5 and 6 pixels, twelve times; along the eleven columns 12.
    assert found[0] == pytest.approx((12 / 25 + 12 / 36 + 11 / 144) / 35)


def test_wavelets_see_the_direction_and_the_size_of_a_pattern() -> None:
    across = np.tile(np.where(np.arange(16) % 2, 0.5, -0.5), (16, 1))[None]
    mask = np.ones(across.shape, bool)
    finest = wavelet_energies(across, mask)[0]
    assert finest[0] == pytest.approx(np.log(1e-6 + 1.0))  # (a - b + c - d) / 2 = 4 * 0.5 / 2
    assert finest[1:] == pytest.approx(np.full(8, np.log(1e-6)))
    down = np.repeat(np.where(np.arange(8) % 2, 0.5, -0.5), 2)[None, :, None].repeat(16, 2)
    coarser = wavelet_energies(down, mask)[0]
    assert coarser.argmax() == 4  # vertical, at twice the size
    # As much energy in all details and the rest as in the image, if nothing is left out.
    noise = np.random.default_rng(0).standard_normal((1, 16, 16))
    energies = np.exp(wavelet_energies(noise, mask)[0]) - 1e-6
    rest = noise.reshape(1, 2, 8, 2, 8).sum((2, 4)) / 8
    places = np.repeat([64, 16, 4], 3)
    assert (energies * places).sum() + (rest**2).sum() == pytest.approx((noise**2).sum())


def test_lungs_and_body_are_regions_of_their_own() -> None:
    found = of(chests(3))
    assert found["lung: mean"] == pytest.approx(-1 / 3, abs=0.01)  # -850 HU
    assert found["lung: deviation"] == pytest.approx(30 / 750, abs=0.005)
    assert found["body: area"] == pytest.approx(np.pi * 0.9 * 0.75 / 4, abs=0.03)
    assert found["lung: area"] == pytest.approx(2 * np.pi * 0.3 * 0.5 / 4, abs=0.03)
    assert set(of(chests(1), GREY)) == {name for name in found if name.startswith("body")}


def test_smoothing_and_grain_are_seen_by_the_right_features() -> None:
    sharp, smooth = of(chests(2)), of(chests(2, noise=3))
    assert (smooth["lung: contrast at 1"] < sharp["lung: contrast at 1"]).all()
    assert (smooth["lung: wavelet diagonal 2"] < sharp["lung: wavelet diagonal 2"] - 2).all()
    assert (smooth["lung: long runs"] > sharp["lung: long runs"]).all()


IMAGES: dict[str, Callable[[int], torch.Tensor]] = {
    "black": lambda size: torch.full((2, 1, size, size), -1.0),
    "white": lambda size: torch.ones(2, 1, size, size),
    "grey": lambda size: torch.zeros(2, 1, size, size),
    "noise": lambda size: torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    "not a number": lambda size: torch.full((2, 1, size, size), float("nan")),
    "out of range": lambda size: torch.full((2, 1, size, size), 1e30),
    "one pixel": lambda size: torch.nn.functional.pad(torch.ones(2, 1, 1, 1), (size - 1, 0, size - 1, 0), value=-1.0),
}  # fmt: skip


@pytest.mark.parametrize("window", [LUNG, WINDOWS["wide"], GREY, None])
@pytest.mark.parametrize("size", [1, 5, 64])
@pytest.mark.parametrize("kind", list(IMAGES))
def test_every_image_has_finite_features(kind: str, size: int, window: Window | None) -> None:
    extractor = Radiomics(window)
    found = extractor.features(IMAGES[kind](size), None)
    assert found.shape == (2, extractor.dimension) == (2, len(feature_names(window)))
    assert np.isfinite(found).all()
    assert np.isfinite(extractor.comparable(found, found)).all()


def test_features_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    images = chests(5)
    together = Radiomics(LUNG).features(images, None)
    monkeypatch.setattr(radiomics, "BATCH_PIXELS", 2 * 64 * 64)
    assert np.array_equal(together, Radiomics(LUNG).features(images, None))


def test_large_images_are_searched_for_lungs_on_a_coarse_grid() -> None:
    large, small = of(chests(1, size=512)), of(chests(1, size=128))
    for name in ("body: area", "lung: area", "lung: mean"):
        assert large[name] == pytest.approx(small[name], abs=0.02)


def test_what_is_compared_are_z_scores_with_an_end() -> None:
    reference = np.random.default_rng(0).normal(50, 4, (500, 3)).astype(np.float32)
    reference[:, 2] = 7
    extractor = Radiomics(LUNG)
    found = extractor.comparable(reference, reference)
    assert found.mean(0) == pytest.approx([0, 0, 0], abs=1e-5)
    assert found.std(0) == pytest.approx([1, 1, 0], abs=1e-4)
    far = extractor.comparable(np.array([[1e6, 46, 9]], np.float32), reference)
    assert far[0] == pytest.approx([FARTHEST, -1, 0], abs=0.2)


def test_the_id_names_the_window_because_features_depend_on_it() -> None:
    assert open_extractor("radiomics", window=LUNG).id == "radiomics:1:lungs and body at -1350 to 150 HU"
    assert open_extractor("radiomics", window=GREY).id == "radiomics:1:body"
    assert open_extractor("radiomics").id == "radiomics:1:body"
    with pytest.raises(NotAvailable, match="no classification layer; measure with a network"):
        open_extractor("radiomics").class_logits(np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\)"):
        open_extractor("radiomics").features(torch.zeros(2, 3, 8, 8))


def test_cached_features_are_checked_in_their_own_units() -> None:
    images = chests(20)
    extractor = open_extractor("radiomics", window=LUNG)
    cached = extractor.features(images, None)
    assert agree(cached, extractor, images)
    # Wrong in one small feature only: the largest is some hundred times as large.
    wrong = cached.copy()
    wrong[:, feature_names(LUNG).index("lung: deviation")] *= 1.5
    assert not agree(wrong, extractor, images)
