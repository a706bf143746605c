"""Our measures against other people's, on the same features and images.

torchmetrics, prdc, scikit-learn and scipy compute what we compute; where a definition differs, the test says how. None
of them brings weights here: features are random vectors, images are textures. torch-fidelity is not among them: it
installs a package named `tests`, which takes the place of ours in other processes.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional

from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.classifiers import class_auc, fraction_below
from chestgan_core.metrics.distances import fid, kid, mmd2
from chestgan_core.metrics.diversity import EXPONENTS, ms_ssim, other_distances, scale_count
from chestgan_core.metrics.inception_score import inception_score
from chestgan_core.metrics.plausibility import ks_statistic
from chestgan_core.metrics.precision_recall import NEIGHBOURS, precision_recall
from chestgan_core.metrics.similarity import RANGE, psnr, ssim

Sides = tuple[NDArray[np.float32], NDArray[np.float32]]


@pytest.fixture(params=[0, 1], ids=["near", "far"])
def sides(request: pytest.FixtureRequest) -> Sides:
    """(150, 12) and (150, 12) features, positive as after a ReLU."""
    random = np.random.default_rng(request.param)
    real = random.standard_normal((150, 12)) + 1
    fake = random.standard_normal((150, 12)) * (1 + 0.4 * request.param) + 1 + 0.5 * request.param
    return np.abs(real).astype(np.float32), np.abs(fake).astype(np.float32)


def textures(count: int, size: int, seed: int) -> Tensor:
    """(count, 1, size, size) float32 in [-1, 1]: smoothed noise, as much alike as slices are."""
    shared = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(99))
    own = torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))
    smooth = functional.avg_pool2d(functional.pad(shared + own, (2, 2, 2, 2), mode="reflect"), 5, 1)
    return smooth * 2 - 2


class Given(nn.Module):
    """A feature network that hands features on: images (N, 1, 1, d), as torchmetrics wants images."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def as_images(features: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(features)[:, None, None]


def test_fid_is_that_of_torchmetrics(sides: Sides) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    theirs = FrechetInceptionDistance(Given(12), normalize=True, input_img_size=(1, 1, 12)).set_dtype(
        torch.float64
    )
    for features, real in zip(sides, (True, False), strict=True):
        theirs.update(as_images(features).double(), real=real)
    assert fid(*sides) == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_kid_is_that_of_torchmetrics(sides: Sides) -> None:
    """They average over random subsets of one size; ours uses all pairs at once, which is one subset of all images."""
    from torchmetrics.image.kid import KernelInceptionDistance

    real, fake = sides

    def theirs(subsets: int, size: int) -> tuple[float, float]:
        """Mean and deviation over the subsets."""
        torch.manual_seed(0)
        found = KernelInceptionDistance(Given(12), subsets=subsets, subset_size=size, normalize=True)
        found.update(as_images(real), real=True)
        found.update(as_images(fake), real=False)
        mean, deviation = found.compute()
        return float(mean), float(deviation)

    value = kid(real, fake, seed=0).value
    assert value == pytest.approx(theirs(1, len(real))[0], rel=1e-3, abs=1e-5)  # float32 over there
    assert value == pytest.approx(mmd2(real, fake), rel=1e-9)
    # Our standard error is the spread over random halves, which is what theirs is with halves as subsets.
    assert kid(real, fake, seed=0).sd == pytest.approx(theirs(300, 75)[1], rel=0.3)


def test_precision_recall_density_and_coverage_are_those_of_prdc(sides: Sides) -> None:
    from prdc import compute_prdc  # type: ignore[import-untyped]

    real, fake = sides
    found = precision_recall(real, fake)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = compute_prdc(real, fake, nearest_k=NEIGHBOURS)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(found, name) == pytest.approx(theirs[name]), name


def test_the_inception_score_is_that_of_torchmetrics() -> None:
    """They take the mean over ten parts by default; ours takes all images at once, which is one part."""
    from torchmetrics.image.inception import InceptionScore

    logits = (np.random.default_rng(0).standard_normal((90, 10)) * 3).astype(np.float32)
    theirs = InceptionScore(Given(10), splits=1)
    theirs.update(as_images(logits))
    assert inception_score(logits) == pytest.approx(float(theirs.compute()[0]), rel=1e-5)


