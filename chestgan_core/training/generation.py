"""Images from numbered seeds: image k depends on the model and on seed k, on nothing else.

In: a loaded generator and seeds. Out: (N, 1, R, R) float32 in [-1, 1], in the order of the seeds. A generator with
classes makes them in turn: seed k is of class k modulo their number.

The last bits of a convolution can depend on the size of the batch, on the position in it and on the number of threads,
because kernels divide their work into blocks. So the network always gets CHUNK positions, seed k is always at position
k mod CHUNK, and the number of threads divides CHUNK.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.training.weights import LoadedGenerator

CHUNK = 32
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


def class_of(seed: int, experiment: Experiment) -> str:
    """The class of a seed's image; empty where the experiment has none."""
    return experiment.classes[seed % len(experiment.classes)] if experiment.classes else ""


def class_numbers(seeds: Sequence[int], experiment: Experiment) -> Tensor | None:
    """(N,) int64, the classes of these seeds' images as networks take them; None where the experiment has none."""
    count = len(experiment.classes)
    return torch.tensor([seed % count for seed in seeds], dtype=torch.int64) if count else None


def generate_stream(generator: LoadedGenerator, seeds: Iterable[int]) -> Iterator[Tensor]:
    """Images one by one, with the memory of one chunk; the same as those of `generate`.

    Args:
        generator: From `load_generator`.
        seeds: 0 to 2^32 - 1; fastest where they count up.

    Yields:
        (1, R, R) float32 in [-1, 1] on the CPU, one per seed.

    Raises:
        BadInput: A seed is out of range.
    """
    for images in _chunks(generator, seeds):
        yield from images


def generate(generator: LoadedGenerator, seeds: Sequence[int], progress: Progress | None = None) -> Tensor:
    """Images from seeds: the same model and seed give the same image, whatever is generated beside it.

    Args:
        generator: From `load_generator`.
        seeds: 0 to 2^32 - 1.
        progress: Advanced by the images of each chunk.

    Returns:
        (N, 1, R, R) float32 in [-1, 1] on the CPU, image i from seeds[i]; `experiment.display_window.from_unit` makes
        HU of it.

    Raises:
        BadInput: A seed is out of range.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from chestgan_core.config.experiment import load_experiment
        >>> from chestgan_core.networks.registry import build_generator
        >>> from chestgan_core.training.weights import load_generator, save_generator
        >>> experiment = load_experiment("demo")
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
    for few in _chunks(generator, seeds):
        images[done : done + len(few)] = few
        done += len(few)
        if progress:
            progress.step(len(few))
    return images


def _chunks(generator: LoadedGenerator, seeds: Iterable[int]) -> Iterator[Tensor]:
    """(n, 1, R, R) for n seeds that fit into one chunk, in the order of the seeds."""
    chunk: dict[int, int] = {}  # position -> seed
    for seed in seeds:
        if seed % CHUNK in chunk:
            yield _compute(generator, chunk)
            chunk = {}
        chunk[seed % CHUNK] = seed
    if chunk:
        yield _compute(generator, chunk)


@torch.inference_mode()
def _compute(generator: LoadedGenerator, chunk: dict[int, int]) -> Tensor:
    positions = list(chunk)
    z = torch.zeros(CHUNK, generator.experiment.network.latent_dim)
    z[positions] = torch.stack([noise(seed, z.shape[1]) for seed in chunk.values()])
    classes = None
    if (numbers := class_numbers(list(chunk.values()), generator.experiment)) is not None:
        classes = torch.zeros(CHUNK, dtype=torch.int64)
        classes[positions] = numbers
        classes = classes.to(generator.device)
    with _threads_that_divide():
        images: Tensor = generator.module(z.to(generator.device), classes)
    return images[positions].clamp(-1, 1).float().cpu()


@contextmanager
def _threads_that_divide() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(max(number for number in THREADS if number <= before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
