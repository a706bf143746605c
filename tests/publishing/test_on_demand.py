"""Images of other seeds than the published ones, from a set that holds its generator."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.publishing import open_set
from chestgan_core.publishing.reader.levels import levels_of
from chestgan_core.publishing.reader.set_folder import GENERATOR, SetFolder
from chestgan_core.publishing.release import weights_file
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator, save_generator


@pytest.fixture(params=[8, 16])
def with_weights(
    request: pytest.FixtureRequest,
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    tmp_path: Path,
) -> SetFolder:
    """20 images of the seeds from 100 on, and their generator."""
    (tmp_path / "model").mkdir()
    save_generator(tmp_path / "model", generator.module, generator.experiment)
    return write_set(
        generator,
        experiment,
        20,
        100,
        tmp_path / "set",
        provenance,
        bits=request.param,
        extra_files={GENERATOR: weights_file(tmp_path / "model" / GENERATOR)},
    )


def test_a_million_images_are_there_without_a_download(
    with_weights: SetFolder, generator: LoadedGenerator
) -> None:
    images = open_set(with_weights.path, seeds=range(10**6), device="cpu")
    assert len(images) == 10**6
    image, label = images[999_999]
    assert (image.shape, label["seed"]) == ((1, 64, 64), 999_999)
    levels = images.levels_of([999_999])[0]
    expected = levels_of(generate(generator, [999_999])[0, 0].numpy(), images.facts.bits)
    assert (levels == expected).all()


def test_where_an_image_is_published_too_it_has_the_same_bits_on_the_same_kind_of_device(
    with_weights: SetFolder,
) -> None:
    published = open_set(with_weights.path)
    made = open_set(with_weights.path, seeds=range(95, 125), device="cpu")
    assert made.equality == "same"
    for k in range(20):
        image, label = made[5 + k]
        assert torch.equal(image, published[k][0])
        assert label["sha256"] == published.label(k)["sha256"]
        assert label["index"] == k
    assert made[0][1]["index"] == -5


def test_a_batch_is_made_at_once_and_is_what_single_items_are(with_weights: SetFolder) -> None:
    images = open_set(with_weights.path, seeds=[7, 3, 500], device="cpu")
    ((batch, labels),) = DataLoader(images, batch_size=3)
    assert labels["seed"].tolist() == [7, 3, 500]
    for k in range(3):
        assert torch.equal(batch[k], images[k][0])
    for (image, label), item in zip(images, batch, strict=True):
        assert torch.equal(image, item), label


def test_a_set_without_its_generator_has_no_other_images(ready: SetFolder) -> None:
    with pytest.raises(BadInput, match="does not hold its generator"):
        open_set(ready.path, seeds=range(10))


def test_a_generator_that_does_not_make_the_published_images_is_refused(
    with_weights: SetFolder, generator: LoadedGenerator
) -> None:
    other = torch.nn.Module.state_dict(generator.module)
    folder = with_weights.path
    before = {name: value.clone() for name, value in other.items()}
    try:
        for value in other.values():
            if value.is_floating_point():
                value.add_(0.5)
        (folder / "other").mkdir()
        save_generator(folder / "other", generator.module, generator.experiment)
    finally:
        for name, value in other.items():
            value.copy_(before[name])
    (folder / GENERATOR).write_bytes((folder / "other" / GENERATOR).read_bytes())
    with pytest.raises(DamagedObject, match="is not the generator that the manifest names"):
        open_set(folder, seeds=range(10))


def test_seeds_out_of_range_are_refused_before_the_first_image(with_weights: SetFolder) -> None:
    with pytest.raises(BadInput, match="seed 4294967296"):
        open_set(with_weights.path, seeds=[0, 2**32])
