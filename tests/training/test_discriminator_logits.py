"""The logits of a run's discriminator: one per image, whatever is beside it."""

from pathlib import Path

import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadInput
from chestgan_core.networks.registry import build_discriminator
from chestgan_core.training.conditions import NO_CONDITIONS, SliceConditions
from chestgan_core.training.discriminator_logits import BATCH, discriminator_logits
from chestgan_core.training.weights import LoadedDiscriminator, load_discriminator, save_discriminator


def opponent(experiment: Experiment, folder: Path) -> LoadedDiscriminator:
    save_discriminator(folder, build_discriminator(experiment), experiment, 0)
    return load_discriminator(folder)


def noise(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_an_image_gets_the_same_logit_alone_and_among_others(experiment: Experiment, tmp_path: Path) -> None:
    discriminator = opponent(experiment, tmp_path)
    images = noise(BATCH + 3)
    together = discriminator_logits(discriminator, images, NO_CONDITIONS)
    assert together.shape == (BATCH + 3,)
    alone = [
        float(discriminator_logits(discriminator, image[None], NO_CONDITIONS)[0]) for image in images[-3:]
    ]
    assert together[-3:] == pytest.approx(alone, abs=1e-5)
    assert together.std() > 0


def test_a_discriminator_with_classes_needs_them(experiment: Experiment, tmp_path: Path) -> None:
    fields = {**experiment.model_dump(), "classes": ["A", "G"]}
    discriminator = opponent(parse_experiment(fields, "small", "test"), tmp_path)
    images, classes = noise(4), torch.tensor([0, 1, 0, 1])
    logits, others = (
        discriminator_logits(discriminator, images, SliceConditions(classes=numbers))
        for numbers in (classes, 1 - classes)
    )
    assert not (logits == others).any()
    with pytest.raises(BadInput, match="have no class, with which its discriminator was trained"):
        discriminator_logits(discriminator, images, NO_CONDITIONS)


def test_images_of_another_size_are_refused(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="its discriminator takes 16 x 16"):
        discriminator_logits(opponent(experiment, tmp_path), noise(2)[:, :, :8, :8], NO_CONDITIONS)
