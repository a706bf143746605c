"""Image k depends on the model and on seed k, on nothing else."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chestgan_core.errors import BadInput
from chestgan_core.training.generation import CHUNK, generate, generate_stream
from chestgan_core.training.weights import LoadedGenerator, load_generator


@pytest.fixture
def generator(model: Path) -> LoadedGenerator:
    return load_generator(model)


# The fixture is only read, so hypothesis may use it for all its examples.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seeds=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 40), max_size=40))
def test_any_seeds_in_any_order_and_number_give_the_same_images_to_the_bit(
    generator: LoadedGenerator, seeds: list[int]
) -> None:
    images = generate(generator, seeds)
    assert images.shape == (len(seeds), 1, 16, 16)
    for image, seed in zip(images, seeds, strict=True):
        assert torch.equal(image, generate(generator, [seed])[0])


def test_a_range_in_parts_is_the_range(generator: LoadedGenerator) -> None:
    whole = generate(generator, range(3, 3 + 3 * CHUNK))
    parts = [generate(generator, range(3, 10)), generate(generator, range(10, 3 + 3 * CHUNK))]
    assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(whole, torch.stack(list(generate_stream(generator, range(3, 3 + 3 * CHUNK)))))


def test_the_number_of_threads_does_not_matter(generator: LoadedGenerator) -> None:
    one = generate(generator, range(20))
    for threads in (2, 3, 5):
        torch.set_num_threads(threads)
        assert torch.equal(one, generate(generator, range(20)))
        assert torch.get_num_threads() == threads


def test_seeds_differ_and_values_are_in_range(generator: LoadedGenerator) -> None:
    images = generate(generator, range(40))
    assert len({image.numpy().tobytes() for image in images}) == 40
    assert images.abs().max() <= 1
    assert images.dtype == torch.float32


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_would_repeat_another_is_refused(generator: LoadedGenerator, seed: int) -> None:
    with pytest.raises(BadInput, match="4294967295"):
        generate(generator, [seed])
