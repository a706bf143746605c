"""The examples in the docstrings of what users call run, and give what they show."""

import doctest
from importlib import import_module

import pytest
import torch

MODULES = [
    "chestgan_core.evaluation.evaluate_files",
    "chestgan_core.evaluation.scoring.evaluate",
    "chestgan_core.metrics.bootstrap",
    "chestgan_core.metrics.classifiers",
    "chestgan_core.metrics.discriminator_accuracy",
    "chestgan_core.metrics.distances",
    "chestgan_core.metrics.diversity",
    "chestgan_core.metrics.feature_extractors",
    "chestgan_core.metrics.inception_score",
    "chestgan_core.metrics.memorization",
    "chestgan_core.metrics.plausibility",
    "chestgan_core.metrics.precision_recall",
    "chestgan_core.metrics.similarity",
    "chestgan_core.networks.registry",
    "chestgan_core.slices.normalization",
    "chestgan_core.slices.shards",
    "chestgan_core.training.generation",
    "chestgan_core.training.loop",
    "chestgan_core.training.weights",
    "chestgan_core.tuning.study",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_show(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two would only wait for each other on networks of this size
    try:
        results = doctest.testmod(import_module(name))
    finally:
        torch.set_num_threads(before)
    assert results.attempted > 0
    assert results.failed == 0, capsys.readouterr().out