def inside(first: Tensor, second: Tensor, border: int, **settings: Any) -> Tensor:
    """(N,) torchmetrics' SSIM where the whole window is inside of the image.

    Their mean is over all positions, of images that are mirrored at their edges; that of Wang et al. 2004, and ours, is
    over those where the window fits.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, everywhere = structural_similarity_index_measure(
        first, second, data_range=RANGE, reduction="none", return_full_image=True, **settings
    )
    assert isinstance(everywhere, Tensor)
    return everywhere[..., border:-border, border:-border].mean(dim=(1, 2, 3))


@pytest.mark.parametrize("size", [16, 64, 176])
def test_ms_ssim_is_that_of_torchmetrics_without_mirrored_edges(size: int) -> None:
    """Contrast and structure at each scale, all of SSIM at the coarsest. Our exponents, of as many as fit, add up
    to 1; one scale is SSIM.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second, scales = textures(4, size, 0), textures(4, size, 1), scale_count(size)
    assert scales == {16: 1, 64: 3, 176: 5}[size]
    found = ms_ssim(first, second)
    expected = torch.ones(4)
    for at, exponent in enumerate(EXPONENTS[:scales]):
        if at == scales - 1:
            term = inside(first, second, border=5)
        else:
            # Their contrast term has no mirrored edges.
            _, term = structural_similarity_index_measure(
                first, second, data_range=RANGE, reduction="none", return_contrast_sensitivity=True
            )
            first, second = functional.avg_pool2d(first, 2), functional.avg_pool2d(second, 2)
        expected *= term.relu() ** (exponent / sum(EXPONENTS[:scales]))
    assert found.numpy() == pytest.approx(expected.numpy(), abs=2e-5)
    assert 0 < found.max() < 0.95


def test_ssim_is_that_of_torchmetrics_but_for_edges_and_the_estimate_of_variances() -> None:
    """Ours is scikit-image's: a uniform window of 7 x 7 pixels, and variances of a sample (divided by 48). Theirs
    divide by 49.
    """
    first, second = textures(4, 32, 0), textures(4, 32, 1)
    found = ssim(first, second)
    theirs = inside(first, second, border=3, gaussian_kernel=False, kernel_size=7).numpy()
    assert found == pytest.approx(theirs, abs=2e-3)
    assert not np.allclose(found, theirs, atol=1e-5)


def test_psnr_is_that_of_torchmetrics() -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    first, second = textures(3, 32, 0), textures(3, 32, 1)
    each = [
        float(peak_signal_noise_ratio(one, other, data_range=RANGE))
        for one, other in zip(first, second, strict=True)
    ]
    assert psnr(first, second) == pytest.approx(each, rel=1e-5)


def test_auc_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 120)
    scores = random.standard_normal((120, 3)).round(1)  # with ties
    scores[np.arange(120), labels] += 0.8
    value, _ = class_auc(scores, labels, resampling([f"p{at % 7}" for at in range(120)], 0))
    each = [roc_auc_score(labels == at, scores[:, at]) for at in range(3)]
    assert value == pytest.approx(np.mean(each))
    real, others = scores[labels == 0, 0], scores[labels != 0, 0]
    assert fraction_below(real, others).mean() == pytest.approx(each[0])


def test_the_statistic_of_kolmogorov_and_smirnov_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    one, other = random.integers(0, 200, 400), random.integers(40, 256, 300)
    histograms = [np.bincount(levels, minlength=256).astype(np.float64) for levels in (one, other)]
    assert ks_statistic(*histograms) == pytest.approx(ks_2samp(one, other).statistic)


def test_distances_between_images_are_those_of_scipy() -> None:
    from scipy.spatial.distance import pdist, squareform  # type: ignore[import-untyped]

    vectors = np.random.default_rng(0).standard_normal((300, 20)).astype(np.float32)
    table = squareform(pdist(vectors.astype(np.float64)))
    found = other_distances(vectors)
    assert found.mean == pytest.approx(table.sum(1) / 299)
    assert found.nearest == pytest.approx((table + np.diag([np.inf] * 300)).min(1), rel=1e-6)


@pytest.fixture(autouse=True)
def _no_warnings_of_others() -> Iterator[None]:
    """Their warnings about memory and about their own deprecations are not ours."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
