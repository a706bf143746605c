"""The logits of a run's discriminator: one image's number, whatever is beside it."""

from pathlib import Path

import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadInput
from chestgan_core.networks.registry import build_discriminator
from chestgan_core.training.discriminator_logits import BATCH, logits_of
from chestgan_core.training.weights import LoadedDiscriminator, load_discriminator, save_discriminator


def opponent(experiment: Experiment, folder: Path) -> LoadedDiscriminator:
    save_discriminator(folder, build_discriminator(experiment), experiment, 0)
    return load_discriminator(folder)


def noise(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_an_image_gets_the_same_logit_alone_and_among_others(experiment: Experiment, tmp_path: Path) -> None:
    discriminator = opponent(experiment, tmp_path)
    images = noise(BATCH + 3)
    together = logits_of(discriminator, images, None)
    assert together.shape == (BATCH + 3,)
    alone = [float(logits_of(discriminator, image[None], None)[0]) for image in images[-3:]]
    assert together[-3:] == pytest.approx(alone, abs=1e-5)
    assert together.std() > 0


def test_a_discriminator_of_classes_is_asked_with_them(experiment: Experiment, tmp_path: Path) -> None:
    fields = {**experiment.model_dump(), "classes": ["A", "G"]}
    discriminator = opponent(parse_experiment(fields, "small", "test"), tmp_path)
    images, classes = noise(4), torch.tensor([0, 1, 0, 1])
    found = logits_of(discriminator, images, classes)
    assert not (found == logits_of(discriminator, images, 1 - classes)).any()
    with pytest.raises(BadInput, match="have no class, and its discriminator was told 2"):
        logits_of(discriminator, images, None)


def test_images_of_another_size_are_refused(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="its discriminator takes 64 x 64"):
        logits_of(opponent(experiment, tmp_path), noise(2)[:, :, :32, :32], None)
