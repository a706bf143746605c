"""Images from numbered seeds: image k depends on the model, on seed k and on layout k, on nothing else.

In: a loaded generator, seeds, and what the images are asked to show. Out: (N, 1, R, R) float32 in [-1, 1], in the order
of the seeds. Where nothing is asked, a generator with classes makes them in turn (seed k is of class k modulo their
number), and one with other conditions gets a layout like those of its training slices, drawn by the seed.

The last bits of a convolution can depend on the size of the batch, on the position in it and on the number of threads,
because kernels divide their work into blocks. So the network always gets CHUNK positions, seed k is always at position
k mod CHUNK, and the number of threads divides CHUNK.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.layouts.layout import NOTHING_ASKED, Layout
from chestgan_core.local.progress import Progress
from chestgan_core.training.layouts import asked_of
from chestgan_core.training.weights import LoadedGenerator

CHUNK = 32
# A seed, and what its image is asked to show; None: a drawn layout.
_Asked: TypeAlias = tuple[int, Layout | None]
# 3 threads, and for some widths 8, changed the last bits when measured; these did not.
THREADS = (1, 2, 4)
# PyTorch's CPU generator keeps 32 bits of a seed: larger ones would repeat images.
SEEDS = 2**32


def noise(seed: int, latent: int) -> Tensor:
    """z (latent,) float32 of one seed, drawn on the CPU: the same for each device."""
    if not 0 <= seed < SEEDS:
        raise BadInput(f"seed {seed}", "is out of range", f"seeds go from 0 to {SEEDS - 1}")
    return torch.randn(latent, generator=torch.Generator().manual_seed(seed))


def require_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds, which count up, before the first image. Raises BadInput: there are none, or out of range."""
    if not len(seeds):  # of an array the truth is ambiguous
        raise BadInput("the seeds", "are none", "give at least one")
    for seed in (seeds[0], seeds[-1]):
        if not 0 <= seed < SEEDS:
            raise BadInput(f"seed {seed}", "is out of range", f"seeds go from 0 to {SEEDS - 1}")


def generate_stream(
    generator: LoadedGenerator, seeds: Iterable[int], layouts: Iterable[Layout] | None = None
) -> Iterator[Tensor]:
    """Images one by one, with the memory of one chunk; the same as those of `generate`.

    Args:
        generator: From `load_generator`.
        seeds: 0 to 2^32 - 1; fastest where they count up.
        layouts: One per seed; by default drawn from those of the training slices.

    Yields:
        (1, R, R) float32 in [-1, 1] on the CPU, one per seed.

    Raises:
        BadInput: A seed is out of range.
    """
    for images in _chunks(generator, seeds, layouts):
        yield from images


def generate(
    generator: LoadedGenerator,
    seeds: Sequence[int],
    layouts: Sequence[Layout] | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Images from seeds: the same model, seed and layout give the same image, whatever is generated beside it.

    Args:
        generator: From `load_generator`.
        seeds: 0 to 2^32 - 1; one may come several times, with several layouts.
        layouts: One per seed, whose conditions the generator has; by default drawn from those of the training slices.
        progress: Advanced by the images of each chunk.

    Returns:
        (N, 1, R, R) float32 in [-1, 1] on the CPU, image i from seeds[i]; `experiment.display_window.from_unit`
        makes HU of it.

    Raises:
        BadInput: A seed is out of range.
        ValueError: Another number of layouts than of seeds.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from chestgan_core.config.experiment import load_experiment
        >>> from chestgan_core.networks.registry import build_generator
        >>> from chestgan_core.training.weights import load_generator, save_generator
        >>> experiment = load_experiment("lung-spectral-64")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = save_generator(Path(folder), build_generator(experiment), experiment)
        ...     generator = load_generator(Path(folder))
        >>> images = generate(generator, range(4))
        >>> images.shape
        torch.Size([4, 1, 64, 64])
        >>> torch.equal(images[3:], generate(generator, [3]))
        True
        >>> low, high = experiment.display_window.ends  # HU
        >>> low <= experiment.display_window.from_unit(images).min() <= high
        tensor(True)
    """
    size = generator.experiment.resolution
    images = torch.empty(len(seeds), 1, size, size)
    done = 0
    for few in _chunks(generator, seeds, layouts):
        images[done : done + len(few)] = few
        done += len(few)
        if progress:
            progress.step(len(few))
    return images


def _chunks(
    generator: LoadedGenerator, seeds: Iterable[int], layouts: Iterable[Layout] | None
) -> Iterator[Tensor]:
    """(n, 1, R, R) for n seeds that fit into one chunk, in the order of the seeds."""
    chunk: dict[int, _Asked] = {}  # position -> what is asked there
    pairs = ((seed, None) for seed in seeds) if layouts is None else zip(seeds, layouts, strict=True)
    for seed, layout in pairs:
        if seed % CHUNK in chunk:
            yield _compute(generator, chunk)
            chunk = {}
        chunk[seed % CHUNK] = (seed, layout)
    if chunk:
        yield _compute(generator, chunk)


@torch.inference_mode()
def _compute(generator: LoadedGenerator, chunk: dict[int, _Asked]) -> Tensor:
    experiment, positions = generator.experiment, list(chunk)
    z = torch.zeros(CHUNK, experiment.network.latent_dim)
    z[positions] = torch.stack([noise(seed, z.shape[1]) for seed, _ in chunk.values()])
    # Every position is computed; those that nobody asked for get the first seed's condition and are left out.
    seeds, layouts = [next(iter(chunk.values()))[0]] * CHUNK, [next(iter(chunk.values()))[1]] * CHUNK
    for position, (seed, layout) in chunk.items():
        seeds[position], layouts[position] = seed, layout
    given = None if layouts[0] is None else [layout or NOTHING_ASKED for layout in layouts]
    asked = asked_of(seeds, experiment, generator.layouts, given)
    condition = asked.at(slice(None), experiment.resolution).to(generator.device)
    with _threads_that_divide():
        images: Tensor = generator.module(z.to(generator.device), condition)
    return images[positions].clamp(-1, 1).float().cpu()


@contextmanager
def _threads_that_divide() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(max(number for number in THREADS if number <= before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
